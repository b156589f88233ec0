/**
 * node build.mjs EXPORT SITE: put page, runtime and model together in a folder for any static web server:
 *
 *     npm install --ignore-scripts
 *     node build.mjs ../../../runs/demo/export site
 *     python3 -m http.server --bind 127.0.0.1 --directory site
 */

import { cp, mkdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const PAGE = ["index.html", "app.mjs", "style.css"];
const RUNTIME = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];
const MODEL = ["p5.json", "golden.json", "model.onnx", "score.onnx"];

const [source, site] = process.argv.slice(2);
if (!source || !site) {
  console.error("Usage: node build.mjs EXPORT SITE");
  process.exit(2);
}
const { inputs, files } = JSON.parse(await readFile(join(source, "p5.json"), "utf8"));
const obstacle =
  (inputs.user && "the model knows users and reads no history") ||
  ("model.onnx.data" in files && "the model is too large for a browser");
if (obstacle) {
  console.error(`${source} cannot be a page: ${obstacle}.`);
  process.exit(1);
}
await rm(join(site, "model"), { recursive: true, force: true });
for (const folder of ["model", "ort"]) await mkdir(join(site, folder), { recursive: true });
for (const name of PAGE) await cp(join(here, name), join(site, name));
await cp(join(here, "..", "p5.mjs"), join(site, "p5.mjs"));
for (const name of RUNTIME) await cp(join(here, "node_modules/onnxruntime-web/dist", name), join(site, "ort", name));
for (const name of MODEL) await cp(join(source, name), join(site, "model", name));
console.log(`${site} is ready for a static web server.`);
