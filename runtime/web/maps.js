// Cells over a picture, and colours for values: the scales of runtime/cli/html (colour_scale.cpp, svg.cpp).

const VIRIDIS = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]];
const [BLUE, WHITE, RED] = [[42, 95, 170], [250, 250, 250], [178, 44, 52]];

const mixed = (from, to, part) => from.map((value, k) => Math.round(value + (to[k] - value) * part));
const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

/** Digits that tell a value, as the other pages print it. */
export function number(value) {
  const size = Math.abs(value);
  const text = size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1)
    : size >= 1 ? value.toFixed(2) : String(Number(value.toPrecision(3)));
  return text.replace("-", "−");
}

/** The same where there is little room: two places after the point at most. */
export const short = (value) => value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2).replace("-", "−");

/** Values of one sign have one ramp from 0 to the largest; of both signs, blue below 0 and red above. `root`: the
 * ramp grows with the root, for values of which few are large. */
export class ColourScale {
  constructor(values, root = false) {
    this.low = Math.min(0, ...values);
    this.high = Math.max(0, ...values);
    // A trace of the other sign, as rounding leaves it, does not make a quantity two-sided.
    if (-this.low < 0.01 * this.high) this.low = 0;
    if (this.high < -0.01 * this.low) this.high = 0;
    if (this.low === 0 && this.high === 0) this.high = 1e-12;
    this.root = root;
  }

  rgb(value) {
    if (this.low === 0 || this.high === 0) {
      let part = Math.min(Math.max(value / (this.low === 0 ? this.high : this.low), 0), 1);
      if (this.root) part = Math.sqrt(part);
      const at = part * (VIRIDIS.length - 1);
      const below = Math.min(Math.floor(at), VIRIDIS.length - 2);
      return mixed(VIRIDIS[below], VIRIDIS[below + 1], at - below);
    }
    const v = Math.min(Math.max(value / Math.max(-this.low, this.high), -1), 1);
    return mixed(WHITE, v < 0 ? BLUE : RED, Math.abs(v));
  }

  fill(value) {
    return css(this.rgb(value));
  }

  /** Black or white, whichever can be read on the value's colour. */
  ink(value) {
    const [r, g, b] = this.rgb(value);
    return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#10151b" : "#fff";
  }

  /** The scale itself, with numbers, in place of what `box` has. */
  show(box, title) {
    const both = this.low < 0 && this.high > 0;
    const begin = both ? -Math.max(-this.low, this.high) : 0;
    const end = both ? -begin : this.high > 0 ? this.high : this.low;
    const at = (part) => begin + (end - begin) * (this.root && !both ? part * part : part);
    const scale = element("div", { className: "scale", role: "img", ariaLabel: `${title}: ${number(at(0))} to ${number(at(1))}` });
    const canvas = element("canvas", { width: 128, height: 1, ariaHidden: "true" });
    const draw = canvas.getContext("2d");
    for (let k = 0; k < 128; ++k) {
      draw.fillStyle = this.fill(at((k + 0.5) / 128));
      draw.fillRect(k, 0, 1, 1);
    }
    const numbers = element("div", {}, ...[0, 0.5, 1].map((part) => element("span", {}, number(at(part)))));
    scale.append(canvas, numbers, title);
    box.replaceChildren(scale);
  }
}

/** An element with properties and children; `style` is an object, `data` becomes data attributes. */
export function element(name, { style, data, ...properties } = {}, ...children) {
  const out = Object.assign(document.createElement(name), properties);
  for (const [key, value] of Object.entries(style ?? {})) out.style.setProperty(key, value);
  Object.assign(out.dataset, data);
  out.append(...children);
  return out;
}

const SVG = "http://www.w3.org/2000/svg";
export function svgElement(name, attributes = {}, ...children) {
  const out = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) out.setAttribute(key, value);
  out.append(...children);
  return out;
}

/** A map of rows x columns cells over a picture. `pointed(cell)` is called with the cell that the pointer or the
 * arrow keys are on, `left(by, row)` when they go over its left (-1) or right (1) side. */
export class CellMap {
  constructor(rows, columns, pointed, left) {
    this.columns = columns;
    this.now = 0;
    this.picture = element("canvas", { ariaHidden: "true" });
    this.cells = Array.from({ length: rows * columns }, (_, k) => svgElement("rect", {
      class: "cell", x: k % columns, y: Math.floor(k / columns), width: 1, height: 1,
    }));
    const svg = svgElement("svg", { viewBox: `0 0 ${columns} ${rows}`, "aria-hidden": "true" }, ...this.cells);
    this.box = element("div", { className: "map", tabIndex: 0, role: "application" }, this.picture, svg);
    svg.addEventListener("pointerover", ({ target }) => {
      const at = this.cells.indexOf(target);
      if (at >= 0) pointed((this.now = at));
    });
    this.box.addEventListener("focus", () => this.box.matches(":focus-visible") && pointed(this.now));
    this.box.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
      if (!by) return;
      event.preventDefault();
      const column = (this.now % columns) + by;
      if (Math.abs(by) === 1 && (column < 0 || column === columns)) left(by, Math.floor(this.now / columns));
      else if (this.cells[this.now + by]) pointed((this.now += by));
    });
  }

  /** The keyboard comes from another map's side. */
  enter(by, row) {
    this.now = row * this.columns + (by > 0 ? 0 : this.columns - 1);
    this.box.focus({ focusVisible: true });
  }

  /** Shows bytes [height][width] behind the cells. */
  behind(pixels, width) {
    paintPixels(this.picture, pixels, width);
  }

  /** `fill(cell)`: [colour, opacity]. */
  paint(label, fill) {
    this.box.ariaLabel = label;
    this.cells.forEach((cell, k) => {
      const [colour, opacity] = fill(k);
      cell.setAttribute("fill", colour);
      cell.setAttribute("fill-opacity", opacity);
    });
  }

  mark(at) {
    this.cells[this.marked]?.classList.remove("now");
    this.marked = at;
    const cell = this.cells[at];
    if (!cell) return;
    cell.classList.add("now");
    cell.parentNode.append(cell); // above its neighbours
  }
}

export function paintPixels(canvas, pixels, width) {
  const height = pixels.length / width;
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  pixels.forEach((value, k) => image.data.set([value, value, value, 255], 4 * k));
  canvas.getContext("2d").putImageData(image, 0, 0);
}
