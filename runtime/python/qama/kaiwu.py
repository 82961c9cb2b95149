"""The annealer behind the interface of the Kaiwu SDK's optimizers.

    from qama.kaiwu import Optimizer
    solutions = Optimizer(reads=10).solve(ising_matrix)

An Ising matrix M asks for s in {-1, +1} with the least H = - s^T M s, where every pair counts twice
and the diagonal is a constant. Its last variable is the ancilla that linear terms were coupled to.

Where the package `kaiwu` is installed, Optimizer is one of its Ising and QUBO solvers, so that
`Optimizer().solve_qubo(qubo_model)` works, too. Without it, solve() is all there is.
"""
import numpy as np

from .problem import Problem, doubles, sample

try:
    from kaiwu.core import IsingSolver, QuboSolver

    class _Base(IsingSolver, QuboSolver):
        pass
except ImportError:
    class _Base:
        """What Kaiwu's IsingSolver does around _solve()."""

        def __init__(self):
            self.matrix = None
            self._hamiltonian = None

        def set_matrix(self, ising_matrix):
            if ising_matrix is not None:
                self.matrix = ising_matrix
            if self.matrix is None:
                raise ValueError("no Ising matrix, expected one here or in an earlier call")

        def solve(self, ising_matrix=None, negtail_flip=True, sort_solutions=False):
            """Rows of +1 and -1, int8 [solutions][variables]. negtail_flip: each row is turned so
            that its ancilla is +1. sort_solutions: the lowest energy first, as it is anyway."""
            self.set_matrix(ising_matrix)
            solutions = self._solve(self.matrix)
            matrix = np.asarray(self.matrix, np.float64)
            self._hamiltonian = -np.einsum("ij,ij->i", solutions @ matrix, solutions)
            if sort_solutions:
                order = np.argsort(self._hamiltonian, kind="stable")
                solutions, self._hamiltonian = solutions[order], self._hamiltonian[order]
            return solutions * solutions[:, [-1]] if negtail_flip else solutions

        def get_hamiltonian(self):
            """H of the rows that the last solve() gave."""
            return self._hamiltonian


class Optimizer(_Base):
    """reads: rows of solve(), fewer where answers are equal. options: those of qama.solve."""

    def __init__(self, reads: int = 1, seed: int = 1, **options):
        super().__init__()
        self.reads, self.seed, self.options = reads, seed, options

    def _solve(self, ising_matrix=None):
        matrix = doubles(ising_matrix)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"an Ising matrix {list(matrix.shape)}, expected a square one")
        # M_ij and M_ji add up: - (M_ij + M_ji) s_i s_j for i < j.
        couplings = np.triu(-(matrix + matrix.T), 1)
        problem = Problem.ising(np.zeros(len(matrix)), couplings, -float(np.trace(matrix)))
        return sample(problem, self.reads, seed=self.seed, **self.options).samples
