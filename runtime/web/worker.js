// The worker: holds the models and the solver, so that the page stays responsive. It answers one message
// after the other; thinker.js is its other end, and says what the messages are.
import { load, Model, QamaError, Session, solve, version } from "./qama/index.mjs";

/** A time is that of the fastest of so many rounds of so many runs: the clock of a browser counts in steps of up to 100 us, and
 * the machine has other work. */
const [ROUNDS, RUNS] = [5, 5];
/** A search is cut into slices, between which a message can stop it: first short ones with few sweeps, so that one sees
 * the value grow, then as long as the solver likes. */
const SLICES = [{ seconds: 0.02, sweeps: 0 }, { seconds: 0.03, sweeps: 2 }, { seconds: 0.05, sweeps: 20 }, { seconds: 0.25 }];

const sessions = new Map(); // name of a model -> {info, session}
let stopped = -1; // the search that is to end

const loaded = load(); // while the models are fetched

async function open({ name, url }) {
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(`${url}: ${reply.status} ${reply.statusText}`);
  const bytes = new Uint8Array(await reply.arrayBuffer());
  await loaded;
  const model = await Model.from(bytes);
  const session = await Session.create(model, { seed: 1 });
  sessions.set(name, { info: model.info, session });
  return { info: { ...model.info }, version, loaded: bytesLoaded() };
}

/** Bytes that this worker has fetched so far. */
const bytesLoaded = () => performance.getEntriesByType("resource").reduce((sum, one) => sum + one.decodedBodySize, 0);

/** What one model says of an input, with its layers. */
function think(name, input, timed) {
  const { session } = sessions.get(name);
  const answer = session.explain(input);
  let microseconds = answer.microseconds;
  if (timed) {
    const { pixels } = answer;
    const run = typeof input === "string" ? () => session.classifyText(input) : () => session.classify(pixels);
    const rounds = Array.from({ length: ROUNDS }, () => {
      const begin = performance.now();
      for (let k = 0; k < RUNS; ++k) run();
      return ((performance.now() - begin) * 1000) / RUNS;
    });
    microseconds = Math.min(...rounds);
  }
  return { ...answer, model: name, name: answer.name ?? String(answer.label), microseconds };
}

/** Solves in slices, each from the best answer so far; tells every better answer. */
async function search(id, { problem, seconds, target }) {
  const begin = performance.now();
  const elapsed = () => (performance.now() - begin) / 1000;
  let best = null;
  const found = (value, answer) => {
    if (best && value <= best.value) return;
    best = { value, answer, seconds: elapsed() };
    postMessage({ id, progress: best });
  };
  let optimal = false;
  for (let turn = 1; stopped !== id && !optimal; ++turn) {
    const left = seconds - elapsed();
    if (left <= 0 || (best && target !== null && best.value >= target)) break;
    const slice = SLICES[Math.min(turn, SLICES.length) - 1];
    const solution = solve(problem, {
      ...slice,
      seconds: Math.min(left, slice.seconds),
      seed: turn,
      ...(best && { initial: [best.answer] }),
      ...(target !== null && { target }),
      onProgress: (value, _, at) => found(value, at),
    });
    found(solution.value, solution.answer);
    optimal = solution.optimal;
    await new Promise((resolve) => setTimeout(resolve));
  }
  return { ...best, elapsed: elapsed(), optimal, stopped: stopped === id };
}

const tasks = {
  open,
  think: ({ models, input, timed }) => models.map((name) => think(name, input, timed)),
  solve: (what, id) => search(id, what),
};

onmessage = async ({ data: { id, task, stop, ...what } }) => {
  if (stop !== undefined) {
    stopped = stop;
    return;
  }
  try {
    postMessage({ id, done: await tasks[task](what, id) });
  } catch (error) {
    const code = error instanceof QamaError ? `${error.code}: ` : "";
    postMessage({ id, failed: code + error.message });
  }
};
