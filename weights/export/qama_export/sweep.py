"""The sweeps of the paper's Tables IV (heads) and V (token length): trains, exports, evaluates,
prints the table.

    python3 -m qama_export.sweep list
    python3 -m qama_export.sweep run --rows IV-mnist --data DIR --out runs/sweep --epochs 4
    python3 -m qama_export.sweep table --out runs/sweep --into table.md

A row is TABLE-DATASET-HEADS_OR_POOL-ATTENTION, e.g. IV-mnist-h4-qama or V-cifar10-p4x4-softmax;
--rows takes beginnings of such names. A row is trained by qama_export.train and evaluated by `qama
eval` (QAMA: seeds 1, 2, 3) on the official test set; what came out is in OUT/ROW/result.json, and
rows that have one are not run again. "full" in the table means: all training samples, at least
FULL_EPOCHS epochs, schedule run to its end.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import command

# Epochs of the shipped models of the data set.
FULL_EPOCHS = {"mnist": 14, "fashion-mnist": 18, "cifar10": 16}
SHAPES = {"mnist": dict(dim=64, depth=2, mlp=128), "fashion-mnist": dict(dim=64, depth=2, mlp=128),
          "cifar10": dict(dim=128, depth=3, mlp=256)}
SIDES = {"mnist": 28, "fashion-mnist": 28, "cifar10": 32}
# Best accuracies of the paper: {key: (softmax, QAMA)}. Table V calls CIFAR-10's pools by MNIST's
# names; its lengths say which they are.
PAPER_HEADS = {"mnist": {1: (96.6, 96.1), 2: (97.2, 95.2), 4: (96.9, 96.9), 8: (97.4, 95.9)},
               "cifar10": {1: (59.9, 59.3), 2: (60.3, 58.6), 4: (60.7, 58.8), 8: (62.0, 59.3)},
               "fashion-mnist": {1: (85.9, 86.1), 2: (86.2, 85.5), 4: (86.9, 86.2),
                                 8: (87.7, 86.7)}}
PAPER_POOLS = {"mnist": {"1x1": (97.6, 94.9), "2x2": (95.3, 94.3), "2x7": (94.6, 93.1),
                         "7x7": (82.4, 80.2), "14x14": (42.1, 41.5)},
               "cifar10": {"1x1": (63.0, 50.3), "2x2": (58.4, 56.1), "4x4": (54.9, 51.9),
                           "8x8": (49.0, 46.9), "16x16": (38.9, 38.8)},
               "fashion-mnist": {"1x1": (85.7, 84.5), "2x2": (83.0, 82.8), "2x7": (77.6, 76.5),
                                 "7x7": (70.0, 67.8), "14x14": (52.2, 52.2)}}


@dataclass(frozen=True)
class Row:
    """One model of a table."""
    table: str
    dataset: str
    heads: int
    patch: int
    pool: str
    attention: str

    @property
    def name(self):
        varied = f"h{self.heads}" if self.table == "IV" else f"p{self.pool}"
        return f"{self.table}-{self.dataset}-{varied}-{self.attention}"

    @property
    def tokens(self):
        rows, columns = (int(n) for n in self.pool.split("x"))
        return (SIDES[self.dataset] // self.patch) ** 2 // (rows * columns)

    @property
    def paper(self):
        """(softmax, QAMA), best accuracies in %."""
        if self.table == "IV":
            return PAPER_HEADS[self.dataset][self.heads]
        return PAPER_POOLS[self.dataset][self.pool]


def rows():
    """All rows of both tables, in their order."""
    found = []
    for dataset in SHAPES:
        for heads in PAPER_HEADS[dataset]:
            found += [Row("IV", dataset, heads, 4, "1x1", kind) for kind in ("softmax", "qama")]
    for dataset in SHAPES:
        for pool in PAPER_POOLS[dataset]:
            found += [Row("V", dataset, 2, 2, pool, kind) for kind in ("softmax", "qama")]
    return found


def chosen(beginnings):
    found = [row for row in rows() if any(row.name.startswith(begin) for begin in beginnings)]
    for begin in beginnings:
        if not any(row.name.startswith(begin) for row in found):
            raise ValueError(f"no row begins with '{begin}'; see `list`")
    return found


def train_arguments(row, options):
    """Arguments of qama_export.train for a row."""
    shape = SHAPES[row.dataset]
    epochs = options.epochs or FULL_EPOCHS[row.dataset]
    found = ["--dataset", row.dataset, "--attention", row.attention, "--data", options.data,
             "--out", str(Path(options.out) / row.name), "--dim", shape["dim"], "--depth",
             shape["depth"],
             "--mlp", shape["mlp"], "--heads", row.heads, "--dim-head", shape["dim"] // row.heads,
             "--patch", row.patch, "--token-pool", row.pool, "--batch", 128, "--epochs", epochs,
             "--lr", 0.003,
             "--eval-every", 0, "--golden", 1, "--threads", options.threads, "--device",
             options.device,
             "--products", options.products, "--resume"]
    if row.attention == "qama":
        found += ["--sweeps", 5, "--eval-sweeps", 8, "--eval-restarts", 8, "--t-end", 0.08]
    for name in ("train_samples", "test_samples", "time_limit"):
        if getattr(options, name):
            found += ["--" + name.replace("_", "-"), getattr(options, name)]
    return [str(argument) for argument in found]


def evaluate(row, options):
    """`qama eval` of a row's model: [{seed, accuracy, n}]."""
    results = []
    for seed in (1, 2, 3) if row.attention == "qama" else (1,):
        command = [options.program, "eval", "-m",
                   str(Path(options.out) / row.name / "model.safetensors"),
                   "--dataset", row.dataset, "--data", options.eval_data or options.data, "--seed",
                   str(seed), "--json"]
        if options.test_samples:
            command += ["--limit", str(options.test_samples)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True,
                                          text=True).stdout)
        results.append({"seed": seed, "accuracy": found["accuracy"], "n": found["n"],
                        "p50_us": found["latency_us"]["p50"]})
    return results


