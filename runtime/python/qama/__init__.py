"""QAMA for Python: models whose attention heads select tokens, and the annealer that solves for
them.

    import qama

    model = qama.Model("weights/models/fashion-mnist-qama.safetensors")
    print(model.session().classify("runtime/examples/images/shoe.png"))

    print(qama.solve({("a", "a"): -1, ("b", "b"): -1, ("a", "b"): 2}))

Everything is computed by libqama, which this package loads; numpy is the only requirement.
`qama.dimod` and `qama.kaiwu` give the solver the interfaces of those packages.
"""
from .library import QamaError, load
from .model import Answer, Guess, Model, Session
from .problem import Problem, Progress, SampleSet, Solution, boltzmann, sample, solve

__all__ = ["Answer", "Guess", "Model", "Problem", "Progress", "QamaError", "SampleSet", "Session",
           "Solution", "boltzmann", "sample", "solve", "version"]


def version() -> str:
    """The version of libqama."""
    return load().qama_version().decode()
