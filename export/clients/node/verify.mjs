/** node verify.mjs FOLDER: run the golden cases of an export; the exit code is 1 when an answer differs. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { verify } from "../p5.mjs";
import { open, ort } from "./open.mjs";

const [folder] = process.argv.slice(2);
if (!folder) {
  console.error("Usage: node verify.mjs FOLDER");
  process.exit(2);
}
try {
  const golden = JSON.parse(await readFile(join(folder, "golden.json"), "utf8"));
  const { cases, worst } = await verify(ort, await open(folder), golden);
  console.log(`${cases} golden cases give the same answers (largest difference ${worst.toExponential(1)}).`);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
