/**
 * An exported P5 model in JavaScript, the same with onnxruntime-node and onnxruntime-web.
 *
 * Ids are text, or BigInt where the catalogue has integer ids; whole numbers and decimal text are taken as well. What
 * cannot be such an id is a TypeError, as is a list where the model takes a user.
 */

/** Layouts of an export that this client reads. */
const FORMATS = [1, 2];

const PAD_INT = -(2n ** 63n);

/** What fills unused places of a history and of an answer. */
const paddingOf = (kind) => (kind === "int64" ? PAD_INT : "");

/** A tensor of raw ids. */
function idTensor(ort, kind, ids, shape) {
  const data = kind === "int64" ? BigInt64Array.from(ids, whole) : ids.map(text);
  return new ort.Tensor(kind, data, shape);
}

/** An id as BigInt: a BigInt64Array would wrap a larger one into the id of another item. */
function whole(id) {
  const isWhole = typeof id === "bigint" || Number.isSafeInteger(id) || (typeof id === "string" && /^[+-]?\d{1,19}$/.test(id));
  const value = isWhole ? BigInt(id) : null;
  if (value === null || BigInt.asIntN(64, value) !== value) {
    throw new TypeError(`The ids of this model are 64-bit integers; got ${String(id)}.`);
  }
  return value;
}

/** An id as text. ONNX Runtime would cut one with a NUL into the id of another item; no model knows one, nor padding. */
function text(id) {
  const isId = typeof id === "string" || typeof id === "bigint" || Number.isSafeInteger(id);
  if (!isId) throw new TypeError(`The ids of this model are texts; got ${String(id)}.`);
  return String(id).includes("\0") ? "" : String(id);
}

export class Recommender {
  #ort;
  #open;
  #sessions = new Map();

  /**
   * @param ort the module onnxruntime-node or onnxruntime-web
   * @param about the content of p5.json
   * @param open (file name) => Promise of an InferenceSession of the file whose hash is in about.files
   */
  constructor(ort, about, open) {
    if (!FORMATS.includes(about?.format)) {
      throw new Error(`This export has format ${about?.format}; this client reads ${FORMATS.join(" and ")}.`);
    }
    this.#ort = ort;
    this.#open = open;
    this.about = about;
  }

  /** The k best items for a history of ids, oldest first (or a user): [{item, score, ...columns}]. */
  async recommend(who, k = 10) {
    return (await this.recommendBatch([who], k))[0];
  }

