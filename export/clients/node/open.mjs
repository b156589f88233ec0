/**
 * An exported P5 model in Node:
 *
 *     import { open } from "./open.mjs";
 *     const model = await open("runs/demo/export");
 *     console.log(await model.recommend([50n, 181n], 5));
 */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";

import * as ort from "onnxruntime-node";

import { Recommender, checked } from "../p5.mjs";

/**
 * Open an export; `options` go to every InferenceSession. A file is opened when it is first needed, if p5.json lists what
 * it holds then.
 */
export async function open(folder, options = {}) {
  const about = JSON.parse(await readFile(join(folder, "p5.json"), "utf8"));
  return new Recommender(ort, about, (name) => session(folder, about, name, options));
}

/** A session of the bytes that were checked; of the file where its weights lie beside it, which no buffer can hold. */
async function session(folder, about, name, options) {
  const path = join(folder, name);
  const data = `${name}.data`;
  if (!(data in about.files)) {
    return ort.InferenceSession.create(await checked(about, name, await readFile(path), sha256), options);
  }
  const before = await stamp(path, join(folder, data));
  for (const one of [name, data]) await checked(about, one, join(folder, one), sha256OfFile);
  const made = await ort.InferenceSession.create(path, options);
  if ((await stamp(path, join(folder, data))) !== before) {
    throw new Error(`${folder} was replaced while it was opened. Open it again.`);
  }
  return made;
}

/** What changes when one of the files is replaced, without reading any. */
async function stamp(...paths) {
  const found = await Promise.all(paths.map((path) => stat(path)));
  return JSON.stringify(found.map(({ ino, size, mtimeMs }) => [ino, size, mtimeMs]));
}

const sha256 = async (bytes) => createHash("sha256").update(bytes).digest("hex");

async function sha256OfFile(path) {
  const hash = createHash("sha256");
  for await (const block of createReadStream(path)) hash.update(block);
  return hash.digest("hex");
}

export { ort };
