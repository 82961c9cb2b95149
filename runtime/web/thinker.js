// The page's end of worker.js. A message has an id and a task; its answer has the id and `done`, `failed` or,
// on the way, `progress`.

export class Thinker {
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  #open = new Map();
  #next = 0;

  constructor() {
    this.#worker.onmessage = ({ data: { id, done, failed, progress } }) => {
      const request = this.#open.get(id);
      if (progress) return request?.progress?.(progress);
      this.#open.delete(id);
      if (failed) request?.reject(new Error(failed));
      else request?.resolve(done);
    };
    this.#worker.onerror = (event) => {
      const error = new Error(event.message || "the worker did not start");
      for (const { reject } of this.#open.values()) reject(error);
      this.#open.clear();
    };
  }

  #ask(task, what, progress) {
    const id = this.#next++;
    const answer = new Promise((resolve, reject) => this.#open.set(id, { resolve, reject, progress }));
    this.#worker.postMessage({ id, task, ...what });
    return { id, answer };
  }

  /** Opens a model file; what it is, and the bytes that were fetched until then. */
  open(name, url) {
    return this.#ask("open", { name, url: new URL(url, document.baseURI).href }).answer;
  }

  /** What each of the models says of a picture or a text. `timed`: the time is that of several runs. */
  think(models, input, timed) {
    return this.#ask("think", { models, input, timed }).answer;
  }

  /** Searches until `seconds` are over, `target` is reached or stop() is called. */
  solve(problem, { seconds, target = null, progress }) {
    const { id, answer } = this.#ask("solve", { problem, seconds, target }, progress);
    return { answer, stop: () => this.#worker.postMessage({ stop: id }) };
  }
}

/** Calls `work` with the newest input only: while one runs, an older waiting one is dropped. */
export function latest(work, report) {
  let running = false;
  let waiting = null;
  return async (...input) => {
    waiting = input;
    if (running) return;
    running = true;
    while (waiting) {
      const now = waiting;
      waiting = null;
      try {
        await work(...now);
      } catch (error) {
        report(error);
      }
    }
    running = false;
  };
}
