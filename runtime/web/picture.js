// From a drawing or an image file to what Session.explain() takes: a picture of any size. The model's file says how
// that becomes the model's input (weights/FORMAT.md): for MNIST, the digit in a box of 20 x 20 of 28 x 28 pixels, its
// centre of mass in the middle. Here is only what the browser does better: decoding, and drawing lines.

const SIDE = 224; // of a drawing
const BOX = 160; // of its strokes
const PEN = 21; // after scaling the 2.6 pixels that MNIST's strokes have
const LARGEST = 1024; // of an image's sides

function context(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext("2d", { willReadFrequently: true });
}

/** Draws polylines of points {x, y} into a context; `place` moves a point. */
export function drawStrokes(draw, strokes, width, place) {
  draw.lineWidth = width;
  draw.lineCap = draw.lineJoin = "round";
  for (const stroke of strokes) {
    draw.beginPath();
    stroke.forEach((point, k) => {
      const [x, y] = place(point);
      if (k === 0) draw.moveTo(x, y);
      if (k > 0 || stroke.length === 1) draw.lineTo(x, y + (stroke.length === 1 ? 0.01 : 0));
    });
    draw.stroke();
  }
}

/** Strokes of points in 0..1, light on dark, with a pen of MNIST's width whatever their size; null: there are none. */
export function pictureOfStrokes(strokes) {
  const points = strokes.flat();
  if (points.length === 0) return null;
  const xs = points.map((p) => p.x);
  const ys = points.map((p) => p.y);
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top];
  // A dot stays a dot: what is smaller than a seventh of the pad is not blown up to the whole box.
  const scale = (BOX - PEN) / Math.max(width, height, 1 / 7);
  const draw = context(SIDE, SIDE);
  draw.fillRect(0, 0, SIDE, SIDE);
  draw.strokeStyle = "#fff";
  drawStrokes(draw, strokes, PEN, (p) => [(p.x - left - width / 2) * scale + SIDE / 2, (p.y - top - height / 2) * scale + SIDE / 2]);
  return draw.getImageData(0, 0, SIDE, SIDE);
}

/** An image file, at most 1024 pixels wide and high. */
export function pictureOfBitmap(bitmap) {
  const shrink = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * shrink));
  const height = Math.max(1, Math.round(bitmap.height * shrink));
  const draw = context(width, height);
  draw.imageSmoothingQuality = "high";
  draw.drawImage(bitmap, 0, 0, width, height);
  return draw.getImageData(0, 0, width, height);
}
