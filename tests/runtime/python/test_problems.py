"""Problem, solve and sample against brute force over all states."""
import itertools
import math
import os
import pathlib
import signal
import tempfile
import threading
import unittest

import numpy as np

import qama
from qama import Problem

ROOT = pathlib.Path(__file__).resolve().parents[3]
PETERSEN = ROOT / "runtime" / "examples" / "problems" / "petersen.mc"


def least(value, values, size):
    return min(value(np.array(state)) for state in itertools.product(values, repeat=size))


class Problems(unittest.TestCase):
    def setUp(self):
        self.dice = np.random.default_rng(5)

    def test_a_matrix_a_sparse_matrix_and_a_dictionary_are_one_problem(self):
        Q = self.dice.normal(size=(9, 9)) * (self.dice.random((9, 9)) < 0.5)
        best = least(lambda x: x @ Q @ x, (0, 1), 9) + 3
        terms = {(int(i), int(j)): Q[i, j] for i, j in zip(*np.nonzero(Q))}
        for given in (Q, terms, Coo(Q)):
            answer = qama.solve(Problem.qubo(given, 3))
            self.assertAlmostEqual(answer.value, best, places=9)
            self.assertTrue(answer.optimal)
        self.assertAlmostEqual(qama.solve(Q).value + 3, best, places=9)

    def test_ising_by_names(self):
        for _ in range(5):
            h = dict(zip("abcdef", self.dice.normal(size=6)))
            J = {pair: self.dice.normal() for pair in itertools.combinations("fedcba", 2)}

            def value(s):
                state = dict(zip("abcdef", s))
                return 0.5 + (sum(h[i] * state[i] for i in h)
                              + sum(w * state[i] * state[j] for (i, j), w in J.items()))

            problem = Problem.ising(h, J, 0.5)
            answer = qama.solve(problem)
            self.assertAlmostEqual(answer.value, least(value, (-1, 1), 6), places=9)
            self.assertAlmostEqual(value(answer.array), answer.value, places=9)
            self.assertAlmostEqual(problem.value(answer.sample), answer.value, places=9)
            self.assertEqual(set(answer.sample), set("abcdef"))

    def test_ising_from_arrays(self):
        h, J = self.dice.normal(size=7), np.triu(self.dice.normal(size=(7, 7)), 1)
        answer = qama.solve(Problem.ising(h, J))
        self.assertAlmostEqual(answer.value, least(lambda s: h @ s + s @ J @ s, (-1, 1), 7),
                               places=9)

    def test_ising_keeps_every_weight(self):
        # A field beside a chain, and decimals, whose sums are no doubles.
        answer = qama.solve(Problem.ising({"a": -1}, {("a", "b"): -1e17}))
        self.assertEqual(answer.sample, {"a": 1, "b": 1})
        self.assertLess(qama.solve(Problem.ising([0, 0], {(0, 1): 1e307})).value, -9e306)
        for _ in range(50):
            h = (self.dice.integers(-9, 10, 6) / 10).tolist()
            J = {pair: int(self.dice.integers(-9, 10)) / 10
                 for pair in itertools.combinations(range(6), 2)}
            problem = Problem.ising(h, J, 0.1)
            for s in itertools.product((-1, 1), repeat=6):
                self.assertEqual(problem.value(s), math.fsum(
                    [0.1, *(w * x for w, x in zip(h, s)),
                     *(w * s[i] * s[j] for (i, j), w in J.items())]))

    def test_max_cut(self):
        self.assertEqual(qama.solve(PETERSEN).value, 12)
        edges = [(i, (i + 1) % 5) for i in range(5)]
        self.assertEqual(qama.solve(Problem.graph(edges)).value, 4)
        self.assertEqual(qama.solve(Problem.graph(edges, [1, 1, 1, 1, 5])).value, 8)
        self.assertEqual(len(Problem.graph(edges, vertices=8)), 8)

    def test_the_seed_decides_without_a_limit(self):
        Q = self.dice.integers(-9, 10, (60, 60)).astype(float)
        one, two = (qama.solve(Q, seed=4, threads=threads) for threads in (1, 2))
        np.testing.assert_array_equal(one.array, two.array)
        self.assertFalse(one.optimal)
        self.assertTrue(qama.solve(Q, target=one.value).target_reached)
        self.assertLessEqual(qama.solve(Q, time_limit=0.05).value, 0)

    def test_the_best_different_answers(self):
        Q = self.dice.normal(size=(8, 8))
        states = [np.array(state) for state in itertools.product((0, 1), repeat=8)]
        values = sorted(x @ Q @ x for x in states)
        answer = qama.solve(Q, samples=7)
        self.assertTrue(answer.optimal)
        np.testing.assert_allclose(answer.samples.values, values[:7], atol=1e-9)
        np.testing.assert_array_equal(answer.samples.samples[0], answer.array)
        for sample, value, count in answer.samples.data():
            self.assertAlmostEqual(Problem.qubo(Q).value(sample), value, places=9)
            self.assertEqual(count, 1)
        self.assertIsNone(qama.solve(Q).samples)
        big = self.dice.integers(-9, 10, (60, 60)).astype(float)
        reads = qama.solve(big, samples=50, sweeps=0, restarts=90, threads=2).samples
        self.assertLessEqual(reads.counts.sum(), 90)
        self.assertEqual(len({tuple(row) for row in reads.samples.tolist()}), len(reads))
        self.assertTrue((np.diff(reads.values) >= 0).all())
        self.assertIn("reads", str(reads))

    def test_initial_answers(self):
        Q = self.dice.integers(-9, 10, (60, 60)).astype(float)
        problem = Problem.qubo(Q)
        best = qama.solve(problem)
        for initial in (best.sample, best.array, [best.sample, best.array],
                        np.stack([best.array, best.array])):
            again = qama.solve(problem, initial=initial, sweeps=0, restarts=1, seed=5)
            self.assertLessEqual(again.value, best.value)
        with self.assertRaisesRegex(ValueError, "expected 60 values"):
            qama.solve(problem, initial=[0, 1])

    def test_a_callback_is_told_and_may_stop(self):
        Q = self.dice.integers(-9, 10, (60, 60)).astype(float)
        seen = []
        answer = qama.solve(Q, callback=seen.append)
        self.assertEqual(seen[-1].value, answer.value)
        self.assertGreaterEqual(seen[-1].reads, 1)
        self.assertFalse(answer.stopped)
        stopped = qama.solve(Q, restarts=2 ** 30, callback=lambda progress: progress.reads > 0)
        self.assertTrue(stopped.stopped)
        self.assertAlmostEqual(Problem.qubo(Q).value(stopped.array), stopped.value)
        with self.assertRaisesRegex(KeyError, "mine"):
            qama.solve(Q, restarts=2 ** 30, callback=lambda progress: {}["mine"])

    def test_an_interrupt_ends_a_search(self):
        Q = self.dice.integers(-9, 10, (60, 60)).astype(float)
        killer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        killer.start()
        with self.assertRaises(KeyboardInterrupt):
            qama.solve(Q, restarts=2 ** 30)
        killer.join()

    def test_samples_are_sorted_and_counted(self):
        # Two best states: 01 and 10.
        found = qama.sample({("a", "a"): -1, ("b", "b"): -1, ("a", "b"): 2}, 6, restarts=1)
        self.assertEqual(found.counts.sum(), 6)
        self.assertTrue((np.diff(found.values) >= 0).all())
        self.assertEqual(found.values[0], -1)
        self.assertEqual(sum(found.first.values()), 1)
        self.assertIn("reads", str(found))
        cut = qama.sample(Problem.graph([(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)]), 9, restarts=1,
                          sweeps=0, device="cpu:")
        self.assertEqual(cut.values[0], 4)
        self.assertTrue((np.diff(cut.values) <= 0).all())

    def test_samples_at_a_temperature(self):
        h, J = self.dice.normal(size=6), np.triu(self.dice.normal(size=(6, 6)), 1)
        states = np.array(list(itertools.product((-1, 1), repeat=6)))
        energies = states @ h + np.einsum("ki,ij,kj->k", states, J, states)
        weights = np.exp(-energies / 2)
        weights /= weights.sum()
        samples, values = qama.boltzmann(Problem.ising(h, J), 50_000, 2, between=20)
        np.testing.assert_allclose(values, samples @ h + np.einsum("ki,ij,kj->k", samples, J,
                                                                   samples), atol=1e-9)
        spread = np.sqrt(weights @ (energies - weights @ energies) ** 2 / len(values))
        self.assertLess(abs(values.mean() - weights @ energies), 4 * spread)
        np.testing.assert_allclose(samples.mean(0), weights @ states, atol=4 / 50_000 ** 0.5)
        with self.assertRaises(qama.QamaError) as caught:
            qama.boltzmann(np.eye(2), 5, -1)
        self.assertEqual(caught.exception.code, "INVALID_ARGUMENT")
        with self.assertRaises(qama.QamaError):
            qama.boltzmann(np.eye(2), 0, 1)

    def test_how_a_file_is_read(self):
        text = "2 2\n1 1 3\n1 2 -2\n"
        self.assertEqual(Problem.text(text, "qubo").value([1, 1]), 1)
        problem = Problem.text(text, "qubo", maximise=True, symmetric=True)
        self.assertTrue(problem.maximises)
        self.assertEqual(problem.value([1, 1]), -1)
        self.assertEqual(qama.solve(problem).value, 3)
        with tempfile.NamedTemporaryFile("w", suffix=".qubo") as file:
            file.write(text)
            file.flush()
            self.assertTrue(Problem.file(file.name, maximise=True).maximises)
            self.assertFalse(Problem.file(file.name).maximises)

    def test_errors(self):
        with self.assertRaises(qama.QamaError) as caught:
            Problem.text("3 1\n1 9 1\n", "maxcut")
        self.assertTrue(caught.exception.code.startswith("PROBLEM_"))
        with self.assertRaises(qama.QamaError) as caught:
            Problem.qubo([[np.nan]])
        self.assertEqual(caught.exception.code, "PROBLEM_BAD_VALUE")
        with self.assertRaisesRegex(qama.QamaError, r"BAD_VALUE: J of \('a', 'b'\) is inf"):
            Problem.ising({"a": 1}, {("a", "b"): np.inf})
        for empty in (lambda: Problem.ising({}, {}), lambda: Problem.qubo({})):
            with self.assertRaisesRegex(qama.QamaError, "INVALID_ARGUMENT: 0 variables"):
                empty()
        for wrong, sentence in (
                (lambda: Problem.qubo(np.zeros((2, 3))), "square"),
                (lambda: Problem.ising([0, 0], {(0, 0): 1}), "itself"),
                (lambda: Problem.ising([0], np.zeros((2, 2))), "1 fields, expected 2"),
                (lambda: Problem.graph([(0, 1)], [1, 2]), r"weights \[2\], expected \[1\]"),
                (lambda: Problem.graph([(0, -1)]), "index -1"),
                (lambda: Problem.graph([(0, 0.5)]), "expected integers"),
                (lambda: Problem.qubo(np.eye(2)).value([0, 2]), r"values of \(0, 1\)"),
                (lambda: qama.sample(np.eye(2), 0), "0 reads"),
                (lambda: Problem.qubo(np.eye(2) * 1j), "numbers of complex128"),
                (lambda: Problem.qubo({(0, 1): 1j}), "numbers of complex128"),
                # Nothing is read as something else.
                (lambda: qama.solve(np.eye(2), seed=np.int64(-1)), "seed -1"),
                (lambda: qama.solve(np.eye(2), sweeps=np.int64(2 ** 32 + 3)), "sweeps 4294967299"),
                (lambda: qama.boltzmann(np.eye(2), 5, 1, burn_in=np.int64(2 ** 32)), "burn_in"),
                (lambda: Problem.graph([(0, 1)], vertices=np.int64(2 ** 32 + 2)), "4294967298 in"),
                (lambda: qama.solve(np.eye(2), seed=-1), "seed -1"),
                (lambda: qama.solve(np.eye(2), seed=2 ** 64), "seed 18446744073709551616"),
                (lambda: qama.solve(np.eye(2), threads=2 ** 32 + 1), "threads 4294967297"),
                (lambda: qama.solve(np.eye(2), time_limit=0), "time_limit 0, expected more than 0"),
                (lambda: qama.solve(np.eye(2), sweeps=-1), "sweeps -1, expected 0 or more"),
                (lambda: qama.solve(np.eye(2), samples=0), "samples 0, expected 1 or more"),
                (lambda: qama.solve(np.eye(2), target=np.nan), "target nan"),
                (lambda: Problem.graph([(0, 1)], vertices=2 ** 32 + 2), "4294967298 in a call")):
            with self.assertRaisesRegex(ValueError, sentence):
                wrong()


class Coo:
    """As much of a matrix of scipy.sparse as is looked at."""

    def __init__(self, matrix):
        self.shape = matrix.shape
        self.row, self.col = np.nonzero(matrix)
        self.data = matrix[self.row, self.col]

    def tocoo(self):
        return self


if __name__ == "__main__":
    unittest.main()
