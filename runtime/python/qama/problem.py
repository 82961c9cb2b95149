"""Problems and their answers: max-cut, quadratic forms (QUBO) and Ising problems."""
import ctypes
import math
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from . import library
from .library import bytes_of, call, text_of


# Variables whose states are all tried, so soon that nobody interrupts it.
_QUICK = 24


class Problem:
    """What `qama solve` reads from a file. Immutable; threads may share it.

    Made by file(), text(), graph(), qubo() or ising(). `variables` names the variables in their
    order; `values` is what one may be: (0, 1), or (-1, 1) of an Ising problem.
    """

    def __init__(self, handle, variables=None, values=(0, 1)):
        self._handle = handle
        self._close = weakref.finalize(self, library.load().qama_problem_close, handle)
        size = library.load().qama_problem_variables(handle)
        self.variables = range(size) if variables is None else tuple(variables)
        self.values = values
        # Whether the larger value is the better one.
        self.maximises = library.load().qama_problem_maximises(handle) == 1

    @classmethod
    def file(cls, path: str | os.PathLike, format: str | None = None, *, maximise: bool = False,
             symmetric: bool = False) -> "Problem":
        """Reads a file, also a packed one; `format`, `maximise` and `symmetric` as `qama solve`
        has them."""
        options = library.ProblemOptions(format=bytes_of(format), maximise=bool(maximise),
                                         symmetric=bool(symmetric))
        return cls._make("qama_problem_open_with", bytes_of(path), ctypes.byref(options))

    @classmethod
    def text(cls, text: str | bytes, format: str | None = None, *, maximise: bool = False,
             symmetric: bool = False) -> "Problem":
        """Reads what a file holds, as `file` does."""
        data = text.encode() if isinstance(text, str) else bytes(text)
        options = library.ProblemOptions(format=bytes_of(format), maximise=bool(maximise),
                                         symmetric=bool(symmetric))
        return cls._make("qama_problem_from_text_with", data, len(data), ctypes.byref(options))

    @classmethod
    def graph(cls, edges, weights=None, vertices: int | None = None) -> "Problem":
        """Max-cut: the weight of the edges between two sides is maximised. edges: integers
        [edges][2] from 0; weights: [edges], by default 1; vertices: by default those that the edges
        name."""
        pairs = np.asarray(edges)
        if pairs.size == 0:
            pairs = pairs.reshape(0, 2).astype(np.int32)
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            raise ValueError(f"edges {list(pairs.shape)}, expected [edges, 2]")
        first, second = (_indices(pairs[:, k]) for k in range(2))
        if vertices is None:
            vertices = int(pairs.max(initial=-1)) + 1
        weights = None if weights is None else _numbers(weights, len(pairs), "weights")
        return cls._make("qama_problem_from_graph", vertices, len(pairs), first.ctypes.data,
                         second.ctypes.data, None if weights is None else weights.ctypes.data)

    @classmethod
    def qubo(cls, Q, offset: float = 0.0) -> "Problem":
        """Minimise offset + sum_ij Q_ij x_i x_j over x in {0, 1}. Q: a square array, a matrix of
        scipy.sparse, or a dictionary from pairs of names to numbers. Q_ij and Q_ji add up; the
        diagonal is linear."""
        if isinstance(Q, dict):
            names = {name: i for i, name in
                     enumerate(dict.fromkeys(name for pair in Q for name in pair))}
            return cls._terms(len(names), [names[a] for a, _ in Q], [names[b] for _, b in Q],
                              list(Q.values()), offset, _as_numbered(names))
        if hasattr(Q, "tocoo"):
            Q = Q.tocoo()
            if Q.shape[0] != Q.shape[1]:
                raise ValueError(f"Q {list(Q.shape)}, expected a square matrix")
            return cls._terms(Q.shape[0], Q.row, Q.col, Q.data, offset)
        matrix = doubles(Q)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"Q {list(matrix.shape)}, expected a square matrix")
        return cls._make("qama_problem_from_matrix", len(matrix), matrix.ctypes.data, offset)

    @classmethod
    def ising(cls, h, J, offset: float = 0.0) -> "Problem":
        """Minimise offset + sum_i h_i s_i + sum_ij J_ij s_i s_j over s in {-1, +1}. J_ij and J_ji
        add up: give each pair once, as dimod does. h: numbers, or a dictionary from names; J: a
        square array (its diagonal is refused), or a dictionary from pairs of names."""
        if not isinstance(J, dict):
            matrix = doubles(J)
            if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
                raise ValueError(f"J {list(matrix.shape)}, expected a square matrix")
            J = {(int(i), int(j)): matrix[i, j] for i, j in zip(*np.nonzero(matrix))}
            if not isinstance(h, dict) and len(h) != len(matrix):
                raise ValueError(f"{len(h)} fields, expected {len(matrix)}, as J has rows")
        if not isinstance(h, dict):
            h = dict(enumerate(doubles(h).tolist()))
        names = {name: i for i, name in
                 enumerate(dict.fromkeys([*h, *(name for pair in J for name in pair)]))}
        if not names:
            raise library.QamaError("INVALID_ARGUMENT", "0 variables, expected 1 or more")
        # As a text, which keeps every weight: in a QUBO, sums of several would be rounded.
        lines = [f"offset {_text_of(offset, 'offset')}"]
        for name, weight in h.items():
            if weight != 0:
                spin = names[name] + 1
                lines.append(f"{spin} {spin} {_text_of(weight, 'h', name)}")
        for (a, b), weight in J.items():
            if a == b:
                raise ValueError(f"J joins {a!r} with itself, expected two variables")
            lines.append(f"{names[a] + 1} {names[b] + 1} {_text_of(weight, 'J', (a, b))}")
        text = "\n".join([f"{len(names)} {len(lines) - 1}", *lines]).encode()
        options = library.ProblemOptions(format=b"ising")
        return cls._make("qama_problem_from_text_with", text, len(text), ctypes.byref(options),
                         variables=_as_numbered(names), values=(-1, 1))

    @classmethod
    def _terms(cls, size, rows, columns, weights, offset, variables=None):
        rows, columns = _indices(rows), _indices(columns)
        weights = _numbers(weights, len(rows), "weights")
        return cls._make("qama_problem_from_terms", size, len(rows), rows.ctypes.data,
                         columns.ctypes.data, weights.ctypes.data, offset,
                         variables=variables)

    @classmethod
    def _make(cls, function, *arguments, **names):
        handle = ctypes.c_void_p()
        call(function, *arguments, ctypes.byref(handle))
        return cls(handle, **names)

    def value(self, sample) -> float:
        """What a sample is worth in the problem's own terms: a dictionary from variables, or an
        array in their order."""
        answer = _answers(self, [sample])
        out = ctypes.c_double()
        call("qama_problem_value", self._handle, answer.ctypes.data, ctypes.byref(out))
        return out.value

    def __len__(self) -> int:
        return len(self.variables)

    def __repr__(self) -> str:
        return f"<qama.Problem of {len(self)} variables in {self.values}>"


