/**
 * An exported P5 model in Node:
 *
 *     import { open } from "./open.mjs";
 *     const model = await open("runs/demo/export");
 *     console.log(await model.recommend([50n, 181n], 5));
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";

import * as ort from "onnxruntime-node";

import { Recommender } from "../p5.mjs";

/** Open an export; `options` go to every InferenceSession. */
export async function open(folder, options = {}) {
  const about = JSON.parse(await readFile(join(folder, "p5.json"), "utf8"));
  return new Recommender(ort, about, (name) => ort.InferenceSession.create(join(folder, name), options));
}

export { ort };
