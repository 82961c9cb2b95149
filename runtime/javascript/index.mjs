// The qama package: models, sessions and the annealer, in Node and in pages. What it offers is
// described in index.d.ts. It calls the functions of module.cpp and of the C API; nothing of the
// module's memory leaves this file.

const SIMD_PROBE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11);
const utf8 = new TextEncoder();
const text = new TextDecoder();
const INVERT_NO = 2;
const FITS = ["model", "stretch", "crop", "pad", "content"];
const INVERTS = ["model", "auto", "no", "yes"];

let exports = null;
let loading = null;
let progress = null;
let thrown = null;

export let version = "";

export class QamaError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "QamaError";
    this.code = code;
  }
}

const bad = (message) => new QamaError("INVALID_ARGUMENT", message);

/** What was given, for a sentence. */
function shown(value) {
  if (typeof value === "string") return `'${value.slice(0, 40)}'`;
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "an array" : `a ${value.constructor?.name ?? "object"}`;
}

function whole(what, value, least, most, code = "INVALID_ARGUMENT") {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new QamaError(Number.isSafeInteger(value) ? code : "INVALID_ARGUMENT",
                      `${what} is ${shown(value)}, expected a whole number from ${least} to ${most}`);
}

/** A number of 64 bits, of a bigint or a whole number. */
function word(what, value) {
  const number = typeof value === "bigint" ? value
    : BigInt(whole(what, value, 0, Number.MAX_SAFE_INTEGER));
  if (number >= 0n && number < 1n << 64n) return number;
  throw bad(`${what} is ${shown(value)}, expected 0 to 2^64 - 1`);
}

function real(what, value, least = -Number.MAX_VALUE) {
  if (typeof value === "number" && Number.isFinite(value) && value >= least) return value;
  throw bad(`${what} is ${shown(value)}, expected a number${least === 0 ? " of 0 or more" : ""}`);
}

/** Options that a caller may leave out. */
function options_of(value) {
  if (value === undefined) return {};
  if (typeof value === "object" && value !== null) return value;
  throw bad(`the options are ${shown(value)}, expected an object`);
}

const is_bytes = (value) => value instanceof Uint8Array || value instanceof Uint8ClampedArray;
const MOST = 2 ** 31 - 1;

// ---- the module ---------------------------------------------------------------------------------

const bytes = () => new Uint8Array(exports.memory.buffer);
const view = () => new DataView(exports.memory.buffer);

/** What a module without an operating system asks for; of files it has none. */
const ENOSYS = 52;
const system = {
  clock_time_get(_clock, _precision, out) {
    view().setBigUint64(out, BigInt(Math.round(performance.now() * 1e6)), true);
    return 0;
  },
  proc_exit(status) {
    throw new QamaError("INTERNAL", `the module ended with status ${status}`);
  },
  fd_write(_file, parts, count, written) {
    let size = 0;
    for (let k = 0; k < count; ++k) size += view().getUint32(parts + 8 * k + 4, true);
    view().setUint32(written, size, true);
    return 0;
  },
};
const own = {
  no_memory() {
    throw new QamaError("OUT_OF_MEMORY", "no memory left");
  },
  progress(value, milliseconds, answer) {
    try {
      return progress(value, milliseconds / 1000, answer) === false ? 1 : 0;
    } catch (error) {
      thrown = { error };
      return 1;
    }
  },
};

/** Throws, after which what the module has in memory is not to be trusted, leave no module. */
function inside(call) {
  try {
    return call();
  } catch (error) {
    exports = null;
    loading = null;
    if (error instanceof QamaError) throw error;
    throw new QamaError("INTERNAL", `the module ended: ${error.message}`);
  }
}

async function fetched(url) {
  if (url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises");
    return readFile(url);
  }
  const response = await fetch(url);
  if (!response.ok) throw new QamaError("NOT_FOUND", `${url}: status ${response.status}`);
  // Compiled while it comes in, where the server says what it is.
  if (response.headers.get("content-type")?.startsWith("application/wasm"))
    return WebAssembly.compileStreaming(response);
  return response.arrayBuffer();
}

/** What `work` gives; what it throws becomes a QamaError. */
async function tried(code, what, work) {
  try {
    return await work();
  } catch (error) {
    throw error instanceof QamaError ? error : new QamaError(code, `${what}: ${error.message}`);
  }
}

