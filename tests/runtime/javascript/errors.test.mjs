// What is refused: a QamaError with the name that the C API has for it.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { folder, model_bytes, qama } from "./support.mjs";

const { Model, QamaError, Session, solve } = qama;

const refused = (code) => (error) => {
  assert.ok(error instanceof QamaError && error instanceof Error, String(error.stack));
  assert.equal(error.code, code);
  assert.ok(error.message.length > 5);
  return true;
};

test("files that are no models", async () => {
  await assert.rejects(Model.from(new Uint8Array(0)), QamaError);
  await assert.rejects(Model.from(new Uint8Array(100)), QamaError);
  const bytes = new Uint8Array(model_bytes("mnist-qama"));
  await assert.rejects(Model.from(bytes.subarray(0, 1000)), refused("MODEL_TRUNCATED"));
  bytes[bytes.length - 100] ^= 1;
  await assert.rejects(Model.from(bytes), refused("MODEL_CHECKSUM_MISMATCH"));
});

test("input that a model does not take", async () => {
  const model = await Model.from(model_bytes("mnist-qama"));
  const session = await Session.create(model);
  assert.throws(() => session.classify(new Uint8Array(783)), refused("INVALID_ARGUMENT"));
  assert.throws(() => session.classify(new Float32Array(784).fill(NaN)), refused("PROBLEM_BAD_VALUE"));
  assert.throws(() => session.classify([1, 2]), refused("INVALID_ARGUMENT"));
  assert.throws(() => session.classifyText("no text model"), refused("MODEL_WRONG_KIND"));
  assert.throws(() => session.explain("no text model"), refused("MODEL_WRONG_KIND"));
  assert.throws(() => session.classifyImage({ width: 3, height: 3, data: new Uint8Array(8) }),
                refused("INVALID_ARGUMENT"));
  assert.throws(() => session.classifyImage({ width: 1, height: 1, data: new Uint8Array(1) }, { fit: "x" }),
                refused("INVALID_ARGUMENT"));
  // The session goes on.
  assert.equal(session.classify(new Uint8Array(784)).probabilities.length, 10);
  await assert.rejects(Session.create(model, { device: "cim://here" }), refused("DEVICE_UNKNOWN"));
  await assert.rejects(Session.create(model, { seed: -1 }), refused("INVALID_ARGUMENT"));
  model.close();
  await assert.rejects(Session.create(model), refused("INVALID_ARGUMENT"));
  assert.equal(session.classify(new Uint8Array(784)).probabilities.length, 10);
  // Also where the session that explains is made of the closed model.
  assert.equal(session.explain(new Uint8Array(784)).layers.length, 2);
  session.close();
  session.close();
  for (const run of [() => session.classify(new Uint8Array(784)), () => session.explain(new Uint8Array(784))])
    assert.throws(run, refused("INVALID_ARGUMENT"));
  const text = await Session.create(await Model.from(model_bytes("sst2-qama")));
  assert.throws(() => text.classify(new Uint8Array(784)), refused("MODEL_WRONG_KIND"));
  assert.throws(() => text.classifyImage({ width: 1, height: 1, data: new Uint8Array(1) }),
                refused("MODEL_WRONG_KIND"));
});

test("what is no number, no model and no picture", async () => {
  for (const thing of [undefined, null, "a name", [1, 2], {}])
    await assert.rejects(Model.from(thing), refused("INVALID_ARGUMENT"));
  const model = await Model.from(model_bytes("mnist-qama"));
  for (const thing of [undefined, {}, "model"])
    await assert.rejects(Session.create(thing), refused("INVALID_ARGUMENT"));
  for (const seed of [1.5, "1", NaN, 1n << 64n, {}])
    await assert.rejects(Session.create(model, { seed }), refused("INVALID_ARGUMENT"));
  await assert.rejects(Session.create(model, { device: 7 }), refused("INVALID_ARGUMENT"));
  const session = await Session.create(model);
  for (const index of [1.5, -1, "0", NaN, null])
    assert.throws(() => session.classify(new Uint8Array(784), { index }), refused("INVALID_ARGUMENT"));
  for (const input of [undefined, null, "text", new Int32Array(784), new Array(784).fill(0)])
    assert.throws(() => session.classify(input), refused("INVALID_ARGUMENT"));
  const data = new Uint8Array(4);
  for (const picture of [undefined, null, { data }, { width: 2, data }, { width: 2.5, height: 2, data },
                         { width: "2", height: 2, data }, { width: 0, height: 2, data },
                         { width: 2, height: 2 }, { width: 2, height: 2, data: [0, 0, 0, 0] }])
    assert.throws(() => session.classifyImage(picture), refused("INVALID_ARGUMENT"));
  const text = await Session.create(await Model.from(model_bytes("sst2-qama")));
  for (const input of [undefined, null, 7, ["a"]])
    assert.throws(() => text.classifyText(input), refused("INVALID_ARGUMENT"));
});

