// Models and sessions: answers, explanations, the same spins as everywhere.
import assert from "node:assert/strict";
import { test } from "node:test";
import { data_set, model_bytes, qama } from "./support.mjs";

const { Model, Session } = qama;

async function opened(name, options) {
  const model = await Model.from(model_bytes(name));
  const session = await Session.create(model, options);
  return { model, session };
}

test("what a model is", async () => {
  const model = await Model.from(model_bytes("mnist-qama"));
  assert.deepEqual({ ...model.info }, {
    name: "mnist-qama", classes: 10, labels: [..."0123456789"], input: "image", height: 28,
    width: 28, channels: 1, features: 0, tokens: 49, columns: 7, heads: 8, depth: 2,
    attention: "qama", patch: 4, sealed: true, bytes: model_bytes("mnist-qama").length,
  });
  model.close();
  model.close();
  const text = await Model.from(model_bytes("sst2-qama"), "films");
  assert.equal(text.info.input, "text");
  assert.equal(text.info.name, "films");
  assert.deepEqual(text.info.labels, ["negative", "positive"]);
  text.close();
});

for (const name of ["mnist-qama", "mnist-softmax", "mnist-qama-int8", "mnist-qama-v1",
                    "fashion-mnist-qama"]) {
  const images = data_set(name.startsWith("fashion") ? "fashion-mnist" : "mnist", 100);
  test(`${name}: 100 images`, { skip: images === null && "no data set" }, async () => {
    const { model, session } = await opened(name);
    let right = 0;
    images.forEach(({ pixels, label }, index) => {
      const answer = session.classify(pixels, { index });
      right += answer.label === label;
      const sum = answer.probabilities.reduce((a, b) => a + b);
      assert.ok(Math.abs(sum - 1) < 1e-5);
      assert.equal(answer.probabilities.indexOf(Math.max(...answer.probabilities)), answer.label);
      assert.equal(answer.name, model.info.labels[answer.label]);
      assert.ok(answer.microseconds > 0);
      // The same answer with the layers.
      if (index < 10) {
        const explained = session.explain(pixels, { index });
        assert.deepEqual(explained.probabilities, answer.probabilities);
      }
    });
    assert.ok(right >= (name === "mnist-qama-v1" || name.startsWith("fashion") ? 80 : 96), `${right} right`);
    session.close();
    model.close();
  });
}

/** A seven, drawn. */
function seven(size, light = 255) {
  const data = new Uint8Array(size * size).fill(255 - light);
  const dot = (x, y) => {
    const r = size / 20;
    for (let v = Math.floor(y - r); v <= y + r; ++v)
      for (let u = Math.floor(x - r); u <= x + r; ++u)
        if (u >= 0 && v >= 0 && u < size && v < size) data[v * size + u] = light;
  };
  for (let t = 0; t <= 1; t += 0.5 / size) {
    dot(size * (0.3 + 0.4 * t), size * 0.25);
    dot(size * (0.7 - 0.25 * t), size * (0.25 + 0.5 * t));
  }
  return { width: size, height: size, data };
}

test("a picture of any size, in either colour", async () => {
  const { session } = await opened("mnist-qama");
  for (const light of [255, 0]) {
    const answer = session.classifyImage(seven(280, light));
    assert.equal(answer.name, "7");
    assert.equal(answer.inverted, light === 0 ? true : undefined);
    assert.equal(answer.pixels.length, 784);
  }
  assert.equal(session.classifyImage({ width: 9, height: 9, data: new Uint8Array(81) }).blank, true);
  const rgba = new Uint8ClampedArray(280 * 280 * 4).fill(255);
  seven(280).data.forEach((value, k) => rgba.fill(value, 4 * k, 4 * k + 3));
  assert.equal(session.explain({ width: 280, height: 280, data: rgba }).name, "7");
});

test("layers of an image", async () => {
  const { session } = await opened("mnist-qama");
  const { layers } = session.explain(seven(28).data);
  assert.equal(layers.length, 2);
  for (const layer of layers) {
    assert.deepEqual([layer.heads, layer.tokens, layer.bits], [8, 49, 1]);
    assert.equal(layer.selected.length, 8 * 49);
    assert.ok(layer.selected.every((spin) => spin <= 1) && layer.selected.some((spin) => spin === 1));
    // A token that no head selected has no energy; no flip is a gain, but for rounding.
    layer.selected.forEach((spin, k) => spin === 1 || assert.equal(layer.energies[k], 0));
    const least = Math.min(...layer.flipCosts);
    assert.ok(least >= -2e-3 * Math.abs(layer.problemEnergy), `${least}`);
    assert.ok(layer.problemEnergy >= layer.pureEnergy && layer.problemEnergy < 0);
  }
  assert.deepEqual(session.explain(seven(28).data).layers, layers);
  assert.equal(session.classify(seven(28).data).layers, undefined);
});

test("attention without layers to solve", async () => {
  const { session } = await opened("mnist-softmax");
  assert.deepEqual(session.explain(seven(28).data).layers, []);
});

test("texts, and their words", async () => {
  const { model, session } = await opened("sst2-qama");
  const answer = session.classifyText("A wonderful film, moving and funny.");
  assert.equal(answer.name, "positive");
  assert.equal(session.classifyText("Boring, clumsy, a waste of time.").name, "negative");
  const { words, layers, probabilities } = session.explain("A wonderful film, moving and funny.");
  // Long heads are explained as integers: other roundings, the same answer.
  probabilities.forEach((p, k) => assert.ok(Math.abs(p - answer.probabilities[k]) < 1e-3));
  assert.ok(words.includes("wonderful"));
  assert.equal(layers.length, model.info.depth);
  assert.equal(layers[0].tokens, words.length);
  session.close();
});

test("texts that say nothing, and long ones", async () => {
  const { model, session } = await opened("sst2-qama");
  const flags = ({ unknown, truncated }) => [unknown, truncated];
  const long = (words) => new Array(model.info.tokens + 1).fill(words).join(" ");
  for (const answer of [(text) => session.classifyText(text), (text) => session.explain(text)]) {
    for (const text of ["", " \n", "zqxv", "zqxv vqxz"]) assert.deepEqual(flags(answer(text)), [true, undefined], text);
    for (const text of ["good", "zqxv good"]) assert.deepEqual(flags(answer(text)), [undefined, undefined], text);
    assert.deepEqual(flags(answer(long("good"))), [undefined, true]);
    assert.deepEqual(flags(answer(long("zqxv"))), [true, true]);
  }
  session.close();
});

test("a seed and a device", async () => {
  const bytes = seven(28).data;
  const [one, two] = [await opened("mnist-qama", { seed: 7n }), await opened("mnist-qama", { seed: 7 })];
  assert.deepEqual(one.session.classify(bytes).probabilities, two.session.classify(bytes).probabilities);
  const scalar = await opened("mnist-qama", { device: "cpu:scalar", seed: 7 });
  // The plain reference has the same spins.
  assert.deepEqual(scalar.session.explain(bytes).layers, one.session.explain(bytes).layers);
  assert.ok(one.session.arenaBytes > 1000);
});
