/**
 * node build.mjs EXPORT SITE: put page, runtime and model together in a folder for any static web server:
 *
 *     npm install --ignore-scripts
 *     node build.mjs ../../../runs/demo/export site
 *     python3 -m http.server --bind 127.0.0.1 --directory site
 */

import { cp, mkdir, rm } from "node:fs/promises";
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
await rm(join(site, "model"), { recursive: true, force: true });
for (const folder of ["model", "ort"]) await mkdir(join(site, folder), { recursive: true });
for (const name of PAGE) await cp(join(here, name), join(site, name));
await cp(join(here, "..", "p5.mjs"), join(site, "p5.mjs"));
for (const name of RUNTIME) await cp(join(here, "node_modules/onnxruntime-web/dist", name), join(site, "ort", name));
for (const name of MODEL) await cp(join(source, name), join(site, "model", name));
console.log(`${site} is ready for a static web server.`);