  /** `recommend` for several histories or users in one call. */
  async recommendBatch(many, k = 10) {
    if (!Array.isArray(many)) throw new TypeError(`Give a list of histories or users; got ${String(many)}.`);
    if (many.length === 0) return [];
    if (!Number.isSafeInteger(k) || k < 0) throw new RangeError(`k is ${k}; ask for 0 items or more.`);
    const session = await this.session("model.onnx");
    const wanted = new this.#ort.Tensor("int64", BigInt64Array.from([BigInt(k)]), [1]);
    const found = await session.run({ ...this.#who(many), k: wanted });
    const columns = Object.keys(this.about.outputs).filter((name) => !["items", "scores"].includes(name));
    const width = found.items.dims[1];
    const padding = paddingOf(this.about.id_kind);
    return many.map((_, row) =>
      Array.from({ length: width }, (_, place) => row * width + place)
        .filter((place) => found.items.data[place] !== padding)
        .map((place) => ({
          ...Object.fromEntries(columns.map((name) => [name, found[name].data[place]])),
          item: found.items.data[place],
          score: found.scores.data[place],
        })),
    );
  }

  /** Scores of candidate items, -Infinity for unknown ones, and `ratings` where the model predicts any. */
  async score(who, candidates) {
    if (!Array.isArray(candidates)) throw new TypeError(`Candidates are a list of item ids; got ${String(candidates)}.`);
    const session = await this.session("score.onnx");
    const wanted = idTensor(this.#ort, this.about.id_kind, candidates, [1, candidates.length]);
    const found = await session.run({ ...this.#who([who]), candidates: wanted });
    return Object.fromEntries(Object.keys(found).map((name) => [name, Array.from(found[name].data)]));
  }

  /** A session, opened when it is first used. */
  session(name) {
    if (!this.#sessions.has(name)) this.#sessions.set(name, this.#open(name));
    return this.#sessions.get(name);
  }

  /** The input `history`, padded to the longest, or `user`. */
  #who(many) {
    if (this.about.inputs.user) {
      if (many.some(Array.isArray)) throw new TypeError("This model reads no history. Give a user instead of a list.");
      return { user: idTensor(this.#ort, this.about.user_kind, many, [many.length]) };
    }
    const wrong = many.find((history) => !Array.isArray(history));
    if (wrong !== undefined) throw new TypeError(`A history is a list of item ids, oldest first; got ${wrong}.`);
    const kind = this.about.id_kind;
    const length = many.reduce((longest, history) => Math.max(longest, history.length), 0);
    const padded = many.flatMap((history) => [...history, ...Array(length - history.length).fill(paddingOf(kind))]);
    return { history: idTensor(this.#ort, kind, padded, [many.length, length]) };
  }
}

/**
 * The bytes of a file of an export, when they are those that p5.json lists: a folder may have been replaced by another
 * version since p5.json was read.
 *
 * @param sha256 (bytes) => Promise of the hash in hex
 */
export async function checked(about, name, bytes, sha256) {
  if ((await sha256(bytes)) !== about.files[name]) {
    throw new Error(`${name} is not the file that p5.json lists: the export was changed or replaced. Open it again.`);
  }
  return bytes;
}

/** Run every case of golden.json; returns {cases, worst} or throws with the first difference. */
export async function verify(ort, recommender, golden) {
  let cases = 0;
  let worst = 0;
  for (const [file, listed] of Object.entries(golden)) {
    const session = await recommender.session(file);
    for (const [number, one] of listed.entries()) {
      const found = await session.run(tensorsOf(ort, one.inputs, recommender.about, file));
      worst = Math.max(worst, compare(`${file}, case ${number}`, found, one.outputs, recommender.about.tolerance));
      cases += 1;
    }
  }
  if (cases === 0) throw new Error("golden.json holds no cases.");
  return { cases, worst };
}

function tensorsOf(ort, inputs, about, file) {
  const signature = file === "model.onnx" ? about.inputs : about.score_inputs;
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [
      name,
      idTensor(ort, signature[name][0], valuesOf(value), shapeOf(value)),
    ]),
  );
}

/** Values and shape of a tensor of golden.json; one without a row is {shape}. */
const valuesOf = (tensor) => tensor.flat?.() ?? [];
const shapeOf = (tensor) =>
  tensor.shape ?? (Array.isArray(tensor[0]) ? [tensor.length, tensor[0].length] : [tensor.length]);

/** Infinities are close to themselves alone. */
const isClose = (one, other, { relative, absolute }) =>
  one === other || (Number.isFinite(other) && Math.abs(one - other) <= absolute + relative * Math.abs(other));

/** Largest difference of two scores; items may change places only where scores are equal. */
function compare(where, found, wanted, tolerance) {
  const [, width] = shapeOf(wanted.scores);
  const scores = valuesOf(wanted.scores).map((one) => one ?? -Infinity);
  const isTied = (place) =>
    place % width === width - 1 ||
    isClose(scores[place], scores[place + 1], tolerance) ||
    (place % width > 0 && isClose(scores[place], scores[place - 1], tolerance));
  let worst = 0;
  for (const [name, rows] of Object.entries(wanted)) {
    const { data, dims } = found[name];
    if (`${dims}` !== `${shapeOf(rows)}`) throw new Error(`${where}: ${name} has shape ${dims}, had ${shapeOf(rows)}.`);
    valuesOf(rows).forEach((value, place) => {
      const given = data[place];
      if (typeof valuesOf(rows)[0] === "number" || name === "scores") {
        const other = value ?? -Infinity;
        if (!isClose(given, other, tolerance)) throw new Error(`${where}: ${name}[${place}] is ${given}, was ${other}.`);
        if (Number.isFinite(other)) worst = Math.max(worst, Math.abs(given - other));
      } else if (String(given) !== value && !isTied(place)) {
        throw new Error(`${where}: ${name}[${place}] is ${given}, was ${value}.`);
      }
    });
  }
  return worst;
}
