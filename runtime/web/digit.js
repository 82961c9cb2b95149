// The tab of a digit: what two models say of it, and what the heads of one select.
import { showBars, showVerdicts } from "./charts.js";
import { CellMap, ColourScale, element, number, paintPixels, short } from "./maps.js";
import { exampleStrokes, EXAMPLES, Pad } from "./pad.js";
import { pictureOfBitmap, pictureOfStrokes } from "./picture.js";
import { latest } from "./thinker.js";

const $ = (id) => document.getElementById(id);
const DARK = ["#202a36", 0.72]; // of a cell that is not selected, as the program paints it
const REST_MS = 250; // after which a drawing is read once more, to time it

export class Digit {
  /** `models`: infos by name, the first is the one whose thoughts are shown. */
  constructor(thinker, models, report) {
    this.names = Object.keys(models);
    this.info = models[this.names[0]];
    this.layer = 0;
    this.at = null; // {head, token} that is pointed at
    this.think = latest(async (picture, timed) => {
      const answers = await thinker.think(this.names, picture, timed);
      // Times of a single run are the clock's steps: the last good ones stay until the pen rests.
      if (!timed && this.answers) answers.forEach((answer, k) => (answer.microseconds = this.answers[k].microseconds));
      this.#show(answers);
    }, report);
    this.#makeMaps();
    this.#makeLayers();
    this.pad = new Pad($("pad"), (strokes, resting) => this.#drawn(strokes, resting));
    this.#makeButtons(report);
  }

  #makeMaps() {
    const side = Math.sqrt(this.info.tokens);
    this.side = side;
    this.maps = {};
    for (const kind of ["masks", "energies", "flips"]) {
      this.maps[kind] = Array.from({ length: this.info.heads }, (_, head) => {
        const map = new CellMap(side, side, (token) => this.#point(kind, head, token),
          (by, row) => this.maps[kind][head + by]?.enter(by, row));
        map.box.tabIndex = head === 0 ? 0 : -1; // one stop of Tab a kind of map
        map.caption = element("figcaption");
        $(kind).append(element("figure", {}, map.box, map.caption));
        return map;
      });
    }
  }

