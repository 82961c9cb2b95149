// The tab of a sentence: what the models say of it, and which words the head selects.
import { showBars, showVerdicts } from "./charts.js";
import { ColourScale, element, number, short } from "./maps.js";
import { latest } from "./thinker.js";

const $ = (id) => document.getElementById(id);
const REST_MS = 300;
const EXAMPLES = [
  "A gripping, beautifully acted story that stays funny and warm to the last scene.",
  "A dull, lifeless sequel that wastes its cast.",
  "Not bad at all, if a little slow in the middle.",
];

export class Sentence {
  constructor(thinker, models, report) {
    this.names = Object.keys(models);
    this.info = models[this.names[0]];
    this.think = latest(async (text, timed) => {
      const answers = await thinker.think(this.names, text, timed);
      if ($("text").value.trim()) this.#show(answers, timed);
    }, report);
    const text = $("text");
    text.addEventListener("input", () => this.#typed());
    $("sentences").append(...EXAMPLES.map((words) => {
      const button = element("button", { type: "button", title: words }, `${words.split(" ").slice(0, 3).join(" ")}…`);
      button.addEventListener("click", () => {
        text.value = words;
        this.#typed();
      });
      return button;
    }));
    text.value = EXAMPLES[0];
    this.#typed();
  }

  #typed() {
    clearTimeout(this.rest);
    const text = $("text").value;
    const empty = !text.trim();
    if (empty) return this.#showNothing("reads nothing");
    this.think(text, false);
    this.rest = setTimeout(() => this.think(text, true), REST_MS);
  }

  /** No answer where there is no word that the models know. */
  #showNothing(why) {
    $("sentence-thoughts").classList.add("empty");
    if (!this.answers) return;
    $("sentence").dataset.answers = "none";
    const none = this.answers.map((answer) => ({ ...answer, name: "–", probabilities: answer.probabilities.map(() => 0) }));
    showVerdicts($("sentence-verdicts"), none, why);
    showBars($("sentence-bars"), none, this.info.labels);
  }

  #show(answers, timed) {
    if (!timed && this.answers) answers.forEach((answer, k) => (answer.microseconds = this.answers[k].microseconds));
    this.answers = answers;
    if (answers[0].unknown) return this.#showNothing("knows none of these words");
    $("sentence-thoughts").classList.remove("empty");
    $("sentence").dataset.answers = answers.map(({ name }) => name).join(" ");
    showVerdicts($("sentence-verdicts"), answers, "says");
    showBars($("sentence-bars"), answers, this.info.labels);
    const layer = answers[0].layers.at(-1);
    if (!layer) return;
    const energies = new ColourScale(layer.energies);
    const costs = new ColourScale(layer.flipCosts, true);
    const chip = (scale, value, what) => element("i",
      { title: `${what} ${number(value)}`, style: { background: scale.fill(value), color: scale.ink(value) } }, short(value));
    $("words").replaceChildren(...(answers[0].words ?? []).slice(0, layer.tokens).map((word, k) => element("span",
      { className: layer.selected[k] ? "on" : "", title: `token ${k}: ${layer.selected[k] ? "selected" : "not selected"}` },
      element("b", {}, word), layer.selected[k] ? chip(energies, layer.energies[k], "energy") : element("i", {}, "–"),
      chip(costs, layer.flipCosts[k], "a flip costs"))));
    energies.show($("words-energy-scale"), "energy of a word");
    costs.show($("words-flip-scale"), "what a flip costs");
  }
}
