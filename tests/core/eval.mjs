#!/usr/bin/env node
// `qama eval` for the npm package, as far as tests/device/same_labels.py asks for it:
//   eval.mjs PACKAGE eval -q -m MODEL --dataset NAME --data DIR --answers FILE (--limit N | --shard 0/N)
// Writes FILE as `qama eval` does: index, label, answer and its probability, a line a sample.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";

const { positionals: [folder], values: options } = parseArgs({ allowPositionals: true, options: {
  model: { type: "string", short: "m" }, quiet: { type: "boolean", short: "q" }, dataset: { type: "string" },
  data: { type: "string" }, answers: { type: "string" }, limit: { type: "string" }, shard: { type: "string" },
} });

function lines_of(file) {
  const lines = readFileSync(file, "utf8").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** The test set, a { label, pixels or text } a sample. */
function samples() {
  const at = (name) => join(options.data, name);
  if (options.dataset === "sst2") {
    return lines_of(at("dev.tsv")).slice(1).map((line) => {
      const tab = line.lastIndexOf("\t");
      return { text: line.slice(0, tab), label: Number(line.slice(tab + 1)) };
    });
  }
  if (options.dataset === "imdb") {
    // label, rating, id, text. One class comes after the other there; samples alternate between them.
    const reviews = lines_of(at("imdb_test.tsv")).map((line) => {
      const [label, rating, id] = line.split("\t", 3);
      return { label: Number(label), text: line.slice(`${label}\t${rating}\t${id}\t`.length) };
    });
    const half = reviews.length / 2;
    return reviews.map((_, k) => reviews[Math.trunc(k / 2) + (k % 2) * half]);
  }
  if (options.dataset === "cifar10") {
    const data = readFileSync(at("test_batch.bin"));
    return Array.from({ length: data.length / 3073 }, (_, k) => ({
      label: data[k * 3073],
      pixels: Uint8Array.from({ length: 3072 }, (_, n) => data[k * 3073 + 1 + (n % 3) * 1024 + Math.trunc(n / 3)]),
    }));
  }
  const [images, labels] = ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"].map(
    (name) => gunzipSync(readFileSync(at(name))));
  return Array.from({ length: labels.length - 8 }, (_, k) => ({
    label: labels[8 + k], pixels: new Uint8Array(images.subarray(16 + k * 784, 16 + (k + 1) * 784)) }));
}

const { load, Model, Session } = await import(pathToFileURL(join(folder, "index.mjs")));
const module = readdirSync(folder).filter((name) => name.endsWith(".wasm")).sort().at(-1);
await load({ module: await WebAssembly.compile(readFileSync(join(folder, module))) });
const session = await Session.create(await Model.from(readFileSync(options.model), basename(options.model)));
const step = options.shard === undefined ? 1 : Number(options.shard.split("/")[1]);
const limit = Number(options.limit ?? Infinity);
const lines = [];
samples().forEach(({ label, pixels, text }, index) => {
  if (index % step !== 0 || index >= limit) return;
  const answer = text === undefined ? session.classify(pixels, { index }) : session.classifyText(text, { index });
  lines.push([index, label, answer.label, Math.max(...answer.probabilities)].join("\t"));
});
writeFileSync(options.answers, `${lines.join("\n")}\n`);
