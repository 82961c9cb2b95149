// The page of bench/web/run: ?start=qama|softmax|ort is one side up to its first answer, ?runs=N times all of them.
const BEGIN = performance.now();
const query = new URLSearchParams(location.search);
const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
const SIDE = 28;
const SIZE = SIDE * SIDE;
const BATCH = 10;
const [MEAN, DEVIATION] = [0.1307, 0.3081];

/** Each side: a function that takes an image and gives probabilities. */
async function ours(model) {
  const [{ load, Model, Session }, file] = await Promise.all([
    import("./qama/index.mjs"), bytes(`models/mnist-${model}.safetensors`)]);
  await load();
  const session = await Session.create(await Model.from(file));
  return { prepare: (pixels) => pixels, run: (pixels) => session.classify(pixels).probabilities };
}

async function theirs() {
  const [ort, file] = await Promise.all([import("./ort/ort.wasm.min.mjs"), bytes("made/mnist-softmax.onnx")]);
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
  const [[input], [output]] = [session.inputNames, session.outputNames];
  return {
    prepare: (pixels) => new ort.Tensor("float32",
      Float32Array.from(pixels, (value) => (value / 255 - MEAN) / DEVIATION), [1, 1, SIDE, SIDE]),
    run: async (tensor) => {
      const logits = (await session.run({ [input]: tensor }))[output].data;
      const powers = Array.from(logits, Math.exp);
      const sum = powers.reduce((total, one) => total + one, 0);
      return powers.map((one) => one / sum);
    },
  };
}

const sides = { softmax: () => ours("softmax"), qama: () => ours("qama"), ort: theirs };

async function start(who) {
  const [side, images] = await Promise.all([sides[who](), bytes("made/images.u8")]);
  await side.run(side.prepare(images.subarray(0, SIZE)));
  return { ms: performance.now() - BEGIN };
}

async function time(runs) {
  const images = await bytes("made/images.u8");
  const count = images.length / SIZE;
  const all = {};
  for (const [name, open] of Object.entries(sides)) {
    const side = await open();
    side.inputs = Array.from({ length: count }, (_, k) => side.prepare(images.subarray(k * SIZE, (k + 1) * SIZE)));
    all[name] = side;
  }
  let [differ, labels] = [0, 0];
  const first = (values) => values.indexOf(Math.max(...values));
  for (let k = 0; k < count; ++k) { // each is warm after these
    const [a, b] = [[...(await all.softmax.run(all.softmax.inputs[k]))], await all.ort.run(all.ort.inputs[k])];
    await all.qama.run(all.qama.inputs[k]);
    differ = Math.max(differ, ...a.map((value, n) => Math.abs(value - b[n])));
    labels += first(a) !== first(b);
  }
  const times = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  for (let k = 0; k < runs; ++k) {
    for (const [name, { inputs, run }] of Object.entries(all)) {
      const begin = performance.now();
      for (let n = 0; n < BATCH; ++n) await run(inputs[(k * BATCH + n) % count]);
      times[name].push((performance.now() - begin) / BATCH);
    }
  }
  return { times, differ, labels };
}

(query.has("start") ? start(query.get("start")) : time(Number(query.get("runs")))).then(
  (result) => (window.result = result),
  (error) => (window.result = { error: `${error.message ?? error} ${error.stack ?? ""}` }));
