/** Loads the module once; every class below waits for it, and `solve` asks for it. In Node it reads
 * the file beside this one, in a page it fetches it. `simd`: false takes the module without vectors;
 * by default it is taken where the engine has none. `module`: its bytes, or what
 * `WebAssembly.compile` made of them, from elsewhere. */
export function load(options?: {
  simd?: boolean;
  module?: WebAssembly.Module | ArrayBuffer | Uint8Array;
}): Promise<void>;

/** "0.1.0"; empty before load(). */
export const version: string;

/** What every function here throws. */
export class QamaError extends Error {
  /** Stable name, as "MODEL_CHECKSUM_MISMATCH". After OUT_OF_MEMORY and INTERNAL the module is left:
   * models and sessions from before are of no use, and the next load() makes another one. */
  readonly code: string;
}

/** What a model is. */
export interface ModelInfo {
  /** As Model.from was told, else data set and kind of attention. */
  name: string;
  classes: number;
  labels: string[] | null;
  input: "image" | "text" | "features";
  /** Of the image; 0 for other models, and so are channels, patch and columns. */
  height: number;
  width: number;
  channels: number;
  /** Numbers of a token of a model of features, else 0. */
  features: number;
  /** Of a sample; of a text at most. */
  tokens: number;
  /** Tokens in a row of the picture's grid; 0 where they lie in none. */
  columns: number;
  heads: number;
  /** Layers. */
  depth: number;
  /** "qama", "softmax", ... */
  attention: string;
  /** Side of a square patch. */
  patch: number;
  /** Whether its checksum covers the whole file. It was right in either case. */
  sealed: boolean;
  /** Of the file. */
  bytes: number;
}

/** An open, checked model file. Sessions may share one. */
export class Model {
  /** The bytes are copied. Throws what the C API's qama_model_from_memory returns. */
  static from(bytes: ArrayBuffer | Uint8Array, name?: string): Promise<Model>;
  readonly info: ModelInfo;
  /** Gives the memory back; sessions keep what they need. */
  close(): void;
}

/** What a QAMA layer did. Each array is [heads][tokens], head by head. */
export interface Layer {
  /** Block of the model. */
  layer: number;
  heads: number;
  /** That the sample has. */
  tokens: number;
  /** Spins of a token; more than 1 in first-version QAMA only. */
  bits: number;
  /** 1 where a head selects a token, else 0; with several bits, 0 to 2^bits - 1. */
  selected: Uint8Array;
  /** Of tokens, without the penalty. */
  energies: Float32Array;
  /** What flipping a spin adds to problemEnergy: [heads][tokens][bits]. */
  flipCosts: Float32Array;
  /** E(s) of the paper's Eq. 3. */
  problemEnergy: number;
  /** The same without the penalty between heads. */
  pureEnergy: number;
}

export interface Answer {
  /** Number of the class. */
  label: number;
  /** Its name; null if the model has none. */
  name: string | null;
  /** By class. */
  probabilities: Float32Array;
  microseconds: number;
  /** Of explain(); empty for other attention than QAMA. */
  layers?: Layer[];
  /** Of explain() for a text: what the model read, a token each. */
  words?: string[];
  /** Of an image of any size: what the model saw, height x width x channels bytes. */
  pixels?: Uint8Array;
  /** There is nothing to see in the image. */
  blank?: true;
  /** Dark and light changed places. */
  inverted?: true;
  /** Of a text: it is empty, or the model knows none of the words that it read. The answer says
   * nothing of it. */
  unknown?: true;
  /** Of a text: it is longer than the model's tokens, and a part of it was not read. */
  truncated?: true;
}

/** An image of any size with 1 to 4 bytes a pixel (gray, gray and alpha, RGB, RGBA), rows from the
 * top: an ImageData, for example. */
export interface Picture {
  width: number;
  height: number;
  data: Uint8Array | Uint8ClampedArray;
}

export interface SampleOptions {
  /** Of the sample, which decides the annealer's random numbers with the seed; default 0. */
  index?: number;
}

export interface PictureOptions extends SampleOptions {
  /** How a picture of another size becomes the model's; default: as the model's file says. */
  fit?: "model" | "stretch" | "crop" | "pad" | "content";
  /** Whether dark and light change places; default: where the model's file asks for it. */
  invert?: "model" | "auto" | "no" | "yes";
}

/** Runs a model, one sample at a time. */
export class Session {
  /** `device`: "cpu:" or "exact:" or "published:"; `seed` 0: the model file's. */
  static create(model: Model, options?: { device?: string; seed?: bigint | number }): Promise<Session>;
  /** Bytes: height x width x channels of the model, as its data set has them. Floats: the same
   * prepared, [channels][height][width]; or features, [tokens][features]. */
  classify(input: Uint8Array | Uint8ClampedArray | Float32Array, options?: SampleOptions): Answer;
  /** A picture of any size becomes what the model sees as in `qama classify`. */
  classifyImage(picture: Picture, options?: PictureOptions): Answer;
  classifyText(text: string, options?: SampleOptions): Answer;
  /** The same with layers, and with words for a text. */
  explain(input: Uint8Array | Uint8ClampedArray | Float32Array | string | Picture,
          options?: PictureOptions): Answer;
  /** Of the intermediates of classify(). */
  readonly arenaBytes: number;
  close(): void;
}

/** Max-cut: the vertices of each edge, from 0, and its weight (default 1). */
export interface GraphProblem {
  vertices: number;
  edges: Array<[number, number, number?]>;
}

/** A quadratic form: i, j and Q_ij of each term. What occurs again is added. */
export interface QuboProblem {
  variables: number;
  terms: Array<[number, number, number]>;
  maximise?: boolean;
}

export interface Solution {
  /** 0 or 1 for each vertex or variable. */
  answer: Uint8Array;
  /** The weight of the cut, or the value of the form. */
  value: number;
  seconds: number;
  /** All states were tried. */
  optimal: boolean;
  /** onProgress ended the search. */
  stopped: boolean;
}

/** Looks for the best answer; load() comes first. Without `seconds` and `target` the same seed gives
 * the same answer. onProgress hears of each improvement; returning false ends the search. */
export function solve(problem: GraphProblem | QuboProblem, options?: {
  seconds?: number;
  seed?: bigint | number;
  sweeps?: number;
  target?: number;
  /** Answers to begin with: each is improved. */
  initial?: Uint8Array[];
  onProgress?: (value: number, seconds: number, answer: Uint8Array) => boolean | void;
}): Solution;
