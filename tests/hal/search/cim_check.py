#!/usr/bin/env python3
"""Recomputes every figure of `qama cim-check` with numpy, from the problem files alone.

    cim_check.py build/release/bin/qama

The problems: the matrix that the paper's authors uploaded, as it is described (one head of 512
spins, fields of 82 h, rounded as the vendor's SDK does, so that all couplings are 0), the same
before rounding, layers of the shipped image models, recorded, and small random problems in every
format, whose optimum is enumerated. Ends with 77 without numpy.
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError as error:
    print(f"SKIPPED: {error}")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[3]
SHOE = ROOT / "runtime/examples/images/shoe.png"


class Problem:
    """E = constant - sum_{i<j} W s s - sum F s over signs, to be minimised."""

    def __init__(self, size):
        self.size = size
        self.pairs = np.zeros((size, size))  # upper triangle
        self.fields = np.zeros(size)
        self.constant = 0.0
        self.maximises = False

    def sign_pair(self, i, j, weight):
        """weight s_i s_j"""
        self.pairs[min(i, j), max(i, j)] -= weight

    def binary_pair(self, i, j, weight):
        """weight x_i x_j with x = (1 + s) / 2; i = j: weight x_i"""
        if i == j:
            self.fields[i] -= weight / 2
            self.constant += weight / 2
            return
        self.sign_pair(i, j, weight / 4)
        self.fields[i] -= weight / 4
        self.fields[j] -= weight / 4
        self.constant += weight / 4

    def energy(self, text):
        signs = np.array([1.0 if c == "1" else -1.0 for c in text])
        energy = self.constant - signs @ self.pairs @ signs - self.fields @ signs
        return -energy if self.maximises else energy

    def hold(self, spin):
        """The same with that spin at +1."""
        out = Problem(self.size)
        out.pairs, out.fields = self.pairs.copy(), self.fields.copy()
        out.fields += out.pairs[spin, :] + out.pairs[:, spin]
        out.pairs[spin, :] = out.pairs[:, spin] = 0
        return out


def pairs_of(path, skip, base):
    for line in path.read_text().splitlines()[skip:]:
        words = line.split()
        yield int(words[0]) - base, int(words[1]) - base, float(words[2])


def read(path, kind):
    """The project's formats, read once more."""
    if kind in ("csv", "csv-qubo"):
        matrix = np.loadtxt(path, delimiter=",")
        out = Problem(len(matrix))
        for i in range(out.size):
            for j in range(out.size):
                if kind == "csv-qubo":
                    out.binary_pair(i, j, matrix[i, j])
                elif i != j:
                    out.sign_pair(i, j, -matrix[i, j])
                else:
                    out.constant -= matrix[i, j]
        return out
    if kind == "qama":
        words = iter(path.read_text().split()[2:])
        heads, tokens, rank = (int(next(words)) for _ in range(3))
        rho, penalty = float(next(words)), float(next(words))
        out = Problem(heads * tokens)
        for t in range(heads):
            signs = np.array([float(next(words)) for _ in range(rank)])
            rows = np.array([[float(next(words)) for _ in range(rank + 1)] for _ in range(tokens)])
            couplings = (rows[:, 1:] * signs) @ rows[:, 1:].T
            for i in range(tokens):
                out.binary_pair(t * tokens + i, t * tokens + i, -rho * rows[i, 0])
                for j in range(i + 1, tokens):
                    out.binary_pair(t * tokens + i, t * tokens + j, -couplings[i, j])
                for u in range(t + 1, heads):
                    out.binary_pair(t * tokens + i, u * tokens + i, penalty)
        return out
    first = path.read_text().split("\n", 1)[0].split()
    size = int(first[4] if kind == "qbsolv" else first[0])
    out = Problem(size)
    for i, j, weight in pairs_of(path, 1, 0 if kind == "qbsolv" else 1):
        if kind == "maxcut":
            out.maximises = True
            out.sign_pair(i, j, weight / 2)
            out.constant -= weight / 2
        elif kind == "ising" and i == j:
            out.fields[i] -= weight
        elif kind == "ising":
            out.sign_pair(i, j, weight)
        else:
            out.binary_pair(i, j, weight)
    return out