@dataclass(frozen=True)
class SampleSet:
    """Different samples, the best first."""
    samples: np.ndarray  # int8 [samples][variables]
    values: np.ndarray  # float64 [samples], in the problem's own terms
    counts: np.ndarray  # int64 [samples]: how many reads ended there
    variables: object

    @property
    def first(self) -> dict:
        """The best sample, from variables to their values."""
        return dict(zip(self.variables, self.samples[0].tolist()))

    def data(self):
        """Each as (sample, value, count), the sample from variables to their values."""
        for row, value, count in zip(self.samples.tolist(), self.values.tolist(),
                                     self.counts.tolist()):
            yield dict(zip(self.variables, row)), value, count

    def __len__(self) -> int:
        return len(self.samples)

    def __str__(self) -> str:
        names = [str(name) for name in list(self.variables)[:16]]
        width = [max(2, len(name)) for name in names]
        more = " ..." if len(self.variables) > len(names) else ""
        head = " ".join(f"{name:>{w}}" for name, w in zip(names, width)) + more
        lines = [f"   {head}  {'value':>12} reads"]
        for i in range(min(len(self), 10)):
            row = " ".join(f"{x:>{w}}" for x, w in zip(self.samples[i].tolist(), width)) + more
            lines.append(f"{i:>2} {row}  {self.values[i]:>12.6g} {self.counts[i]:>5}")
        if len(self) > 10:
            lines.append(f"   ... {len(self)} samples")
        return "\n".join(lines)


@dataclass(frozen=True)
class Solution:
    """The best answer that was found."""
    array: np.ndarray = field(repr=False)  # int8, in the order of problem.variables
    variables: object = field(repr=False)
    value: float  # in the problem's own terms, offset included
    optimal: bool  # proven: there is no better one
    target_reached: bool
    stopped: bool  # the callback ended the search
    exact_weights: bool  # solved as given; else rounded to 16 bits, or as floats
    solved_by: str
    form: str
    solve_us: float
    sweeps: int  # of a restart
    restarts: int
    proposals: int
    samples: SampleSet | None = field(default=None, repr=False)  # of solve(samples=K)

    @property
    def sample(self) -> dict:
        """From variables to their values."""
        return dict(zip(self.variables, self.array.tolist()))

    def __str__(self) -> str:
        shown = ", ".join(f"{name!r}: {value}" for name, value in
                          list(zip(self.variables, self.array.tolist()))[:10])
        more = ", ..." if len(self.array) > 10 else ""
        return (f"value {self.value:.12g}{' (optimal)' if self.optimal else ''}  "
                f"{{{shown}{more}}}  ({self.solve_us:.0f} us, {self.solved_by})")


