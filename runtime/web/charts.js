// Bars of probabilities, and a value over time as runtime/cli/html/step_chart.cpp draws it.
import { element, number, svgElement } from "./maps.js";

const percent = (value) => `${(100 * value).toFixed(1)}\u00a0%`;
const who = (model) => (model.includes("softmax") ? "softmax" : "qama");
const colourOf = (model) => `var(--${who(model)})`;
const NAMES = { qama: "QAMA", softmax: "softmax" };

const micros = (us) => (us >= 10000 ? `${(us / 1000).toFixed(0)}\u00a0ms` : `${Math.round(us).toLocaleString("en")}\u00a0µs`);
export const duration = (seconds) => (seconds >= 1 ? `${seconds.toFixed(1)}\u00a0s` : `${(1000 * seconds).toFixed(0)}\u00a0ms`);

/** A card for each answer. */
export function showVerdicts(box, answers, what) {
  box.replaceChildren(...answers.map((answer) => {
    const part = answer.probabilities[answer.label];
    const label = element("div", { className: answer.name.length > 2 ? "label long" : "label" }, answer.name, " ",
      element("small", {}, percent(part)));
    return element("div", { className: "verdict", style: { "--who": colourOf(answer.model) },
      data: { model: who(answer.model), label: answer.name } },
    element("div", { className: "who" }, `${NAMES[who(answer.model)]} ${what}`), label,
    element("div", { className: "facts", data: { us: answer.microseconds.toFixed(1) } },
      `${micros(answer.microseconds)} an answer`));
  }));
}

/** A row for each class, a bar in it for each answer. */
export function showBars(box, answers, labels) {
  const first = answers[0].label;
  const rows = labels.flatMap((name, k) => [
    element("span", { className: k === first ? "name first" : "name" }, name),
    element("span", { className: "pair", ariaHidden: "true" }, ...answers.map((answer) => element("i",
      { style: { "--who": colourOf(answer.model), "--part": answer.probabilities[k].toFixed(4) } }))),
    element("span", { className: "percent" }, answers.map((answer) => percent(answer.probabilities[k])).join(" · ")),
  ]);
  box.replaceChildren(element("div", { className: "bars", role: "group",
    ariaLabel: `Probability of each class: ${answers.map((answer) => NAMES[who(answer.model)]).join(", ")}` }, ...rows));
}

function tickStep(range, parts) {
  if (!(range > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(range / parts));
  return ([1, 2, 5].find((factor) => range / parts <= factor * power) ?? 10) * power;
}

function ticks(low, range, parts) {
  const step = tickStep(range, parts);
  const out = [];
  for (let k = Math.ceil(low / step); k * step <= low + range; ++k) out.push(k * step);
  return out;
}

const [HEIGHT, TOP, BOTTOM, LEFT] = [240, 18, 40, 8];

/** Points {seconds, value}, each stays until the next one, until `end`; `known` is a line for comparison. */
export function showSteps(box, title, points, end, known) {
  const values = [...points.map((point) => point.value), ...(known === null ? [] : [known])];
  const [least, greatest] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  const margin = greatest > least ? 0.06 * (greatest - least) : Math.max(Math.abs(least), 1) * 0.05;
  const [low, range] = [least - margin, greatest - least + 2 * margin];
  const last = Math.max(end, points.at(-1)?.seconds ?? 0, 1e-3);
  const x = (seconds) => `${LEFT + (seconds / last) * (100 - LEFT)}%`;
  const y = (value) => TOP + (1 - (value - low) / range) * (HEIGHT - TOP - BOTTOM);
  const svg = svgElement("svg", { class: "wide", height: HEIGHT, role: "img" }, svgElement("title", {}, title));
  const words = (at, height, text, anchor) => svg.append(svgElement("text", { x: at, y: height, "text-anchor": anchor }, text));
  const places = Math.max(0, Math.ceil(-Math.log10(tickStep(range, 5))));
  for (const value of ticks(low, range, 5)) {
    svg.append(svgElement("line", { class: "grid", x1: 0, x2: "100%", y1: y(value), y2: y(value) }));
    words(0, y(value) - 3, value.toFixed(places).replace("-", "−"), "start");
  }
  const times = ticks(0, last, 5);
  for (const at of times) {
    svg.append(svgElement("line", { class: "grid", x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }));
    words(x(at), HEIGHT - BOTTOM + 16, number(at), at === times.at(-1) && at > 0.9 * last ? "end" : "middle");
  }
  words("100%", HEIGHT - 6, "seconds", "end");
  if (known !== null) {
    svg.append(svgElement("line", { class: "known", x1: x(0), x2: "100%", y1: y(known), y2: y(known) }));
    words("100%", y(known) - 4, `best known ${number(known)}`, "end");
  }
  points.forEach(({ seconds, value }, k) => {
    const next = points[k + 1];
    const until = x(next?.seconds ?? last);
    svg.append(svgElement("line", { class: "best", x1: x(seconds), x2: until, y1: y(value), y2: y(value) }));
    if (next) svg.append(svgElement("line", { class: "best", x1: until, x2: until, y1: y(value), y2: y(next.value) }));
    svg.append(svgElement("circle", { class: "point", cx: x(seconds), cy: y(value), r: points.length > 40 ? 1.5 : 3 },
      svgElement("title", {}, `${value} after ${number(seconds)} s`)));
  });
  box.replaceChildren(svg);
}
