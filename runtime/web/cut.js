// The tab of a max-cut: a graph, the search and its best value over time, the two parts as a picture.
import { duration, showSteps } from "./charts.js";
import { GRAPHS, readGraph } from "./graphs.js";
import { element, number } from "./maps.js";

const $ = (id) => document.getElementById(id);
const MOVE_MS = 350;
const MANY_EDGES = 3000; // more are points of a matrix

const LEGENDS = {
  side: "A square is a vertex. Lines are edges that the cut does not please.",
  circle: "Red edges stay within a part.",
  matrix: "Rows and columns are vertices, sorted by part; a point is an edge, a red one stays within a part.",
};

export class Cut {
  constructor(thinker, report) {
    this.thinker = thinker;
    this.report = report;
    this.own = null;
    $("graph").append(...Object.entries(GRAPHS).map(([value, { title }]) => element("option", { value }, title)));
    $("graph").addEventListener("change", () => this.#choose());
    $("seconds").addEventListener("input", () => this.#seconds());
    $("cut-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#solve();
    });
    $("stop").addEventListener("click", () => this.stop());
    $("open-graph").addEventListener("click", () => $("graph-file").click());
    $("graph-file").addEventListener("change", ({ target }) => {
      if (target.files[0]) this.#open(target.files[0]);
      target.value = "";
    });
    $("cut").addEventListener("dragover", (event) => event.preventDefault());
    $("cut").addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files[0]) this.#open(event.dataTransfer.files[0]);
    });
    new ResizeObserver(() => this.#paint()).observe($("graph-picture"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
    this.#seconds();
    this.#choose();
  }

  stop() {
    this.running?.stop();
  }

  #seconds() {
    $("seconds-text").textContent = `${$("seconds").value} s at most`;
  }

  async #open(file) {
    try {
      this.own = { title: file.name, graph: readGraph(await file.text()), known: null };
    } catch (error) {
      return this.report(new Error(`${file.name}: ${error.message}`));
    }
    let option = $("graph").querySelector("[value=own]");
    if (!option) $("graph").append((option = element("option", { value: "own" })));
    option.textContent = file.name;
    $("graph").value = "own";
    this.#choose();
  }

  #choose() {
    this.stop();
    // What that search still says is of the graph before.
    this.running = null;
    cancelAnimationFrame(this.frame);
    this.#busy(false);
    const choice = $("graph").value;
    const { make, known, title, graph } = choice === "own" ? this.own : GRAPHS[choice];
    this.graph = graph ?? make();
    this.known = known;
    this.title = title;
    this.points = [];
    this.parts = new Uint8Array(this.graph.vertices);
    this.from = this.to = null;
    $("graph-text").textContent = `${this.graph.vertices.toLocaleString("en")} vertices, `
      + `${this.graph.edges.length.toLocaleString("en")} edges.`
      + (known === null ? "" : choice === "petersen" ? " The largest cut is 12." : ` The best known cut is ${number(known)}.`);
    $("cut-verdict").replaceChildren();
    delete $("cut").dataset.best;
    this.#chart(0);
    this.#arrange(false);
  }

  async #solve() {
    this.stop();
    const { graph } = this;
    this.points = [];
    this.#busy(true);
    const running = this.thinker.solve({ vertices: graph.vertices, edges: graph.edges }, {
      seconds: Number($("seconds").value),
      target: this.known,
      progress: (best) => {
        if (this.running !== running) return;
        this.points.push({ seconds: best.seconds, value: best.value });
        this.#show(best.answer, best.seconds);
      },
    });
    this.running = running;
    try {
      const solution = await running.answer;
      if (this.running === running) this.#finish(solution);
    } catch (error) {
      this.report(error);
    }
    if (this.running === running) {
      this.running = null;
      this.#busy(false);
    }
  }

  #busy(on) {
    $("stop").disabled = !on;
    $("cut").dataset.state = on ? "solving" : "done";
  }

  /** The picture and the chart follow a better answer, once a frame. */
  #show(answer, seconds) {
    this.parts = answer;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      this.#chart(seconds);
      this.#arrange(true);
    });
  }

  #finish(solution) {
    const { value, seconds, elapsed, optimal, answer, stopped } = solution;
    if (answer) this.#show(answer, elapsed);
    $("cut").dataset.best = value ?? "";
    const proof = optimal ? "proven largest" : this.known === null ? (stopped ? "stopped" : "best found")
      : value >= this.known ? "the best known" : `best known: ${number(this.known)}`;
    $("cut-verdict").replaceChildren(
      element("div", { className: "who" }, "Best cut"),
      element("div", { className: "label" }, value === undefined ? "–" : String(value).replace("-", "−"), " ",
        element("small", {}, proof)),
      element("div", { className: "facts" }, value === undefined ? "no answer yet"
        : `Energy ${number(-value)}. Found after ${duration(seconds)}, searched for ${duration(elapsed)}.`));
  }

  #chart(end) {
    showSteps($("cut-chart"), `Best cut over time: ${this.points.map((p) => p.value).join(", ") || "not solved yet"}`,
      this.points, end, this.known);
  }

  /** Where every vertex goes: on a torus into its cell; else on a circle, each part on its half. */
  #places() {
    const { vertices, side } = this.graph;
    if (side) {
      return Array.from({ length: vertices }, (_, k) => [((k % side) + 0.5) / side, (Math.floor(k / side) + 0.5) / side]);
    }
    const parts = [[], []];
    for (let k = 0; k < vertices; ++k) parts[this.parts[k]].push(k);
    const open = parts[0].length > 0 && parts[1].length > 0;
    const out = [];
    parts.forEach((members, part) => members.forEach((vertex, k) => {
      const turn = open ? (k + 0.5) / members.length : k / vertices;
      const angle = open ? Math.PI * (0.06 + 0.88 * turn) + (part ? -Math.PI / 2 : Math.PI / 2) : 2 * Math.PI * turn;
      out[vertex] = [0.5 + 0.46 * Math.cos(angle), 0.5 + 0.46 * Math.sin(angle)];
    }));
    return out;
  }

  #arrange(moving) {
    const goal = this.#places();
    const still = !moving || !this.to || matchMedia("(prefers-reduced-motion: reduce)").matches || this.graph.side
      || this.graph.edges.length > MANY_EDGES;
    this.from = still ? goal : this.now;
    this.to = goal;
    this.began = performance.now();
    cancelAnimationFrame(this.moving);
    const step = () => {
      const part = still ? 1 : Math.min((performance.now() - this.began) / MOVE_MS, 1);
      const ease = part * part * (3 - 2 * part);
      this.now = this.to.map(([x, y], k) => [this.from[k][0] + (x - this.from[k][0]) * ease,
        this.from[k][1] + (y - this.from[k][1]) * ease]);
      this.#paint();
      if (part < 1) this.moving = requestAnimationFrame(step);
    };
    step();
  }

  #paint() {
    const canvas = $("graph-picture");
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (side === 0 || !this.now) return;
    canvas.width = canvas.height = side;
    const draw = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const { edges, vertices } = this.graph;
    const solved = this.points.length > 0;
    /** Whether the cut gains by the edge what it can. */
    const weighs = (a, b, w) => (this.parts[a] !== this.parts[b]) === w > 0;
    let cut = 0;
    for (const [a, b] of edges) cut += this.parts[a] !== this.parts[b];
    const line = (a, b) => {
      const [[ax, ay], [bx, by]] = [this.now[a], this.now[b]];
      if (Math.abs(ax - bx) + Math.abs(ay - by) > 0.5 && this.graph.side) return; // around the torus
      draw.moveTo(ax * side, ay * side);
      draw.lineTo(bx * side, by * side);
    };
    const lines = (chosen, stroke, alpha, width) => {
      draw.beginPath();
      for (const [a, b, w = 1] of edges) if (chosen(a, b, w)) line(a, b);
      draw.strokeStyle = stroke;
      draw.globalAlpha = alpha;
      draw.lineWidth = width * devicePixelRatio;
      draw.stroke();
      draw.globalAlpha = 1;
    };
    const dots = [colour("--qama"), colour("--softmax")];
    if (edges.length > MANY_EDGES) {
      // Rows and columns are the vertices, one part before the other.
      const order = [...this.parts.keys()].sort((a, b) => this.parts[a] - this.parts[b] || a - b);
      const place = new Float64Array(vertices);
      order.forEach((vertex, k) => (place[vertex] = ((k + 0.5) / vertices) * side));
      const point = Math.max(side / vertices, 1);
      for (const [pleased, name] of [[true, solved ? "--qama" : "--axis"], [false, solved ? "--bad" : "--axis"]]) {
        draw.fillStyle = colour(name);
        for (const [a, b, w = 1] of edges) {
          if (weighs(a, b, w) !== pleased) continue;
          draw.fillRect(place[a], place[b], point, point);
          draw.fillRect(place[b], place[a], point, point);
        }
      }
    } else if (this.graph.side) {
      const cell = side / this.graph.side;
      for (let k = 0; k < vertices; ++k) {
        draw.fillStyle = solved ? dots[this.parts[k]] : colour("--grid");
        const [x, y] = this.now[k];
        draw.fillRect(x * side - cell * 0.36, y * side - cell * 0.36, cell * 0.72, cell * 0.72);
      }
      if (solved) lines((a, b, w) => !weighs(a, b, w), colour("--ink"), 1, 2.2);
    } else {
      const alpha = Math.min(1, 250 / edges.length);
      lines((a, b, w) => !solved || weighs(a, b, w), colour("--axis"), alpha, 1);
      if (solved) lines((a, b, w) => !weighs(a, b, w), colour("--bad"), Math.min(1, 3 * alpha), 1.4);
      const radius = Math.max(1.6, Math.min(9, 140 / Math.sqrt(vertices) / 2)) * devicePixelRatio;
      for (let k = 0; k < vertices; ++k) {
        draw.fillStyle = solved ? dots[this.parts[k]] : colour("--soft");
        draw.beginPath();
        draw.arc(this.now[k][0] * side, this.now[k][1] * side, radius, 0, 7);
        draw.fill();
      }
    }
    const ones = this.parts.reduce((sum, one) => sum + one, 0);
    canvas.ariaLabel = solved ? `${this.title}: parts of ${vertices - ones} and ${ones} vertices, ${cut} edges between them`
      : `${this.title}, not cut yet`;
    $("graph-caption").textContent = solved
      ? `${canvas.ariaLabel}. ${LEGENDS[this.graph.side ? "side" : edges.length > MANY_EDGES ? "matrix" : "circle"]}`
      : `${canvas.ariaLabel}.`;
  }
}