def as_problem(problem) -> Problem:
    """A Problem itself, the path of a file, or what Problem.qubo takes."""
    if isinstance(problem, Problem):
        return problem
    if isinstance(problem, (str, os.PathLike)):
        return Problem.file(problem)
    return Problem.qubo(problem)


class Progress(NamedTuple):
    """How far a search is."""
    elapsed: float  # seconds
    reads: int  # answers so far
    value: float  # of the best one; nan before the first


def solve(problem, *, seed: int = 1, time_limit: float | None = None,
          target: float | None = None, threads: int = 1, sweeps: int | None = None,
          restarts: int | None = None, t_start: float | None = None, t_end: float | None = None,
          device: str | None = None, form: str | None = None, samples: int | None = None,
          initial=None, callback: Callable[[Progress], object] | None = None) -> Solution:
    """Searches for the best answer to a Problem, a file, or a QUBO (Problem.qubo).

    The options are those of `qama solve`; time_limit is in seconds. Without a time limit and a
    target, the same seed gives the same answer, whatever the number of threads.

    samples: the `samples` of the result are that many of the best different answers, with how often
    each was reached; the search is then made of short reads, as `qama solve --samples` has them.
    initial: one answer to begin with or several, each a dictionary from variables or an array in
    their order; none is made worse. callback: is given a Progress every 20 ms and once at the end;
    what it returns ends the search if it is true, and so does an exception, which solve() raises.
    """
    problem = as_problem(problem)
    options = library.SolveOptions()
    library.load().qama_solve_options_init_size(ctypes.byref(options), ctypes.sizeof(options))
    options.seed, options.threads = seed, threads
    # What the library takes for "none" or "the default" is said by None here.
    for name, given, least in (("time_limit", time_limit, 1e-9), ("sweeps", sweeps, 0),
                               ("t_start", t_start, 1e-30), ("t_end", t_end, 1e-30),
                               ("samples", samples, 1)):
        if given is not None and not given >= least:
            raise ValueError(f"{name} {given}, expected "
                             f"{'more than 0' if least < 1e-6 and least else f'{least} or more'}")
    if target is not None and math.isnan(target):
        raise ValueError(f"target {target}, expected a number")
    if time_limit is not None:
        options.time_limit_ms = 1000 * time_limit
    if target is not None:
        options.target = target
    for name, given in (("sweeps", sweeps), ("restarts", restarts), ("t_start", t_start),
                        ("t_end", t_end)):
        if given is not None:
            setattr(options, name, given)
    options.device, options.form = bytes_of(device), bytes_of(form)
    begun = _answers(problem, initial)
    options.initial = begun.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
    options.initial_count = len(begun)
    most = samples or 1
    bits = np.empty((most, len(problem)), np.uint8)
    values, counts, found = np.empty(most), np.empty(most, np.int64), ctypes.c_int64(1)
    raw = library.Solution()

    def search():
        if samples is None:
            call("qama_problem_solve", problem._handle, ctypes.byref(options), bits.ctypes.data,
                 ctypes.byref(raw))
        else:
            call("qama_problem_solve_many", problem._handle, ctypes.byref(options), most,
                 bits.ctypes.data, values.ctypes.data, counts.ctypes.data, ctypes.byref(found),
                 ctypes.byref(raw))

    if callback is None and restarts is None and len(problem) <= _QUICK:
        search()
    else:
        _watched(search, options, callback)
    arrays = np.where(bits[:found.value] == 1, *reversed(problem.values)).astype(np.int8)
    kept = None if samples is None else SampleSet(arrays, values[:found.value],
                                                  counts[:found.value], problem.variables)
    return Solution(arrays[0], problem.variables, raw.value, bool(raw.optimal),
                    bool(raw.target_reached), bool(raw.stopped), bool(raw.exact_weights),
                    text_of(raw.solved_by), text_of(raw.form), raw.solve_us, raw.sweeps,
                    raw.restarts, raw.proposals, kept)


def sample(problem, reads: int = 10, *, seed: int = 1, **options) -> SampleSet:
    """`reads` answers, each a solve() of its own with seed, seed + 1 and so on; the options are
    those of solve()."""
    if reads < 1:
        raise ValueError(f"{reads} reads, expected 1 or more")
    problem = as_problem(problem)
    answers = [solve(problem, seed=seed + read, **options) for read in range(reads)]
    return _sample_set(problem, np.array([answer.array for answer in answers]),
                       np.array([answer.value for answer in answers]))