  #makeLayers() {
    const choices = Array.from({ length: this.info.depth }, (_, k) => {
      const input = element("input", { type: "radio", name: "layer", value: k, checked: k === 0 });
      input.addEventListener("change", () => {
        this.layer = k;
        this.#showLayer();
      });
      return element("label", {}, input, `Layer ${k}`);
    });
    this.note = element("span", { className: "note" });
    const box = $("digit-layers");
    box.setAttribute("role", "radiogroup");
    box.ariaLabel = "Layer that is shown";
    box.append(...choices, this.note);
  }

  #makeButtons(report) {
    $("clear").addEventListener("click", () => this.pad.clear());
    $("undo").addEventListener("click", () => this.pad.undo());
    const digits = Object.keys(EXAMPLES);
    this.turn = digits.indexOf("7");
    $("example").addEventListener("click", () => {
      this.turn = (this.turn + 1) % digits.length;
      this.#example(digits[this.turn]);
    });
    const open = async (file) => {
      try {
        await this.#image(await createImageBitmap(file));
      } catch {
        report(new Error(`${file.name || "the image"} is no image that this browser reads`));
      }
    };
    $("open").addEventListener("click", () => $("file").click());
    $("file").addEventListener("change", ({ target }) => {
      if (target.files[0]) open(target.files[0]);
      target.value = "";
    });
    const panel = $("digit");
    const board = document.querySelector(".board");
    panel.addEventListener("dragover", (event) => {
      event.preventDefault();
      board.classList.add("over");
    });
    panel.addEventListener("dragleave", () => board.classList.remove("over"));
    panel.addEventListener("drop", (event) => {
      event.preventDefault();
      board.classList.remove("over");
      const file = event.dataTransfer.files[0];
      if (file) open(file);
      else report(new Error("drop an image file: a link would have to be fetched"));
    });
    document.addEventListener("paste", (event) => {
      const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
      if (file && !panel.hidden) open(file);
    });
  }

  /** Draws an example as a hand would, if motion is welcome. */
  #example(digit) {
    cancelAnimationFrame(this.frame);
    const strokes = exampleStrokes(digit);
    const all = strokes.flat().length;
    const begin = performance.now();
    const step = () => {
      let left = matchMedia("(prefers-reduced-motion: reduce)").matches ? all
        : Math.ceil(all * Math.min((performance.now() - begin) / 700, 1));
      const done = left === all;
      const shown = [];
      for (const stroke of strokes) {
        if (left > 0) shown.push(stroke.slice(0, left));
        left -= stroke.length;
      }
      this.pad.show(shown);
      if (!done) this.frame = requestAnimationFrame(step);
    };
    step();
  }

  start() {
    this.#example("7");
  }

  async #image(bitmap) {
    cancelAnimationFrame(this.frame);
    this.pad.show([], bitmap);
    $("pad-hint").hidden = true;
    await this.think(pictureOfBitmap(bitmap), true);
  }

  #drawn(strokes, resting) {
    if (!this.pad.foreign) cancelAnimationFrame(this.frame);
    clearTimeout(this.rest);
    if (this.pad.bitmap) return;
    const picture = pictureOfStrokes(strokes);
    $("pad-hint").hidden = picture !== null;
    if (!picture) {
      const { height, width, channels } = this.info;
      this.think({ width, height, data: new Uint8Array(height * width * channels) }, false);
      return;
    }
    this.think(picture, false);
    if (resting) this.rest = setTimeout(() => this.think(picture, true), REST_MS);
  }

  #show(answers) {
    const [{ pixels, blank: empty = false }] = answers;
    $("digit").dataset.answers = empty ? "none" : answers.map(({ name }) => name).join(" ");
    this.answers = answers;
    this.pixels = pixels;
    $("digit-thoughts").classList.toggle("empty", empty);
    paintPixels($("seen"), pixels, this.info.width);
    const shown = empty ? answers.map((answer) => ({ ...answer, name: "–", probabilities: answer.probabilities.map(() => 0) }))
      : answers;
    showVerdicts($("digit-verdicts"), shown, empty ? "sees nothing" : "says");
    showBars($("digit-bars"), shown, this.info.labels ?? [...answers[0].probabilities.keys()].map(String));
    this.#showLayer();
  }

  #showLayer() {
    const layer = this.answers?.[0].layers[this.layer];
    if (!layer) return;
    const { heads, tokens } = layer;
    this.note.textContent = `energy ${number(layer.problemEnergy)}`;
    const energies = new ColourScale(layer.energies);
    const costs = new ColourScale(layer.flipCosts, true);
    const of = (head, values) => values.subarray(head * tokens, (head + 1) * tokens);
    for (let head = 0; head < heads; ++head) {
      const [mask, energy, cost] = [layer.selected, layer.energies, layer.flipCosts].map((values) => of(head, values));
      const count = mask.reduce((sum, one) => sum + one, 0);
      const caption = (map, text) => map.caption.replaceChildren(element("span", {}, `head ${head}`),
        element("span", {}, text));
      const says = `head ${head}: ${count} of ${tokens}`;
      const total = energy.reduce((sum, one) => sum + one, 0);
      const least = Math.min(...cost);
      for (const kind of ["masks", "energies", "flips"]) this.maps[kind][head].behind(this.pixels, this.info.width);
      const [masks, levels, flips] = ["masks", "energies", "flips"].map((kind) => this.maps[kind][head]);
      caption(masks, `${count} of ${tokens}`);
      masks.paint(`Tokens that a head selected, ${says}`, (k) => (mask[k] ? ["#ff951e", 0.42] : DARK));
      caption(levels, short(total));
      levels.paint(`Energy of each token, head ${head}: ${number(total)} in all`, (k) => (
        mask[k] ? [energies.fill(energy[k]), 0.86] : DARK));
      caption(flips, `≥ ${short(least)}`);
      flips.paint(`What flipping a token costs, head ${head}: ${number(least)} at least`, (k) => [costs.fill(cost[k]), 0.86]);
    }
    energies.show($("energies-scale"), "energy of a token");
    costs.show($("flips-scale"), "what a flip costs");
    const least = Math.min(...layer.flipCosts);
    $("flips-text").textContent = "What is added to the layer’s energy if one head selects one token more, or one less. "
      + (least >= 0 ? "No single flip makes the answer better." : `The best flip takes ${number(-least)} away.`);
    if (this.at) this.#point(this.at.kind, this.at.head, this.at.token);
  }

  /** One cell is pointed at: it is marked in all maps of its head, and told below its own. */
  #point(kind, head, token) {
    const layer = this.answers?.[0].layers[this.layer];
    if (!layer) return;
    this.at = { kind, head, token };
    for (const [name, maps] of Object.entries(this.maps)) {
      maps.forEach((map, k) => map.mark(k === head ? token : -1));
      if (name !== kind) $(`${name}-line`).textContent = "";
    }
    const k = head * layer.tokens + token;
    $(`${kind}-line`).textContent = `head ${head}, token ${token} (row ${Math.floor(token / this.side)}, column ${token % this.side}): `
      + `${layer.selected[k] ? "selected" : "not selected"}, energy ${number(layer.energies[k])}, `
      + `a flip costs ${number(layer.flipCosts[k])}`;
  }
}
