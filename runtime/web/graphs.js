// Graphs for the tab of max-cuts: examples that everybody gets alike, and files of the format `.mc` (rudy).

/** Integers below n, the same in every browser (mulberry32). */
function dice(seed) {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

function petersen() {
  const edges = [];
  for (let k = 0; k < 5; ++k) edges.push([k, (k + 1) % 5, 1], [5 + k, 5 + ((k + 2) % 5), 1], [k, 5 + k, 1]);
  return { vertices: 10, edges };
}

/** Every vertex has three neighbours: pairs of 3 n stubs, drawn again until no pair is a loop or double. */
function cubic(vertices, seed) {
  const roll = dice(seed);
  for (;;) {
    const stubs = Array.from({ length: 3 * vertices }, (_, k) => Math.floor(k / 3));
    for (let k = stubs.length - 1; k > 0; --k) {
      const other = roll(k + 1);
      [stubs[k], stubs[other]] = [stubs[other], stubs[k]];
    }
    const edges = [];
    const seen = new Set();
    for (let k = 0; k < stubs.length; k += 2) {
      const [a, b] = [Math.min(stubs[k], stubs[k + 1]), Math.max(stubs[k], stubs[k + 1])];
      if (a === b || seen.has(a * vertices + b)) break;
      seen.add(a * vertices + b);
      edges.push([a, b, 1]);
    }
    if (edges.length * 2 === stubs.length) return { vertices, edges };
  }
}

/** A torus with weights of 1 and -1: a spin glass. */
function torus(side, seed) {
  const roll = dice(seed);
  const edges = [];
  for (let y = 0; y < side; ++y) {
    for (let x = 0; x < side; ++x) {
      const at = y * side + x;
      edges.push([at, y * side + ((x + 1) % side), roll(2) ? 1 : -1]);
      edges.push([at, ((y + 1) % side) * side + x, roll(2) ? 1 : -1]);
    }
  }
  return { vertices: side * side, edges, side };
}

function random(vertices, perCent, seed) {
  const roll = dice(seed);
  const edges = [];
  for (let a = 0; a < vertices; ++a) {
    for (let b = a + 1; b < vertices; ++b) if (roll(100) < perCent) edges.push([a, b, 1]);
  }
  return { vertices, edges };
}

/** `known`: the best cut that long runs found; of Petersen's graph it is proven. */
export const GRAPHS = {
  cubic: { title: "Random cubic graph, 120 vertices", make: () => cubic(120, 1), known: 164 },
  torus: { title: "Spin glass on a torus, 24 × 24", make: () => torus(24, 1), known: 402 },
  random: { title: "Random graph, 800 vertices, 6 %", make: () => random(800, 6, 1), known: 11536 },
  petersen: { title: "Petersen’s graph, 10 vertices", make: petersen, known: 12 },
};

/** Lines of numbers: vertices and edges, then of each edge two vertices from 1 and perhaps a weight. */
export function readGraph(text) {
  const rows = text.split("\n").map((line) => line.trim()).filter((line) => line && !/^[#c%]/.test(line))
    .map((line) => line.split(/\s+/).map(Number));
  const [vertices, count] = rows[0] ?? [];
  if (rows.flat().some(Number.isNaN) || !Number.isInteger(vertices) || vertices < 1 || rows[0].length !== 2
      || rows.slice(1).some(({ length }) => length < 2 || length > 3)) {
    throw new Error("expected a line VERTICES EDGES, then lines A B WEIGHT");
  }
  if (vertices > 20000 || count > 2e6) throw new Error("more than 20000 vertices or 2 million edges");
  if (rows.length - 1 !== count) throw new Error(`${rows.length - 1} edges, expected ${count}`);
  const edges = rows.slice(1).map(([a, b, weight = 1], k) => {
    const inside = (v) => Number.isInteger(v) && v >= 1 && v <= vertices;
    if (!inside(a) || !inside(b) || a === b) throw new Error(`edge ${k + 1}: ${a} ${b}, expected two of 1 to ${vertices}`);
    return [a - 1, b - 1, weight];
  });
  return { vertices, edges };
}
