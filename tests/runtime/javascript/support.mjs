// What the tests share: the package under test, models of this tree, images of data sets.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";

export const source = process.env.QAMA_SOURCE;
export const folder = process.env.QAMA_PACKAGE;
export const qama = await import(pathToFileURL(join(folder, "index.mjs")));
/** The modules that this build has; the last one has vectors where there is one. */
export const modules = ["qama-plain.wasm", "qama.wasm"].filter((name) => existsSync(join(folder, name)));
await qama.load({ module: readFileSync(join(folder, modules.at(-1))) });

export const model_bytes = (name) =>
  readFileSync(join(source, "weights/models", `${name}.safetensors`));

/** Images and labels of a test set in IDX files; null where the machine has none. */
export function data_set(name, count) {
  const places = [join(process.env.QAMA_SHARED, "data", name), join("/usr/share/datasets", name)];
  const place = places.find((at) => existsSync(join(at, "t10k-images-idx3-ubyte.gz")));
  if (place === undefined) return null;
  const read = (file) => gunzipSync(readFileSync(join(place, file)));
  const images = read("t10k-images-idx3-ubyte.gz");
  const labels = read("t10k-labels-idx1-ubyte.gz");
  const size = images.readUInt32BE(8) * images.readUInt32BE(12);
  return Array.from({ length: count }, (_, k) => ({
    pixels: new Uint8Array(images.subarray(16 + k * size, 16 + (k + 1) * size)),
    label: labels[8 + k],
  }));
}