def run_row(row, options):
    """Trains and evaluates a row; writes and returns its result."""
    folder = Path(options.out) / row.name
    result_file = folder / "result.json"
    if result_file.exists():
        return json.loads(result_file.read_text())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(
        filter(None, [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH")]))}
    subprocess.run([sys.executable, "-m", "qama_export.train", *train_arguments(row, options)],
                   check=True,
                   env=environment)
    last = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()][-1]
    planned = options.epochs or FULL_EPOCHS[row.dataset]
    whole = last["epoch"] >= planned - 1e-6 and not options.train_samples
    result = {"row": row.name, "epochs": last["epoch"], "seconds": last["seconds"],
              "pytorch_accuracy": last["accuracy"],
              "full": bool(whole and last["epoch"] >= FULL_EPOCHS[row.dataset] - 1e-6
                           and not options.test_samples)}
    if options.train_samples:
        result["train_samples"] = options.train_samples
    result["eval"] = evaluate(row, options)
    result_file.write_text(json.dumps(result, indent=1) + "\n")
    return result


def read_results(out):
    return {path.parent.name: json.loads(path.read_text())
            for path in Path(out).glob("*/result.json")}


def table(results):
    """Both tables as Markdown, rows without a result marked so."""
    lines = ["| table | data set | heads | tokens | spins | paper: softmax / QAMA | softmax | "
             "QAMA, seeds 1-3 | "
             "difference | epochs | run |", "|---|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows():
        if row.attention == "qama":
            continue
        partner = Row(row.table, row.dataset, row.heads, row.patch, row.pool, "qama")
        pair = [results.get(one.name) for one in (row, partner)]
        means = [one and 100 * statistics.mean(run["accuracy"] for run in one["eval"])
                 for one in pair]
        cells = ["-" if mean is None else f"{mean:.2f}" for mean in means]
        if pair[1]:
            cells[1] += " (" + " / ".join(f"{100 * run['accuracy']:.2f}"
                                          for run in pair[1]["eval"]) + ")"
        difference = "-" if None in means else f"{means[1] - means[0]:+.2f}"
        epochs = " / ".join("-" if one is None else f"{one['epochs']:g}" for one in pair)
        kinds = ["not run" if one is None else "full" if one["full"] else "shortened"
                 for one in pair]
        kind = kinds[0] if kinds[0] == kinds[1] else " / ".join(kinds)
        lines.append(f"| {row.table} | {row.dataset} | {row.heads} | {row.tokens} | "
                     f"{row.heads * row.tokens} | "
                     f"{row.paper[0]:.1f} / {row.paper[1]:.1f} | "
                     f"{cells[0]} | {cells[1]} | {difference} | {epochs} | "
                     f"{kind} |")
    return "\n".join(lines) + "\n"


def update(path, text):
    """Puts the table between the marks of a file, or writes a file of its own."""
    begin, end = "<!-- sweep: begin -->", "<!-- sweep: end -->"
    path = Path(path)
    old = path.read_text() if path.exists() else ""
    if begin in old and end in old:
        head, rest = old.split(begin, 1)
        path.write_text(head + begin + "\n" + text + end + rest.split(end, 1)[1])
    else:
        path.write_text(old + begin + "\n" + text + end + "\n")


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="print the rows' names")
    run = commands.add_parser("run", help="train, export and evaluate rows")
    add = run.add_argument
    add("--rows", nargs="+", required=True, help="beginnings of rows' names")
    add("--data", required=True, help="folder of official files or packs, for training")
    add("--eval-data", help="folder of the official files for `qama eval` (default: --data)")
    add("--out", required=True)
    add("--program", default="build/release/bin/qama")
    add("--epochs", type=int, default=0, help="0: FULL_EPOCHS of the data set")
    add("--train-samples", type=int, default=0)
    add("--test-samples", type=int, default=0)
    add("--time-limit", type=float, default=0, help="seconds a row")
    add("--threads", type=int, default=1)
    add("--device", default="cpu", choices=["cpu", "cuda"])
    add("--products", default="float", choices=["float", "bf16"], help="of training (train --help)")
    show = commands.add_parser("table", help="print the table of the results there are")
    show.add_argument("--out", required=True)
    show.add_argument("--into", help="file whose part between the sweep marks is replaced")
    return parser.parse_args(arguments)


def main():
    options = parse()
    if options.command == "list":
        for row in rows():
            print(f"{row.name}: {row.tokens} tokens x {row.heads} heads, paper "
                  f"{row.paper[row.attention == 'qama']} %")
        return
    if options.command == "run":
        # QAMA and softmax of a row belong together: rows come in pairs.
        for row in chosen(options.rows):
            result = run_row(row, options)
            print(row.name, json.dumps(result), flush=True)
        return
    text = table(read_results(options.out))
    if options.into:
        update(options.into, text)
    print(text, end="")


if __name__ == "__main__":
    command.run(main)
