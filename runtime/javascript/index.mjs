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
  return response.arrayBuffer();
}

async function instantiate({ simd = WebAssembly.validate(SIMD_PROBE), module } = {}) {
  if (!(module instanceof WebAssembly.Module)) {
    // Written out, so that bundlers find both files.
    module ??= await fetched(simd ? new URL("./qama.wasm", import.meta.url)
                                  : new URL("./qama-plain.wasm", import.meta.url));
    module = await WebAssembly.compile(module);
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

function seed_of(seed, otherwise) {
  const value = BigInt(seed ?? otherwise);
  if (value < 0n || value >= 1n << 64n) throw bad(`seed ${seed}, expected 0 to 2^64 - 1`);
  return value;
}

// ---- models -------------------------------------------------------------------------------------

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
  #handle;
  #sessions = 0;
  #exports = exports;

  static async from(data, name) {
    await load();
    const file = data instanceof ArrayBuffer ? new Uint8Array(data)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
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

  /** @package For Session: runs `body` on the handle, which is there until release(). */
  _take() {
    if (this.#handle === 0) throw bad("the model is closed");
    if (this.#exports !== exports) throw new QamaError("UNSUPPORTED", "the module has ended");
    ++this.#sessions;
    return this.#handle;
  }
  _release() {
    if (--this.#sessions === 0 && this.#handle === 0) this.#free();
  }
  #free() {
    if (this.#exports === exports) exports.free(this.#memory);
  }

  /** Sessions keep what they need. */
  close() {
    if (this.#handle === 0) return;
    if (this.#exports === exports) exports.qama_model_close(this.#handle);
    this.#handle = 0;
    if (this.#sessions === 0) this.#free();
  }
}

// ---- sessions -----------------------------------------------------------------------------------

const KEPT = 9;  // doubles that a function of module.cpp gives, at most

export class Session {
  #model;
  #handles = {};
  #options;
  #exports = exports;

  static async create(model, options = {}) {
    await load();
    const out = new Session();
    out.#model = model;
    out.#options = { device: options.device ?? "cpu:", seed: seed_of(options.seed, 0) };
    model._take();
    try {
      out.#handle(0);
      out.arenaBytes = out.#with_device((device, at) => {
        const handle = model._take();
        model._release();
        check(inside(() => exports.session_arena_bytes(handle, device, at)));
        return view().getUint32(at, true);
      });
    } catch (error) {
      model._release();
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
      const model = this.#model._take();
      this.#model._release();
      check(inside(() => exports.session_create(model, device, this.#options.seed, explain, at)));
      return view().getUint32(at, true);
    });
    return this.#handles[explain];
  }

  #answer(explain, input, index, run) {
    const session = this.#handle(explain);
    const { classes, labels } = this.#model.info;
    exports.qama_session_set_first_sample(session, BigInt(index));
    return with_memory([input.byteLength, 8 * KEPT, 4 * classes], (data, out, probabilities) => {
      bytes().set(new Uint8Array(input.buffer, input.byteOffset, input.byteLength), data);
      check(inside(() => run(session, data, out, probabilities)));
      const [label, microseconds, layers, words, blank, inverted] = doubles(out, 6);
      const answer = { label, name: labels?.[label] ?? null,
                       probabilities: floats(probabilities, classes), microseconds };
      if (blank === 1) answer.blank = true;
      if (inverted === 1) answer.inverted = true;
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
    if (input.length !== count) throw bad(`${input.length} numbers, expected ${count}`);
    if (input instanceof Float32Array) {
      return this.#answer(explain, input, index, (session, data, out, probabilities) =>
        exports.answer_f32(session, data, out, probabilities));
    }
    this.#needs("image");
    if (!(input instanceof Uint8Array || input instanceof Uint8ClampedArray)) {
      throw bad("expected a Uint8Array or a Float32Array");
    }
    return this.#answer(explain, input, index, (session, data, out, probabilities) =>
      exports.answer_image(session, data, width, height, channels, 0, INVERT_NO, out,
                           probabilities));
  }

  #image(explain, image, { fit = "model", invert = "model", index = 0 } = {}) {
    this.#needs("image");
    const { width, height, data } = image;
    const channels = data.length / (width * height);
    if (![1, 2, 3, 4].includes(channels)) {
      throw bad(`${data.length} bytes for ${width} x ${height} pixels, expected 1 to 4 each`);
    }
    const [how, turned] = [FITS.indexOf(fit), INVERTS.indexOf(invert)];
    if (how < 0 || turned < 0) throw bad(`fit '${fit}', invert '${invert}': see index.d.ts`);
    const answer = this.#answer(explain, data, index, (session, at, out, probabilities) =>
      exports.answer_image(session, at, width, height, channels, how, turned, out, probabilities));
    const seen = exports.qama_session_pixels(this.#handle(explain), 0);
    const model = this.#model.info;
    answer.pixels = bytes().slice(seen, seen + model.height * model.width * model.channels);
    return answer;
  }

  #text(explain, input, index) {
    this.#needs("text");
    return this.#answer(explain, utf8.encode(`${input.replaceAll("\0", " ")}\0`), index,
      (session, data, out, probabilities) => exports.answer_text(session, data, out, probabilities));
  }

  classify(input, { index = 0 } = {}) {
    return this.#numbers(0, input, index);
  }
  classifyText(input, { index = 0 } = {}) {
    return this.#text(0, input, index);
  }
  classifyImage(image, options) {
    return this.#image(0, image, options);
  }
  explain(input, options = {}) {
    const index = options.index ?? 0;
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
  const pairs = problem.edges ?? problem.terms;
  if (!Array.isArray(pairs)) throw bad("a problem without edges or terms");
  const count = pairs.length;
  const sign = problem.terms !== undefined && problem.maximise ? -1 : 1;
  const first = Int32Array.from(pairs, (pair) => pair[0]);
  const second = Int32Array.from(pairs, (pair) => pair[1]);
  const weights = Float64Array.from(pairs, (pair) => sign * (pair[2] ?? 1));
  return with_memory([4 * count, 4 * count, 8 * count, 4], (i, j, w, at) => {
    const all = bytes();
    all.set(new Uint8Array(first.buffer), i);
    all.set(new Uint8Array(second.buffer), j);
    all.set(new Uint8Array(weights.buffer), w);
    check(inside(() => problem.edges !== undefined
      ? exports.qama_problem_from_graph(problem.vertices, BigInt(count), i, j, w, at)
      : exports.qama_problem_from_terms(problem.variables, BigInt(count), i, j, w, 0, at)));
    return view().getUint32(at, true);
  });
}

export function solve(problem, options = {}) {
  if (exports === null) throw new QamaError("UNSUPPORTED", "no module: wait for load() first");
  const variables = problem.vertices ?? problem.variables;
  const maximises = problem.edges !== undefined || problem.maximise === true;
  const turned = problem.edges === undefined && problem.maximise === true;
  const value_of = (value) => (turned ? -value : value);
  const handle = open_problem(problem);
  const outer = progress;
  try {
    const initial = options.initial ?? [];
    return with_memory([variables, 8 * KEPT, variables * initial.length], (answer, out, given) => {
      initial.forEach((one, k) => {
        if (one.length !== variables) throw bad(`an answer of ${one.length}, expected ${variables}`);
        bytes().set(one, given + k * variables);
      });
      let best = null;
      progress = (value, seconds, at) => {
        const now = value_of(value);
        if (best !== null && !(maximises ? now > best : now < best)) return undefined;
        best = now;
        return options.onProgress(now, seconds, bytes().slice(at, at + variables));
      };
      thrown = null;
      const target = options.target === undefined ? NaN : value_of(options.target);
      check(inside(() => exports.solve(
        handle, seed_of(options.seed, 1), options.sweeps ?? -1, 1000 * (options.seconds ?? 0),
        target, given, initial.length, options.onProgress ? 1 : 0, answer, out)));
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