async function instantiate(options) {
  let { simd = WebAssembly.validate(SIMD_PROBE), module } = options_of(options);
  if (!(module instanceof WebAssembly.Module)) {
    // Written out, so that bundlers find both files.
    const url = simd ? new URL("./qama.wasm", import.meta.url) : new URL("./qama-plain.wasm", import.meta.url);
    module ??= await tried("IO_ERROR", url, () => fetched(url));
    if (!(module instanceof WebAssembly.Module)) {
      const given = module;
      module = await tried("INVALID_ARGUMENT", `${shown(given)} is no module`, () => WebAssembly.compile(given));
    }
  }
  const given = { qama: own };
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (from !== "qama") (given[from] ??= {})[name] = system[name] ?? (() => ENOSYS);
  }
  exports = (await WebAssembly.instantiate(module, given)).exports;
  exports._initialize?.();
  exports.start();
  version = string(exports.qama_version());
}

export function load(options) {
  loading ??= instantiate(options).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

function string(address) {
  if (address === 0) return null;
  const all = bytes();
  return text.decode(all.subarray(address, all.indexOf(0, address)));
}

function check(status) {
  if (status === 0) return;
  throw new QamaError(string(exports.qama_status_name(status)), string(exports.qama_last_error()));
}

/** Runs `body` with `sizes` bytes of memory each, which are given back behind it. */
function with_memory(sizes, body) {
  if (exports === null) throw new QamaError("UNSUPPORTED", "no module: wait for load() first");
  const addresses = [];
  try {
    for (const size of sizes) {
      const address = exports.malloc(Math.max(size, 1));
      if (address === 0) throw new QamaError("OUT_OF_MEMORY", `no memory left for ${size} bytes`);
      addresses.push(address);
    }
    return body(...addresses);
  } finally {
    if (exports !== null) for (const address of addresses) exports.free(address);
  }
}

const doubles = (address, count) =>
  new Float64Array(exports.memory.buffer.slice(address, address + 8 * count));
const floats = (address, count) =>
  new Float32Array(exports.memory.buffer.slice(address, address + 4 * count));

// ---- models -------------------------------------------------------------------------------------

/** The bytes of a buffer or of a view. */
function viewed(what, data) {
  try {
    return data instanceof ArrayBuffer ? new Uint8Array(data)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  } catch {
    throw bad(`${what} are gone: their buffer is detached`);
  }
}

/** The record of a file that the module has checked. */
function info_of(file, model, name) {
  const size = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const data = JSON.parse(text.decode(file.subarray(8, 8 + size))).__metadata__;
  const record = JSON.parse(data.architecture);
  const options = JSON.parse(data.training ?? "{}").options ?? {};
  const height = exports.qama_model_image_height(model);
  const width = exports.qama_model_image_width(model);
  const [rows, columns] = record.token_pool ?? [1, 1];
  const patch = record.patch ?? 0;
  const tokens = height > 0
    ? height / patch / rows * (width / patch / columns) + (record.class_tokens ?? 0)
    : exports.qama_model_max_tokens(model);
  const features = exports.qama_model_feature_width(model);
  return Object.freeze({
    name: name ?? (options.dataset ? `${options.dataset}-${record.attention.kind}` : "model"),
    classes: exports.qama_model_classes(model),
    labels: data.labels === undefined ? null : JSON.parse(data.labels),
    input: height > 0 ? "image" : features > 0 ? "features" : "text",
    height,
    width,
    channels: exports.qama_model_image_channels(model),
    features,
    tokens,
    columns: height > 0 && !record.class_tokens ? width / patch / columns : 0,
    heads: record.heads,
    depth: record.depth,
    attention: record.attention.kind,
    patch,
    sealed: data.format_version !== "1",
    bytes: file.length,
  });
}

export class Model {
  #memory;
  #handle = 0;
  #sessions = 0;
  #closed = false;
  #exports = exports;

  static async from(data, name) {
    if (!(data instanceof ArrayBuffer) && !ArrayBuffer.isView(data))
      throw bad(`a model is ${shown(data)}, expected an ArrayBuffer or a Uint8Array`);
    await load();
    const file = viewed("the model's bytes", data);
    const out = new Model();
    out.#memory = exports.malloc(Math.max(file.length, 1));
    if (out.#memory === 0) throw new QamaError("OUT_OF_MEMORY", "no memory left for the model");
    try {
      bytes().set(file, out.#memory);
      out.#handle = with_memory([4], (at) => {
        check(inside(() => exports.qama_model_from_memory(out.#memory, file.length, at)));
        return view().getUint32(at, true);
      });
    } catch (error) {
      exports?.free(out.#memory);
      throw error;
    }
    out.info = info_of(file, out.#handle, name);
    return out;
  }

  /** @package For Session: the model stays until release(), also where it is closed meanwhile. */
  _take() {
    if (this.#closed || this.#handle === 0) throw bad("the model is closed");
    if (this.#exports !== exports) throw new QamaError("UNSUPPORTED", "the module has ended");
    ++this.#sessions;
  }
  _release() {
    --this.#sessions;
    this.#free();
  }
  /** @package Between take and release. */
  get _handle() {
    return this.#handle;
  }
  #free() {
    if (!this.#closed || this.#sessions > 0 || this.#handle === 0) return;
    if (this.#exports === exports) {
      exports.qama_model_close(this.#handle);
      exports.free(this.#memory);
    }
    this.#handle = 0;
  }

  /** Sessions keep what they need. */
  close() {
    this.#closed = true;
    this.#free();
  }
}

// ---- sessions -----------------------------------------------------------------------------------

const KEPT = 9;  // doubles that a function of module.cpp gives, at most

export class Session {
  #model;
  #handles = {};
  #options;
  #exports = exports;

  static async create(model, options) {
    if (!(model instanceof Model)) throw bad(`the model is ${shown(model)}, expected a Model`);
    const given = options_of(options);
    const device = given.device ?? "cpu:";
    if (typeof device !== "string" || device.includes("\0"))
      throw bad(`device is ${shown(device)}, expected a string without zeros`);
    const out = new Session();
    out.#model = model;
    out.#options = { device, seed: word("seed", given.seed ?? 0) };
    await load();
    model._take();
    try {
      out.#handle(0);
      out.arenaBytes = out.#with_device((device, at) => {
        check(inside(() => exports.session_arena_bytes(model._handle, device, at)));
        return view().getUint32(at, true);
      });
    } catch (error) {
      out.close();
      throw error;
    }
    return out;
  }

  #with_device(body) {
    const device = utf8.encode(`${this.#options.device}\0`);
    return with_memory([device.length, 4], (name, at) => {
      bytes().set(device, name);
      return body(name, at);
    });
  }

  /** The session that explains is made when it is asked for: an answer alone is sooner without. */
  #handle(explain) {
    if (this.#handles === null) throw bad("the session is closed");
    if (this.#exports !== exports) throw new QamaError("UNSUPPORTED", "the module has ended");
    this.#handles[explain] ??= this.#with_device((device, at) => {
      check(inside(() => exports.session_create(this.#model._handle, device, this.#options.seed, explain, at)));
      return view().getUint32(at, true);
    });
    return this.#handles[explain];
  }

  #answer(explain, input, index, run) {
    const first = word("index", index);
    const session = this.#handle(explain);
    const { classes, labels } = this.#model.info;
    exports.qama_session_set_first_sample(session, first);
    return with_memory([input.byteLength, 8 * KEPT, 4 * classes], (data, out, probabilities) => {
      bytes().set(new Uint8Array(input.buffer, input.byteOffset, input.byteLength), data);
      check(inside(() => run(session, data, out, probabilities)));
      const [label, microseconds, layers, words, blank, inverted, unknown, truncated] = doubles(out, 8);
      const answer = { label, name: labels?.[label] ?? null,
                       probabilities: floats(probabilities, classes), microseconds };
      if (blank === 1) answer.blank = true;
      if (inverted === 1) answer.inverted = true;
      if (this.#model.info.input === "text") {
        if (words === 0 || unknown === Math.min(words, this.#model.info.tokens)) answer.unknown = true;
        if (truncated === 1) answer.truncated = true;
      }
      if (explain === 1) {
        answer.layers = [];
        for (let k = 0; k < layers; ++k) answer.layers.push(this.#layer(session, k));
        if (words > 0) answer.words = this.#words(session);
      }
      return answer;
    });
  }

  #layer(session, number) {
    return with_memory([8 * KEPT], (out) => {
      check(exports.session_layer(session, number, out));
      const [layer, heads, tokens, bits, problemEnergy, pureEnergy, selected, energies, costs] =
        doubles(out, 9);
      return {
        layer, heads, tokens, bits,
        selected: bytes().slice(selected, selected + heads * tokens),
        energies: Float32Array.from(doubles(energies, heads * tokens)),
        flipCosts: Float32Array.from(doubles(costs, heads * tokens * bits)),
        problemEnergy, pureEnergy,
      };
    });
  }

  #words(session) {
    const out = [];
    for (let k = 0; ; ++k) {
      const word = string(exports.qama_session_word(session, 0, k));
      if (word === null) return out;
      out.push(word);
    }
  }

  #needs(kind) {
    const { input } = this.#model.info;
    if (input !== kind) {
      throw new QamaError("MODEL_WRONG_KIND",
                          `the model classifies ${input} input, and was given ${kind} input`);
    }
  }

  #numbers(explain, input, index) {
    const { input: kind, height, width, channels, tokens, features } = this.#model.info;
    if (kind === "text") this.#needs("image");
    const count = kind === "image" ? height * width * channels : tokens * features;
    if (!(input instanceof Float32Array) && !is_bytes(input))
      throw bad(`the input is ${shown(input)}, expected a Uint8Array or a Float32Array`);
    if (input.length !== count) throw bad(`${input.length} numbers, expected ${count}`);
    if (input instanceof Float32Array) {
      return this.#answer(explain, input, index, (session, data, out, probabilities) =>
        exports.answer_f32(session, data, out, probabilities));
    }
    this.#needs("image");
    return this.#answer(explain, input, index, (session, data, out, probabilities) =>
      exports.answer_image(session, data, width, height, channels, 0, INVERT_NO, out,
                           probabilities));
  }

  #image(explain, image, options) {
    this.#needs("image");
    const { fit = "model", invert = "model", index = 0 } = options_of(options);
    const { width, height, data } = image ?? {};
    whole("width", width, 1, MOST);
    whole("height", height, 1, MOST);
    if (!is_bytes(data)) throw bad(`data is ${shown(data)}, expected a Uint8Array`);
    const channels = data.length / (width * height);
    if (![1, 2, 3, 4].includes(channels)) {
      throw bad(`${data.length} bytes for ${width} x ${height} pixels, expected 1 to 4 each`);
    }
    const [how, turned] = [FITS.indexOf(fit), INVERTS.indexOf(invert)];
    if (how < 0 || turned < 0) throw bad(`fit is ${shown(fit)} and invert ${shown(invert)}: see index.d.ts`);
    const answer = this.#answer(explain, data, index, (session, at, out, probabilities) =>
      exports.answer_image(session, at, width, height, channels, how, turned, out, probabilities));
    const seen = exports.qama_session_pixels(this.#handle(explain), 0);
    const model = this.#model.info;
    answer.pixels = bytes().slice(seen, seen + model.height * model.width * model.channels);
    return answer;
  }

  #text(explain, input, index) {
    this.#needs("text");
    if (typeof input !== "string") throw bad(`the text is ${shown(input)}, expected a string`);
    return this.#answer(explain, utf8.encode(`${input.replaceAll("\0", " ")}\0`), index,
      (session, data, out, probabilities) => exports.answer_text(session, data, out, probabilities));
  }

  classify(input, options) {
    const { index = 0 } = options_of(options);
    return this.#numbers(0, input, index);
  }
  classifyText(input, options) {
    const { index = 0 } = options_of(options);
    return this.#text(0, input, index);
  }
  classifyImage(image, options) {
    return this.#image(0, image, options);
  }
  explain(input, options) {
    const { index = 0 } = options_of(options);
    if (typeof input === "string") return this.#text(1, input, index);
    if (ArrayBuffer.isView(input)) return this.#numbers(1, input, index);
    return this.#image(1, input, options);
  }

  close() {
    if (this.#handles === null) return;
    if (this.#exports === exports) {
      for (const handle of Object.values(this.#handles)) exports.qama_session_destroy(handle);
    }
    this.#handles = null;
    this.#model._release();
  }
}

// ---- the annealer -------------------------------------------------------------------------------

function open_problem(problem) {
  const is_graph = problem.edges !== undefined;
  const [what, size, pairs] = is_graph ? ["edge", problem.vertices, problem.edges]
    : ["term", problem.variables, problem.terms];
  whole(is_graph ? "vertices" : "variables", size, 1, MOST);
  if (!Array.isArray(pairs))
    throw bad(`${what}s is ${shown(pairs)}, expected an array: a problem has edges or terms`);
  const count = pairs.length;
  const sign = problem.maximise && !is_graph ? -1 : 1;
  const first = new Int32Array(count);
  const second = new Int32Array(count);
  const weights = new Float64Array(count);
  for (let k = 0; k < count; ++k) {
    const pair = pairs[k];
    const words = pair?.length;
    if (words !== 3 && !(is_graph && words === 2))
      throw bad(`${what} ${k} is ${shown(pair)}, expected two numbers and a weight`);
    first[k] = whole(`${what} ${k}`, pair[0], 0, size - 1, "INDEX_OUT_OF_RANGE");
    second[k] = whole(`${what} ${k}`, pair[1], 0, size - 1, "INDEX_OUT_OF_RANGE");
    const weight = pair[2] ?? 1;
    if (typeof weight !== "number")
      throw bad(`the weight of ${what} ${k} is ${shown(weight)}, expected a number`);
    weights[k] = sign * weight;
  }
  return with_memory([4 * count, 4 * count, 8 * count, 4], (i, j, w, at) => {
    const all = bytes();
    all.set(new Uint8Array(first.buffer), i);
    all.set(new Uint8Array(second.buffer), j);
    all.set(new Uint8Array(weights.buffer), w);
    check(inside(() => is_graph
      ? exports.qama_problem_from_graph(size, BigInt(count), i, j, w, at)
      : exports.qama_problem_from_terms(size, BigInt(count), i, j, w, 0, at)));
    return view().getUint32(at, true);
  });
}

/** Options of solve(), checked. */
function search_of(options, variables) {
  const { seconds = 0, seed = 1, sweeps = -1, target, initial = [], onProgress } = options_of(options);
  if (onProgress !== undefined && typeof onProgress !== "function")
    throw bad(`onProgress is ${shown(onProgress)}, expected a function`);
  if (!Array.isArray(initial)) throw bad(`initial is ${shown(initial)}, expected an array`);
  initial.forEach((answer, k) => {
    if (answer?.length !== variables)
      throw bad(`initial ${k} has ${shown(answer?.length)} values, expected ${variables}`);
    for (let at = 0; at < variables; ++at) {
      if (answer[at] !== 0 && answer[at] !== 1)
        throw bad(`initial ${k}: value ${at} is ${shown(answer[at])}, expected 0 or 1`);
    }
  });
  return {
    milliseconds: 1000 * real("seconds", seconds, 0),
    seed: word("seed", seed),
    sweeps: whole("sweeps", sweeps, -1, MOST),
    target: target === undefined ? NaN : real("target", target),
    initial,
    onProgress,
  };
}

export function solve(problem, options) {
  if (exports === null) throw new QamaError("UNSUPPORTED", "no module: wait for load() first");
  if (typeof problem !== "object" || problem === null)
    throw bad(`the problem is ${shown(problem)}, expected edges or terms`);
  const is_graph = problem.edges !== undefined;
  const variables = is_graph ? problem.vertices : problem.variables;
  const maximises = is_graph || Boolean(problem.maximise);
  const turned = !is_graph && maximises;
  const value_of = (value) => (turned ? -value : value);
  const handle = open_problem(problem);
  const outer = progress;
  try {
    const search = search_of(options, variables);
    const { initial, onProgress } = search;
    return with_memory([variables, 8 * KEPT, variables * initial.length], (answer, out, given) => {
      initial.forEach((one, k) => bytes().set(one, given + k * variables));
      let best = null;
      progress = (value, seconds, at) => {
        const now = value_of(value);
        if (best !== null && !(maximises ? now > best : now < best)) return undefined;
        best = now;
        return onProgress(now, seconds, bytes().slice(at, at + variables));
      };
      thrown = null;
      check(inside(() => exports.solve(
        handle, search.seed, search.sweeps, search.milliseconds, value_of(search.target), given,
        initial.length, onProgress ? 1 : 0, answer, out)));
      if (thrown !== null) throw thrown.error;
      const [value, seconds, optimal, stopped] = doubles(out, 4);
      return { answer: bytes().slice(answer, answer + variables), value: value_of(value), seconds,
               optimal: optimal === 1, stopped: stopped === 1 };
    });
  } finally {
    progress = outer;
    exports?.qama_problem_close(handle);
  }
}
