/** node recommend.mjs FOLDER [--k N] ID...: recommend for a history of item ids, oldest first (or for one user). */

import { open } from "./open.mjs";

const [folder, ...words] = process.argv.slice(2);
if (!folder) {
  console.error("Usage: node recommend.mjs FOLDER [--k N] ID...");
  process.exit(2);
}
const at = words.indexOf("--k");
const k = at < 0 ? 10 : Number(words.splice(at, 2)[1]);
const model = await open(folder);
const found = await model.recommend(model.about.inputs.user ? words[0] : words, k);
console.log(JSON.stringify(found, (_, value) => (typeof value === "bigint" ? String(value) : value)));
