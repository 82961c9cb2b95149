"""The doors for users of Kaiwu and dimod. Neither package is in Debian: Kaiwu's door works without
it; dimod's is tested with the package where it is installed, and else with a stand-in that has as
much of its interface as the door uses, which is said."""
import itertools
import sys
import types
import unittest

import numpy as np

from qama.kaiwu import Optimizer

try:
    import dimod
except ImportError:
    dimod = None


class Kaiwu(unittest.TestCase):
    def test_the_least_energy_with_the_ancilla_up(self):
        dice = np.random.default_rng(2)
        for _ in range(10):
            M = dice.normal(size=(8, 8))  # Kaiwu's are symmetric; others mean the same
            optimizer = Optimizer()
            rows = optimizer.solve(M)
            best = min(-np.array(s) @ M @ np.array(s)
                       for s in itertools.product((-1, 1), repeat=8))
            self.assertAlmostEqual(-rows[0] @ M @ rows[0], best)
            self.assertAlmostEqual(optimizer.get_hamiltonian()[0], best)
            self.assertEqual(rows.dtype, np.int8)
            self.assertEqual(set(rows[:, -1]), {1})

    def test_reads_and_a_matrix_that_stays(self):
        optimizer = Optimizer(reads=5, restarts=1)
        with self.assertRaisesRegex(ValueError, "no Ising matrix"):
            optimizer.solve()
        rows = optimizer.solve(np.zeros((3, 3)), sort_solutions=True)
        np.testing.assert_array_equal(optimizer.solve(sort_solutions=True), rows)
        with self.assertRaisesRegex(ValueError, "square"):
            optimizer.solve(np.zeros((3, 2)))
        with self.assertRaisesRegex(ValueError, "numbers of complex128"):
            optimizer.solve(np.eye(2) * 1j)


def stand_in():
    """A module with what qama.dimod uses of dimod."""
    module = types.ModuleType("dimod")
    module.SPIN, module.BINARY = "SPIN", "BINARY"

    class SamplerBase:
        def remove_unknown_kwargs(self, **kwargs):
            return kwargs

    class Bqm:
        def __init__(self, linear, quadratic, offset, vartype):
            self.linear, self.quadratic = dict(linear), dict(quadratic)
            self.offset, self.vartype = offset, vartype
            self.variables = list(dict.fromkeys([*linear, *(v for p in quadratic for v in p)]))
            for name in self.variables:
                self.linear.setdefault(name, 0.0)

        def energy(self, sample):
            return (self.offset + sum(b * sample[v] for v, b in self.linear.items())
                    + sum(b * sample[u] * sample[v] for (u, v), b in self.quadratic.items()))

    class SampleSet:
        def __init__(self, rows, energies, counts):
            self.rows, self.energies, self.counts = rows, energies, counts

        @classmethod
        def from_samples_bqm(cls, samples, bqm, num_occurrences=None):
            if not len(samples):
                return cls([], [], [])
            array, names = samples
            rows = [dict(zip(names, row.tolist())) for row in array]
            return cls(rows, [bqm.energy(row) for row in rows], list(num_occurrences))

    module.Sampler, module.BinaryQuadraticModel = SamplerBase, Bqm
    module.SampleSet = SampleSet
    return module


class Dimod(unittest.TestCase):
    def setUp(self):
        if dimod is None:
            sys.modules["dimod"] = stand_in()
            sys.modules.pop("qama.dimod", None)

    def tearDown(self):
        if dimod is None:
            sys.modules.pop("dimod")
            sys.modules.pop("qama.dimod", None)

    def test_stand_in_or_dimod_itself(self):
        import dimod as package
        from qama.dimod import Sampler
        dice = np.random.default_rng(3)
        for vartype, values in (("SPIN", (-1, 1)), ("BINARY", (0, 1))):
            linear = {name: float(dice.normal()) for name in "pqrst"}
            pairs = {pair: float(dice.normal()) for pair in itertools.combinations("pqrst", 2)}
            bqm = package.BinaryQuadraticModel(linear, pairs, 1.5, getattr(package, vartype))
            found = Sampler().sample(bqm, num_reads=4, seed=7)
            best = min(bqm.energy(dict(zip("pqrst", state)))
                       for state in itertools.product(values, repeat=5))
            if dimod is None:
                self.assertAlmostEqual(min(found.energies), best)
                self.assertEqual(sum(found.counts), 4)
            else:
                self.assertAlmostEqual(found.first.energy, best)
                self.assertEqual(sum(found.record.num_occurrences), 4)

    @unittest.skipIf(dimod is None, "SKIPPED: no dimod on this machine")
    def test_conformance(self):
        from dimod import testing
        from qama.dimod import Sampler
        testing.assert_sampler_api(Sampler())
        testing.load_sampler_bqm_tests(Sampler())(type("Holder", (unittest.TestCase,), {}))


if __name__ == "__main__":
    unittest.main()