def boltzmann(problem, reads: int, temperature: float, *, seed: int = 1, threads: int = 1,
              burn_in: int | None = None, between: int | None = None):
    """Samples at a temperature: each answer with a probability proportional to exp(-E / T), where
    E is the value, or the negative of one that is maximised.

    Returns samples int8 [reads][variables] and values float64 [reads], in the order in which they
    were drawn. Where trying all answers of up to 20 variables is no more work than the sweeps
    below, each read is drawn by itself from the exact probabilities. Else read k is of Markov
    chain k % 32. burn_in: sweeps of a chain before its first read. between: sweeps from one read to
    the next; reads of a chain resemble each other. At temperatures far below the couplings a chain
    stays in one valley, and the shares of the valleys are then wrong.
    """
    problem = as_problem(problem)
    options = library.SampleOptions()
    library.load().qama_sample_options_init_size(ctypes.byref(options), ctypes.sizeof(options))
    options.seed, options.threads, options.temperature = seed, threads, temperature
    for name, given in (("burn_in", burn_in), ("between", between)):
        if given is not None:
            setattr(options, name, given)
    bits = np.empty((max(reads, 0), len(problem)), np.uint8)
    values = np.empty(max(reads, 0))
    call("qama_problem_sample", problem._handle, ctypes.byref(options), reads, bits.ctypes.data,
         values.ctypes.data)
    return np.where(bits == 1, *reversed(problem.values)).astype(np.int8), values


def _sample_set(problem, samples, values) -> SampleSet:
    samples, first, counts = np.unique(samples, axis=0, return_index=True, return_counts=True)
    values = values[first]
    order = np.argsort(-values if problem.maximises else values, kind="stable")
    return SampleSet(samples[order], values[order], counts[order], problem.variables)


def _watched(search, options, callback):
    """Runs a search in a thread of its own, so that this one hears the keyboard's interrupt and
    calls `callback`; what it raises ends the search."""
    state = {"stop": False, "now": None, "error": None}

    @library.ProgressCallback
    def progress(_, now):
        now = now.contents
        state["now"] = Progress(now.elapsed_ms / 1000, now.reads, now.value)
        return state["stop"]

    def run():
        try:
            search()
        except BaseException as error:
            state["error"] = error

    options.progress = progress
    thread = threading.Thread(target=run)
    thread.start()
    try:
        alive = True
        while alive:
            thread.join(0.02)
            alive = thread.is_alive()
            if callback is not None and state["now"] is not None and callback(state["now"]):
                state["stop"] = True
    finally:
        state["stop"] = True
        thread.join()
    if state["error"] is not None:
        raise state["error"]


def _answers(problem, samples) -> np.ndarray:
    """Bytes 0 and 1 [samples][variables] of one sample or of several."""
    if samples is None:
        samples = []
    elif isinstance(samples, dict) or len(samples) and np.isscalar(samples[0]):
        samples = [samples]
    out = np.empty((len(samples), len(problem)), np.uint8)
    for row, sample in zip(out, samples):
        if isinstance(sample, dict):
            sample = [sample[name] for name in problem.variables]
        chosen = np.asarray(sample)
        if chosen.shape != (len(problem),) or not np.isin(chosen, problem.values).all():
            raise ValueError(f"expected {len(problem)} values of {problem.values}")
        row[:] = chosen == problem.values[1]
    return out


def _as_numbered(names):
    """None where the names are 0, 1, 2 ... in this order."""
    return None if list(names) == list(range(len(names))) else names


def _indices(values) -> np.ndarray:
    array = np.asarray(values)
    if array.size == 0:
        return np.empty(0, np.int32)
    if array.dtype.kind not in "iu":
        raise ValueError(f"indices of {array.dtype}, expected integers")
    if array.min() < 0 or array.max() > np.iinfo(np.int32).max:
        raise ValueError(f"index {array.min() if array.min() < 0 else array.max()}, expected 0 to "
                         f"{np.iinfo(np.int32).max}")
    return np.ascontiguousarray(array, np.int32)


def _text_of(number, what, name=None) -> str:
    """A double in as many digits as it takes to read it back."""
    value = float(number)
    if not math.isfinite(value):
        of = "" if name is None else f" of {name!r}"
        raise library.QamaError("PROBLEM_BAD_VALUE", f"{what}{of} is {value}, expected a finite "
                                "number")
    return repr(value)


def doubles(values) -> np.ndarray:
    """Numbers as float64, in C order; ValueError for complex ones."""
    array = np.asarray(values)
    if array.dtype.kind == "c":  # numpy would drop a part
        raise ValueError(f"numbers of {array.dtype}, expected real ones")
    return np.ascontiguousarray(array, np.float64)


def _numbers(values, count, what) -> np.ndarray:
    array = doubles(values)
    if array.shape != (count,):
        raise ValueError(f"{what} {list(array.shape)}, expected [{count}]")
    return array
