// The annealer: problems with a known best answer.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { qama, source } from "./support.mjs";

const { solve } = qama;

/** A ring of an odd number of vertices: all but one edge can be cut. */
const ring = (vertices) => ({
  vertices, edges: Array.from({ length: vertices }, (_, k) => [k, (k + 1) % vertices]),
});
const cut = ({ edges }, answer) =>
  edges.reduce((sum, [i, j, weight = 1]) => sum + (answer[i] !== answer[j] ? weight : 0), 0);

test("max-cut of a ring", () => {
  const small = solve(ring(9));
  assert.equal(small.value, 8);
  assert.ok(small.optimal);
  assert.equal(cut(ring(9), small.answer), 8);
  const large = solve(ring(101));
  assert.equal(large.value, 100);
  assert.equal(cut(ring(101), large.answer), 100);
});

test("the complete bipartite graph, with weights", () => {
  const edges = [];
  for (let i = 0; i < 20; ++i) for (let j = 20; j < 45; ++j) edges.push([i, j, 1 + (i * j) % 3]);
  const best = edges.reduce((sum, edge) => sum + edge[2], 0);
  assert.equal(solve({ vertices: 45, edges }).value, best);
});

/** 20 x 40 vertices with edges of weight 1 and -1 to the right and below. */
function torus() {
  const edges = [];
  let state = 1;
  const sign = () => ((state = (state * 1103515245 + 12345) % 2147483648) & 65536 ? 1 : -1);
  for (let y = 0; y < 20; ++y) {
    for (let x = 0; x < 40; ++x) {
      edges.push([y * 40 + x, y * 40 + (x + 1) % 40, sign()]);
      edges.push([y * 40 + x, (y + 1) % 20 * 40 + x, sign()]);
    }
  }
  return { vertices: 800, edges };
}

test("a search of half a second tells how far it is", () => {
  const problem = torus();
  const told = [];
  const found = solve(problem, {
    seconds: 0.5,
    onProgress: (value, seconds, answer) => {
      assert.equal(cut(problem, answer), value);
      told.push([value, seconds]);
    },
  });
  assert.equal(cut(problem, found.answer), found.value);
  assert.equal(told.at(-1)[0], found.value);
  for (let k = 1; k < told.length; ++k) {
    assert.ok(told[k][0] > told[k - 1][0] && told[k][1] >= told[k - 1][1]);
  }
  assert.ok(found.seconds < 5);
  assert.ok(!found.stopped);
});

test("a quadratic form, either way", () => {
  const terms = [[0, 0, -1], [1, 1, -2], [0, 1, 2], [2, 2, 3]];
  const least = solve({ variables: 3, terms });
  assert.equal(least.value, -2);
  assert.deepEqual([...least.answer], [0, 1, 0]);
  const most = solve({ variables: 3, terms, maximise: true });
  assert.equal(most.value, 3);
  assert.deepEqual([...most.answer], [0, 0, 1]);
});

test("the same seed, the same answer; a target and a stop end the search", () => {
  const problem = ring(201);
  const [one, two] = [solve(problem, { seed: 5 }), solve(problem, { seed: 5n })];
  assert.deepEqual(one.answer, two.answer);
  assert.ok(solve(problem, { target: 150, seconds: 20 }).value >= 150);
  const stopped = solve(torus(), { seconds: 20, onProgress: () => false });
  assert.ok(stopped.stopped && stopped.seconds < 10);
  const better = solve(torus(), { sweeps: 1, initial: [stopped.answer] });
  assert.ok(better.value >= stopped.value);
  assert.throws(() => solve(torus(), { initial: [new Uint8Array(3)] }), { code: "INVALID_ARGUMENT" });
  assert.throws(() => solve(problem, { onProgress: () => { throw new RangeError("mine"); } }), /mine/);
  assert.equal(solve(ring(9)).value, 8);
});

test("the Petersen graph of the examples", () => {
  const lines = readFileSync(join(source, "runtime/examples/problems/petersen.mc"), "utf8")
    .split("\n").filter((line) => line && !line.startsWith("#")).map((line) => line.split(" ").map(Number));
  const edges = lines.slice(1).map(([i, j, weight]) => [i - 1, j - 1, weight]);
  assert.equal(solve({ vertices: lines[0][0], edges }).value, 12);
});
