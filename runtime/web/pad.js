// The drawing pad: strokes of a pointer (mouse, pen, finger) or of the keyboard, in 0..1 of its side.
import { drawStrokes } from "./picture.js";

const PEN = 0.085; // of the side
const STEP = 1 / 14; // of an arrow key
const MOVES = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
  Home: [-1, -1], PageUp: [1, -1], End: [-1, 1], PageDown: [1, 1],
};

export class Pad {
  /** `changed(strokes, resting)`: after every change; resting when no pen is on the pad. */
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.strokes = [];
    this.bitmap = null;
    this.foreign = false; // what is shown is an example or an image: the next stroke begins anew
    this.cursor = { x: 0.5, y: 0.5 };
    this.keyPen = false; // the keyboard's pen is down
    this.focused = false;
    new ResizeObserver(() => this.paint()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(type, (event) => this.#up(event));
    }
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => this.#focus(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => this.#focus(false));
  }

  clear() {
    this.show([], null, false);
  }

  /** Strokes or an image in place of what was there. */
  show(strokes, bitmap = null, foreign = true) {
    this.strokes = strokes;
    this.bitmap = bitmap;
    this.foreign = foreign;
    this.keyPen = false;
    this.#tell(true);
  }

  undo() {
    if (this.bitmap) return this.clear();
    this.strokes.pop();
    this.keyPen = false;
    this.foreign = false;
    this.#tell(true);
  }

  #tell(resting) {
    this.paint();
    this.changed(this.strokes, resting);
  }

  #begin(point) {
    if (this.foreign) this.strokes = [];
    this.bitmap = null;
    this.foreign = false;
    this.strokes.push([point]);
  }

  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  }

  #down(event) {
    if (!event.isPrimary || event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.keyPen = false;
    this.#begin(this.#point(event));
    this.#tell(false);
  }

  #move(event) {
    if (event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.strokes.at(-1).push(this.#point(each));
    this.#tell(false);
  }

  #up(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.#tell(true);
  }

  #focus(on) {
    this.focused = on;
    this.paint();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = MOVES[event.key];
    this.focused = true;
    if (move) {
      const inside = (at) => Math.min(Math.max(at, 0.06), 0.94);
      this.cursor = { x: inside(this.cursor.x + move[0] * STEP), y: inside(this.cursor.y + move[1] * STEP) };
      if (this.keyPen) this.strokes.at(-1).push({ ...this.cursor });
    } else if (event.key === " " || event.key === "Enter") {
      this.keyPen = !this.keyPen;
      if (this.keyPen) this.#begin({ ...this.cursor });
    } else if (event.key === "Backspace") {
      this.undo();
    } else if (event.key === "Delete") {
      this.clear();
    } else {
      return;
    }
    event.preventDefault();
    if (move && !this.keyPen) this.paint();
    else this.#tell(!this.keyPen);
  }

  paint() {
    const { canvas } = this;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (side === 0) return;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const draw = canvas.getContext("2d");
    draw.clearRect(0, 0, side, side);
    if (this.bitmap) {
      const { width, height } = this.bitmap;
      const scale = side / Math.max(width, height);
      draw.imageSmoothingEnabled = scale < 4;
      draw.drawImage(this.bitmap, (side - width * scale) / 2, (side - height * scale) / 2, width * scale, height * scale);
    }
    draw.strokeStyle = "#f4f6f8";
    drawStrokes(draw, this.strokes, PEN * side, (p) => [p.x * side, p.y * side]);
    if (!this.focused) return;
    draw.strokeStyle = this.keyPen ? "#ff951e" : "#9ab8e8";
    draw.lineWidth = 2 * devicePixelRatio;
    draw.beginPath();
    draw.arc(this.cursor.x * side, this.cursor.y * side, (PEN * side) / 2, 0, 7);
    draw.stroke();
  }
}

/** Digits as a hand draws them, for the page's example. */
export const EXAMPLES = {
  7: [[[0.32, 0.25], [0.5, 0.22], [0.69, 0.2], [0.63, 0.36], [0.55, 0.54], [0.48, 0.7], [0.43, 0.83]]],
  3: [[[0.3, 0.24], [0.42, 0.17], [0.57, 0.18], [0.65, 0.28], [0.61, 0.39], [0.5, 0.46], [0.44, 0.48], [0.55, 0.5],
    [0.67, 0.58], [0.69, 0.7], [0.6, 0.81], [0.45, 0.84], [0.3, 0.78]]],
  5: [[[0.68, 0.19], [0.52, 0.19], [0.38, 0.2], [0.36, 0.33], [0.34, 0.46], [0.46, 0.42], [0.58, 0.45], [0.66, 0.55],
    [0.65, 0.69], [0.55, 0.8], [0.42, 0.83], [0.3, 0.79]]],
  2: [[[0.31, 0.33], [0.35, 0.22], [0.47, 0.17], [0.6, 0.2], [0.66, 0.31], [0.61, 0.45], [0.5, 0.59], [0.38, 0.72],
    [0.3, 0.81], [0.45, 0.8], [0.58, 0.8], [0.72, 0.81]]],
  4: [[[0.4, 0.18], [0.35, 0.32], [0.29, 0.47], [0.27, 0.54], [0.42, 0.54], [0.57, 0.53], [0.73, 0.52]],
    [[0.61, 0.3], [0.6, 0.48], [0.58, 0.66], [0.57, 0.84]]],
  8: [[[0.63, 0.26], [0.53, 0.18], [0.42, 0.2], [0.37, 0.3], [0.44, 0.41], [0.56, 0.52], [0.64, 0.64], [0.61, 0.77],
    [0.5, 0.83], [0.39, 0.78], [0.36, 0.66], [0.43, 0.53], [0.56, 0.42], [0.64, 0.32], [0.63, 0.26]]],
};

/** An example's strokes, with points between its corners so that it is round. */
export function exampleStrokes(digit) {
  return EXAMPLES[digit].map((corners) => {
    const out = [];
    for (let k = 0; k + 1 < corners.length; ++k) {
      const [a, b, c, d] = [corners[Math.max(k - 1, 0)], corners[k], corners[k + 1], corners[Math.min(k + 2, corners.length - 1)]];
      for (let t = 0; t < 1; t += 0.125) { // Catmull and Rom's curve
        const at = (i) => 0.5 * (2 * b[i] + (c[i] - a[i]) * t + (2 * a[i] - 5 * b[i] + 4 * c[i] - d[i]) * t * t
          + (3 * b[i] - a[i] - 3 * c[i] + d[i]) * t ** 3);
        out.push({ x: at(0), y: at(1) });
      }
    }
    const [x, y] = corners.at(-1);
    return [...out, { x, y }];
  });
}
