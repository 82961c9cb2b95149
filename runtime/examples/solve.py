# %% [markdown]
# Problems in, answers out: cells of a notebook, or a program. At the top of the checkout:
# `PYTHONPATH=runtime/python python3 runtime/examples/solve.py`

# %% A QUBO: a dictionary, an array or a sparse matrix. Small ones are proven.
import numpy as np

import qama

answer = qama.solve({("a", "a"): -1, ("b", "b"): -1, ("a", "b"): 2})
print(answer)
assert answer.optimal and answer.value == -1

# %% Twelve numbers in two heaps of one sum: an Ising problem, of the difference squared.
numbers = np.array([31, 27, 22, 20, 17, 14, 11, 9, 8, 6, 4, 3])
heaps = qama.Problem.ising(np.zeros(12), 2 * np.triu(np.outer(numbers, numbers), 1),
                           float(numbers @ numbers))
best = qama.solve(heaps, samples=3)
print(best.samples)
print("left:", numbers[best.array > 0].sum(), "right:", numbers[best.array < 0].sum())
assert best.value == (numbers @ best.array) ** 2

# %% A graph of 60 vertices: the five best different cuts, and how often a read ended there.
dice = np.random.default_rng(1)
edges = [(i, j) for i in range(60) for j in range(i) if dice.random() < 0.2]
cuts = qama.solve(qama.Problem.graph(edges), samples=5, sweeps=20, restarts=200)
print(cuts.samples)

# %% Go on from an answer, watch the search, stop it.
seen = []
better = qama.solve(qama.Problem.graph(edges), initial=cuts.array, time_limit=0.2,
                    callback=lambda progress: seen.append(progress.value) or len(seen) > 100)
print(f"{cuts.value:.0f}, then {better.value:.0f}")
assert better.value >= cuts.value

# %% How likely is an answer at a temperature?
states, energies = qama.boltzmann(heaps, 2000, temperature=50)
print(f"mean energy {energies.mean():.1f}, best {energies.min():.0f}")
