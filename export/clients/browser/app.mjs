/** The page: search titles, pick what you like, see what the model recommends. */

import * as ort from "./ort/ort.wasm.min.mjs";
import { Recommender, checked, verify } from "./p5.mjs";

const N_MATCHES = 8;
const N_FOUND = 10;

ort.env.wasm.numThreads = 1; // more would need cross-origin isolation
ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;

const at = (id) => document.getElementById(id);
const read = async (name) => (await fetch(`model/${name}`)).json();

/** The bytes of a model, checked where the browser can hash: at https addresses and on this machine. */
async function model(about, name) {
  const bytes = new Uint8Array(await (await fetch(`model/${name}`)).arrayBuffer());
  return crypto.subtle ? checked(about, name, bytes, sha256) : bytes;
}

const sha256 = async (bytes) =>
  Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), (one) =>
    one.toString(16).padStart(2, "0"),
  ).join("");

/** Everything the page knows. */
const state = { model: null, items: [], liked: [], matches: [], active: -1 };

const titleOf = (one) => one.title || String(one.item);

/** Lower case without accents: "amelie" finds "Amélie". */
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function element(kind, text, attributes = {}) {
  const made = document.createElement(kind);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function button(text, label, act) {
  const made = element("button", text, { type: "button", "aria-label": label });
  made.addEventListener("click", (event) => {
    if (event.detail < 2) act(); // the second of a double click would hit what has taken its place
  });
  return made;
}

/** Show the matches of what is typed. */
function search() {
  const wanted = plain(at("search").value.trim());
  const liked = new Set(state.liked.map((one) => one.item));
  const fits = state.items.filter((one) => !liked.has(one.item) && one.plain.includes(wanted));
  state.matches = wanted ? fits.slice(0, N_MATCHES) : [];
  state.active = state.matches.length ? 0 : -1;
  at("note").textContent = wanted && !fits.length ? "Nothing else has such a title." : "";
  showMatches();
}

function showMatches() {
  at("matches").replaceChildren(
    ...state.matches.map((one, place) => {
      const option = element("li", titleOf(one), {
        role: "option",
        id: `match-${place}`,
        "aria-selected": String(place === state.active),
      });
      option.addEventListener("mousedown", (event) => event.preventDefault()); // keep the focus in the field
      option.addEventListener("click", () => like(one));
      return option;
    }),
  );
  at("matches").hidden = state.matches.length === 0;
  at("search").setAttribute("aria-expanded", String(state.matches.length > 0));
  if (state.active >= 0) at("search").setAttribute("aria-activedescendant", `match-${state.active}`);
  else at("search").removeAttribute("aria-activedescendant");
}

function closeMatches() {
  state.matches = [];
  state.active = -1;
  showMatches();
}

function press(event) {
  if (event.isComposing) return; // Enter and arrows belong to an input method
  const n = state.matches.length;
  if (event.key === "Escape") closeMatches();
  else if (event.key === "Enter" && state.active >= 0) like(state.matches[state.active]);
  else if (event.key === "ArrowDown" && n) state.active = (state.active + 1) % n;
  else if (event.key === "ArrowDown") search(); // opens the list again
  else if (event.key === "ArrowUp" && n) state.active = (state.active + n - 1) % n;
  else return;
  event.preventDefault();
  showMatches();
}

function like(one) {
  if (state.liked.some((other) => other.item === one.item)) return; // a second click before the answer
  state.liked = [...state.liked, one];
  at("search").value = "";
  search();
  show().catch(fail);
}

function unlike(one) {
  state.liked = state.liked.filter((other) => other !== one);
  show().catch(fail);
}

/** Replace the rows of a list; a focus on one of its buttons goes to the button that takes its place. */
function fill(list, rows) {
  const place = [...list.querySelectorAll("button")].indexOf(document.activeElement);
  list.replaceChildren(...rows);
  if (place < 0) return;
  const buttons = list.querySelectorAll("button");
  (buttons[Math.min(place, buttons.length - 1)] ?? at("search")).focus();
}

/** Show what is liked and what the model makes of it. */
async function show() {
  fill(
    at("liked"),
    state.liked.map((one) => {
      const row = document.createElement("li");
      row.append(button(titleOf(one), `Remove ${titleOf(one)}`, () => unlike(one)));
      return row;
    }),
  );
  at("liked-empty").hidden = state.liked.length > 0;
  const asked = state.liked;
  const began = performance.now();
  const found = await state.model.recommend(asked.map((one) => one.item), N_FOUND);
  if (asked !== state.liked) return; // there is a newer question
  const took = Math.max(1, Math.round(performance.now() - began));
  fill(
    at("found"),
    found.map((one) => {
      const row = element("li", "");
      row.append(element("span", titleOf(one)), button("I like it", `I like ${titleOf(one)}`, () => like(one)));
      return row;
    }),
  );
  at("status").textContent = found.length ? `${sourceOf(asked)}, in ${took} ms on this device.` : emptyOf(asked);
}

const sourceOf = (asked) =>
  asked.length ? `From ${asked.length} item${asked.length > 1 ? "s" : ""} you like` : "Popular items";
const emptyOf = (asked) => (asked.length ? "There is nothing left to recommend." : "Pick something you like first.");

/** Every item that may be recommended: popular first, or in alphabetical order where the model has no such answer. */
async function catalogue({ n_items: n, popular, examples }) {
  if (popular) return state.model.recommend([], n);
  const lists = await state.model.recommendBatch(examples.map((id) => [id]), n); // each list lacks its own history
  const items = new Map(lists.flat().map((one) => [one.item, one]));
  return [...items.values()].sort((one, other) => titleOf(one).localeCompare(titleOf(other)));
}

async function start() {
  const about = await read("p5.json");
  if (about.inputs.user) throw new Error("it knows users and reads no history; export a model that does.");
  state.model = new Recommender(ort, about, async (name) => ort.InferenceSession.create(await model(about, name)));
  state.items = (await catalogue(about)).map((one) => ({ ...one, plain: plain(titleOf(one)) }));
  at("about").textContent = `${about.run}: ${state.items.length.toLocaleString()} items, P5 ${about.p5}.`;
  at("search").addEventListener("input", search);
  at("search").addEventListener("keydown", press);
  at("search").addEventListener("blur", closeMatches);
  await show();
  at("search").disabled = false;
  if (new URLSearchParams(location.search).has("verify")) await report(state.model);
}

/** ?verify runs the golden cases in this page. */
async function report(model) {
  const { cases, worst } = await verify(ort, model, await read("golden.json"));
  document.body.dataset.verified = `${cases}`;
  at("about").textContent += ` ${cases} golden cases agree (largest difference ${worst.toExponential(1)}).`;
}

function fail(error) {
  document.body.dataset.failed = error.message;
  at("status").textContent = `The model cannot be used: ${error.message}`;
}

start().catch(fail);
