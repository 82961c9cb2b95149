// What is refused: a QamaError with the name that the C API has for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { model_bytes, qama } from "./support.mjs";

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
  session.close();
  session.close();
  assert.throws(() => session.classify(new Uint8Array(784)), refused("INVALID_ARGUMENT"));
  const text = await Session.create(await Model.from(model_bytes("sst2-qama")));
  assert.throws(() => text.classify(new Uint8Array(784)), refused("MODEL_WRONG_KIND"));
  assert.throws(() => text.classifyImage({ width: 1, height: 1, data: new Uint8Array(1) }),
                refused("MODEL_WRONG_KIND"));
});

test("problems that are none", () => {
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