def is_exact(values, coupling, field, ancillas):
    """Whether one power of two divides all values and leaves the largest within the steps."""
    ratios = [float(v).as_integer_ratio() for v in values]
    denominator = max(d for _, d in ratios)
    common = math.gcd(*[abs(n) * (denominator // d) for n, d in ratios])
    unit = (common & -common) / denominator
    return coupling / unit <= 127 and field / unit <= 127 * ancillas, unit


def undecided(pairs, fields):
    """Spins left when those whose field outweighs their couplings are taken away, repeatedly."""
    couplings = pairs + pairs.T
    left = np.ones(len(fields), dtype=bool)
    fields = fields.copy()
    while True:
        around = np.abs(couplings[:, left]).sum(axis=1)
        ready = np.flatnonzero(left & (np.abs(fields) * (1 + 1e-9) + 1e-12 >= around))
        if len(ready) == 0:
            return int(left.sum())
        spin = ready[0]
        left[spin] = False
        fields += couplings[:, spin] * (-1 if fields[spin] < 0 else 1)


def lowest(problem):
    """The optimum, by trying everything."""
    states = np.arange(1 << problem.size)
    signs = ((states[:, None] >> np.arange(problem.size)) & 1) * 2.0 - 1
    energies = problem.constant - ((signs @ problem.pairs) * signs).sum(1) - signs @ problem.fields
    return energies.min()


class Check:
    def __init__(self, qama):
        self.qama = qama
        self.failures = 0
        self.checked = 0

    def run(self, *arguments):
        done = subprocess.run([self.qama, "cim-check", "-q", "--json", *map(str, arguments)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"cim-check {arguments}: {done.stderr}")
        return json.loads(done.stdout)["problems"]

    def expect(self, name, what, got, wanted, tolerance=0.0):
        self.checked += 1
        if isinstance(wanted, float) or isinstance(got, float):
            right = abs(got - wanted) <= tolerance * max(abs(wanted), 1e-9) + 1e-12
        else:
            right = got == wanted
        if not right:
            self.failures += 1
            print(f"{name}: {what} is {got}, expected {wanted}")

    def rounding(self, name, got, full, problem, optimum, solved):
        """One of the two roundings, of the problem whose given ancilla is held."""
        ancillas = max(got["ancillas"], 1)
        upper = problem.pairs[np.triu_indices(problem.size, 1)]
        upper = upper[upper != 0]
        coupling = np.abs(upper).max(initial=0.0)
        field = np.abs(problem.fields).max(initial=0.0)
        bounds = [127 / coupling] if coupling > 0 else []
        bounds += [127 * ancillas / field] if field > 0 else []
        scale = min(bounds)
        values = np.concatenate([upper, problem.fields[problem.fields != 0]])
        exact, unit = is_exact(values, coupling, field, ancillas)
        if exact:
            scale = math.floor(scale * unit * (1 + 1e-12)) / unit
        self.expect(name, "exact", got["exact"], exact)
        self.expect(name, "scale", got["scale"], float(scale), 1e-12)
        steps = np.rint(upper * got["scale"])
        self.expect(name, "levels", got["levels"], int(np.abs(steps).max(initial=0)))
        self.expect(name, "zeroed", got["zeroed"], int((steps == 0).sum()))
        if len(steps):
            self.expect(name, "share", got["zeroed_share"], float((steps == 0).mean()), 1e-12)
            self.expect(name, "deviation", got["deviation"],
                        float(np.sqrt((steps ** 2).mean())), 1e-9)
        rounded = Problem(problem.size)
        rounded.pairs = np.rint(problem.pairs * got["scale"])
        rounded.fields = np.rint(problem.fields * got["scale"])
        self.expect(name, "undecided", got["undecided"],
                    undecided(rounded.pairs, rounded.fields))
        if not solved:
            return
        value = full.energy(got["answer"])
        self.expect(name, "value", float(got["value"]), float(value), 1e-9)
        self.expect(name, "lost", float(got["lost"]), float(abs(optimum - value)), 1e-5)
        # full.constant is the mean over all answers; - x for a problem that is maximised.
        mean = -full.constant if full.maximises else full.constant
        whole = abs(optimum) if abs(optimum) > 1e-9 else abs(optimum - mean)
        self.expect(name, "lost_percent", float(got["lost_percent"]),
                    100 * float(got["lost"]) / whole if got["lost"] else 0.0, 1e-9)
        if problem.size <= 14:
            # The answer is an optimum of the rounded problem.
            self.expect(name, "rounded optimum", float(rounded.energy(got["answer"])),
                        float(lowest(rounded)), 1e-12)

    def problem(self, path, kind, got, name=None):
        name = name or path.name
        full = read(path, kind)
        held = full if got["given_ancilla"] is None else full.hold(got["given_ancilla"])
        couplings = int((held.pairs != 0).sum())
        spins = full.size - (0 if got["given_ancilla"] is None else 1)
        field = float(np.abs(held.fields).max())
        coupling = float(np.abs(held.pairs).max())
        self.expect(name, "spins", got["spins"], spins)
        self.expect(name, "spins_needed", got["spins_needed"], spins + (1 if field > 0 else 0))
        self.expect(name, "couplings", got["couplings"], couplings)
        self.expect(name, "largest_coupling", float(got["largest_coupling"]), coupling, 1e-12)
        self.expect(name, "largest_field", float(got["largest_field"]), field, 1e-12)
        left = undecided(held.pairs, held.fields)
        self.expect(name, "undecided", got["undecided"], left)
        if field > 0:
            wanted = math.ceil(field / coupling - 1e-12) if coupling > 0 else 1
            self.expect(name, "wanted_ancillas", got["wanted_ancillas"],
                        1 if got["one"]["exact"] else max(wanted, 1))
            self.expect(name, "ancillas", got["more"]["ancillas"],
                        max(min(got["wanted_ancillas"], 550 - spins), 1))
        solved = got["fits"]
        optimum = None
        if solved:
            optimum = full.energy(got["answer"])
            self.expect(name, "optimum", float(got["optimum"]), float(optimum), 1e-9)
            if full.size <= 14:
                self.expect(name, "optimum_is", got["optimum_is"], "proven")
                best = lowest(full)
                self.expect(name, "enumerated", float(optimum),
                            float(-best if full.maximises else best), 1e-9)
        for part in ("one", "more"):
            self.rounding(f"{name}, {part}", got[part], full, held, optimum, solved)
        self.expect(name, "verdict", got["verdict"], self.verdict(got, couplings, left))

    @staticmethod
    def verdict(got, couplings, left):
        one = got["one"]
        if got["spins_needed"] > 550:
            return "too large"
        if couplings == 0:
            return "diagonal"
        if left == 0:
            return "decided"
        if one["zeroed"] == couplings or one["undecided"] == 0:
            return "diagonal at eight bits"
        return "coarse" if one["lost_percent"] > 0.1 else "fine"


def authors_matrices(folder, rng):
    """The matrix as it was uploaded, and before rounding."""
    size = 512
    fields = 82 * rng.normal(size=size)
    couplings = rng.normal(size=(size, size)) * 0.35
    couplings = (couplings + couplings.T) / 2
    np.fill_diagonal(couplings, 0)
    matrix = np.zeros((size + 1, size + 1))
    matrix[:size, :size] = couplings
    matrix[:size, size] = matrix[size, :size] = fields
    matrix[0, size] = matrix[size, 0] = 82 * 4.5
    np.savetxt(folder / "unrounded.csv", matrix, fmt="%.17g", delimiter=",")
    eight = np.rint(matrix * 127 / np.abs(matrix).max()).astype(int)
    np.savetxt(folder / "uploaded.csv", eight, fmt="%d", delimiter=",")
    return folder / "uploaded.csv", folder / "unrounded.csv"


def small_problems(folder, rng):
    """Small random problems in several formats, with whole and with real weights."""
    for round_ in range(3):
        size = int(rng.integers(5, 13))
        for kind in ("qubo", "ising", "maxcut", "qbsolv", "csv", "csv-qubo"):
            whole = round_ == 0

            def weight(spread=40.0, whole=whole):
                return int(rng.integers(1, 9)) if whole else float(rng.normal() * spread)
            if kind.startswith("csv"):
                matrix = np.array([[weight() for _ in range(size)] for _ in range(size)], float)
                matrix = (matrix + matrix.T)
                if kind == "csv":
                    np.fill_diagonal(matrix, 0)
                path = folder / f"small{round_}-{kind}.csv"
                np.savetxt(path, matrix, fmt="%.17g", delimiter=",")
                yield path, kind
                continue
            base = 0 if kind == "qbsolv" else 1
            linear = [] if kind == "maxcut" else [(i, i, weight(4000.0)) for i in range(size)]
            pairs = [(i, j, weight()) for i in range(size) for j in range(i + 1, size)
                     if rng.random() < 0.7]
            head = (f"p qubo 0 {size} {len(linear)} {len(pairs)}" if kind == "qbsolv"
                    else f"{size} {len(linear) + len(pairs)}")
            path = folder / f"small{round_}-{kind}.txt"
            path.write_text(head + "\n" + "".join(
                f"{i + base} {j + base} {w!r}\n" for i, j, w in linear + pairs))
            yield path, kind


def problem_of_optimum_zero(folder):
    """A QUBO whose least value is that of all variables at 0; with one ancilla 1.6 is lost."""
    path = folder / "zero.txt"
    path.write_text("5 11\n1 1 400\n2 2 9.3\n2 3 -3.4\n2 4 4.1\n2 5 -1.1\n3 3 0.8\n3 4 -2.2\n"
                    "3 5 1.4\n4 4 3.6\n4 5 -6.8\n5 5 4.8\n")
    return path


def recorded_layers(qama, folder):
    """Layers of shipped image models, as `qama eval --record` writes them."""
    labelled = folder / "own" / "Ankle boot"
    labelled.mkdir(parents=True)
    (labelled / "shoe.png").write_bytes(SHOE.read_bytes())
    subprocess.run([qama, "eval", "-q", "--json", "-m",
                    ROOT / "weights/models/fashion-mnist-qama.safetensors", "--data",
                    folder / "own", "--record", folder / "layers", "2"],
                   check=True, stdout=subprocess.DEVNULL)
    return sorted((folder / "layers").glob("*.txt"))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rng = np.random.default_rng(8)
    check = Check(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        uploaded, unrounded = authors_matrices(folder, rng)
        got, before = check.run(uploaded, unrounded)
        check.problem(uploaded, "csv", got)
        check.problem(unrounded, "csv", before)
        check.expect("uploaded", "verdict", got["verdict"], "diagonal")
        check.expect("uploaded", "ancilla", got["given_ancilla"], 512)
        check.expect("uploaded", "sentence", got["sentence"].startswith(
            "This is a diagonal: the machine adds nothing."), True)
        check.expect("unrounded", "verdict", before["verdict"], "diagonal at eight bits")
        print(f"unrounded: {before['sentence']}")

        layers = recorded_layers(sys.argv[1], folder)
        of_files = check.run(*layers)
        of_model = check.run("-m", ROOT / "weights/models/fashion-mnist-qama.safetensors", SHOE)
        check.expect("layers", "count", len(of_files), 2)
        for path, file, model in zip(layers, of_files, of_model):
            check.problem(path, "qama", file)
            check.expect(path.name, "verdict", file["verdict"], "coarse")
            check.expect(path.name, "mended", file["more"]["lost_percent"] <= 0.1, True)
            for key in ("verdict", "wanted_ancillas", "couplings"):
                check.expect(path.name, f"{key} of the model", model[key], file[key])
            print(f"{path.name}: {file['sentence']}")

        for path, kind in small_problems(folder, rng):
            check.problem(path, kind, check.run("--format", kind, path)[0])
        zero = problem_of_optimum_zero(folder)
        got = check.run("--format", "qubo", zero)[0]
        check.problem(zero, "qubo", got)
        check.expect("zero", "optimum", float(got["optimum"]), 0.0)
        check.expect("zero", "some percent lost", got["one"]["lost_percent"] > 0.1, True)
        big = folder / "big.txt"
        big.write_text("600 599\n" + "".join(f"{i} {i + 1} 1\n" for i in range(1, 600)))
        got = check.run("--format", "maxcut", big)[0]
        check.problem(big, "maxcut", got)
        check.expect("big", "verdict", got["verdict"], "too large")
        page = folder / "page.html"
        subprocess.run([sys.argv[1], "cim-check", "-q", layers[0], "--html", page], check=True,
                       stdout=subprocess.DEVNULL)
        check.expect("page", "pictures", page.read_text().count("<svg"), 2)
    print(f"{check.checked} figures checked, {check.failures} wrong")
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