test("options that are none, bytes that are gone, a module that is none", async () => {
  const model = await Model.from(model_bytes("mnist-qama"));
  for (const options of [null, 7, "seed"]) {
    await assert.rejects(Session.create(model, options), refused("INVALID_ARGUMENT"));
    assert.throws(() => solve({ vertices: 2, edges: [[0, 1]] }, options), refused("INVALID_ARGUMENT"));
  }
  const session = await Session.create(model);
  const picture = { width: 1, height: 1, data: new Uint8Array(1) };
  for (const run of [() => session.classify(new Uint8Array(784), null), () => session.explain(picture, null),
                     () => session.classifyImage(picture, null), () => session.classifyText("a", null)])
    assert.throws(run, refused("INVALID_ARGUMENT"));
  await assert.rejects(Session.create(model, { device: "cpu:\0exact:" }), refused("INVALID_ARGUMENT"));
  for (const gone of [new ArrayBuffer(8), new Uint8Array(8), new DataView(new ArrayBuffer(8))]) {
    const buffer = gone.buffer ?? gone;
    structuredClone(buffer, { transfer: [buffer] });
    await assert.rejects(Model.from(gone), refused("INVALID_ARGUMENT"));
  }
  const fresh = await import(`${pathToFileURL(join(folder, "index.mjs"))}?fresh`);
  for (const module of [Uint8Array.of(1, 2, 3), "x", 7]) {
    await assert.rejects(fresh.load({ module }), (error) => error instanceof fresh.QamaError
                                                            && error.code === "INVALID_ARGUMENT");
  }
  await assert.rejects(fresh.load(null), (error) => error instanceof fresh.QamaError);
});

test("problems that are none", () => {
  for (const pair of [[NaN, 1], [1.5, 2], ["a", 1], [null, 1], [0], [0, 1, "1"], [0, 1, {}], 7, null, "01"])
    assert.throws(() => solve({ vertices: 3, edges: [[0, 1], pair] }), refused("INVALID_ARGUMENT"), String(pair));
  for (const pair of [[2 ** 32, 1], [-1, 1], [0, 3]])
    assert.throws(() => solve({ vertices: 3, edges: [pair] }), refused("INDEX_OUT_OF_RANGE"));
  for (const vertices of [2.5, "7", undefined, NaN, -1, 2 ** 31])
    assert.throws(() => solve({ vertices, edges: [[0, 1]] }), refused("INVALID_ARGUMENT"));
  assert.throws(() => solve({ variables: 3, terms: [[0, 1]] }), refused("INVALID_ARGUMENT"));
  const hole = [[0, 1, 1], [1, 2, 1]];
  hole[3] = [0, 2, 1];
  assert.throws(() => solve({ variables: 3, terms: hole }), refused("INVALID_ARGUMENT"));
  for (const thing of [undefined, null, 7, "graph", {}, { vertices: 3, edges: "01" }])
    assert.throws(() => solve(thing), refused("INVALID_ARGUMENT"));
  const graph = { vertices: 3, edges: [[0, 1]] };
  for (const options of [{ seconds: "1" }, { seconds: NaN }, { seed: 1.5 }, { seed: -1 }, { sweeps: 1.5 },
                         { target: "2" }, { target: NaN }, { onProgress: 7 }, { initial: 7 }, { initial: [7] },
                         { initial: [new Uint8Array(2)] }, { initial: [[0, 1, 2]] }, { initial: [[0, 256, 1]] },
                         { initial: [Uint8Array.of(0, 1, 2)] }])
    assert.throws(() => solve(graph, options), refused("INVALID_ARGUMENT"), JSON.stringify(options));
  assert.equal(solve(graph, { initial: [[0, 0, 1]] }).value, 1);
  assert.throws(() => solve({ vertices: 3, edges: [[0, 3]] }), refused("INDEX_OUT_OF_RANGE"));
  assert.throws(() => solve({ vertices: 3, edges: [[1, 1]] }), refused("PROBLEM_BAD_VALUE"));
  assert.throws(() => solve({ vertices: 3, edges: [[0, 1, Infinity]] }), refused("PROBLEM_BAD_VALUE"));
  assert.throws(() => solve({ vertices: 0, edges: [] }), refused("INVALID_ARGUMENT"));
  assert.throws(() => solve({ vertices: 3 }), refused("INVALID_ARGUMENT"));
  assert.throws(() => solve({ vertices: 3, edges: [[0, 1]] }, { seconds: -1 }), refused("INVALID_ARGUMENT"));
});

test("without memory the module is left, and the next one works", async () => {
  const model = await Model.from(model_bytes("mnist-qama"));
  const session = await Session.create(model);
  const edges = Array.from({ length: 2000000 }, (_, k) => [k % 1000, 1000 + (k * 7) % 30000]);
  let failed = false;
  try {
    solve({ vertices: 31000, edges }, { sweeps: 1, seconds: 1 });
  } catch (error) {
    failed = true;
    refused("OUT_OF_MEMORY")(error);
    assert.throws(() => session.classify(new Uint8Array(784)), refused("UNSUPPORTED"));
  }
  if (failed) await qama.load();
  const again = await Session.create(await Model.from(model_bytes("mnist-qama")));
  assert.equal(again.classify(new Uint8Array(784)).probabilities.length, 10);
});
