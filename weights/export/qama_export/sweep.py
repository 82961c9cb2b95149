"""The sweeps of the paper's Tables IV (heads), V (token length) and VII (other kinds of
attention): trains, exports, evaluates, prints the table.

    python3 -m qama_export.sweep list
    python3 -m qama_export.sweep time --rows IV V --data DIR
    python3 -m qama_export.sweep run --rows IV-mnist --data DIR --out runs/sweep --epochs 4
    sbatch "$(python3 -m qama_export.sweep slurm --rows IV V --data DIR --out runs/sweep)"
    python3 -m qama_export.sweep table --out runs/sweep --into table.md

A row is TABLE-DATASET-HEADS_OR_POOL-ATTENTION, e.g. IV-mnist-h4-qama or V-cifar10-p4x4-softmax;
--rows takes beginnings of such names. A row is trained by qama_export.train and evaluated by `qama
eval` (QAMA: seeds 1, 2, 3) on the official test set; what came out is in OUT/ROW/result.json, and
rows that have one are not run again. A result of another recipe, or a training with other options,
is refused: each recipe has an OUT of its own. A row that fails leaves OUT/ROW/failed.txt, and the
next row begins; the same command tries it again. "full" in the table means: all training samples,
at least FULL_EPOCHS epochs, schedule run to its end.

slurm writes the same rows as a Slurm job array, a row a task, to OUT/array.sh, and prints its name;
`sbatch OPTION... OUT/array.sh` submits it. All nodes see the folders OUT and DIR. Rows with a
result are left out, so that the same line submits what is missing. table reads the results.

time tries some steps and an evaluation of each row and prints how long the whole row takes, in
processor time, shortest first.

--recipe published: the shape, training and operator of the authors' published code, 50 epochs a
row, best epoch and last; Table VII too. Without it: larger shapes, this project's training.
"""
import argparse
import contextlib
import fcntl
import io
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from . import command, train

# Epochs of the shipped models of the data set.
FULL_EPOCHS = {"mnist": 14, "fashion-mnist": 18, "cifar10": 16}
SHAPES = {"mnist": dict(dim=64, depth=2, mlp=128), "fashion-mnist": dict(dim=64, depth=2, mlp=128),
          "cifar10": dict(dim=128, depth=3, mlp=256)}
# What `time` tries of a row.
WARM_STEPS, TRIED_STEPS, TRIED_SAMPLES, TEST_SAMPLES = 8, 30, 1000, 10000
# Of a training: what may differ between the process that began it and the one that goes on.
FREE_OPTIONS = {"data", "out", "epochs", "threads", "device", "products", "library", "time_limit",
                "limit_from", "resume", "restart", "checkpoint_every", "golden"}
PUBLISHED_EPOCHS = train.RECIPES["published"]["epochs"]
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
# Table VII, CIFAR-10 with 8 heads: {kind: (last epoch, best epoch)}.
PAPER_KINDS = {"longformer": (62.1, 62.3), "bigbird": (60.0, 61.0), "linformer": (59.2, 59.4),
               "performer": (59.7, 60.0), "reformer": (62.5, 62.9)}


@dataclass(frozen=True)
class Row:
    """One model of a table."""
    table: str
    dataset: str
    heads: int
    patch: int
    pool: str
    attention: str
    recipe: str = ""

    @property
    def name(self):
        varied = {"IV": f"-h{self.heads}", "V": f"-p{self.pool}", "VII": ""}[self.table]
        return f"{self.table}-{self.dataset}{varied}-{self.attention}"

    @property
    def full_epochs(self):
        return PUBLISHED_EPOCHS if self.recipe else FULL_EPOCHS[self.dataset]

    @property
    def anneals(self):
        return self.attention.startswith("qama")

    @property
    def tokens(self):
        rows, columns = (int(n) for n in self.pool.split("x"))
        return (SIDES[self.dataset] // self.patch) ** 2 // (rows * columns)

    @property
    def paper(self):
        """(softmax, QAMA), best accuracies in %; Table VII: (last, best)."""
        if self.table == "VII":
            return PAPER_KINDS[self.attention]
        if self.table == "IV":
            return PAPER_HEADS[self.dataset][self.heads]
        return PAPER_POOLS[self.dataset][self.pool]


def rows(recipe=""):
    """All rows of the tables, in their order; Table VII's softmax and QAMA are rows of Table IV."""
    found = []
    kinds = ("softmax", "qama_bilinear" if recipe else "qama")
    for dataset in SHAPES:
        for heads in PAPER_HEADS[dataset]:
            found += [Row("IV", dataset, heads, 4, "1x1", kind, recipe) for kind in kinds]
    for dataset in SHAPES:
        for pool in PAPER_POOLS[dataset]:
            found += [Row("V", dataset, 2, 2, pool, kind, recipe) for kind in kinds]
    if recipe:
        found += [Row("VII", "cifar10", 8, 4, "1x1", kind, recipe) for kind in PAPER_KINDS]
    return found


def chosen(beginnings, recipe=""):
    found = [row for row in rows(recipe) if any(row.name.startswith(begin) for begin in beginnings)]
    for begin in beginnings:
        if not any(row.name.startswith(begin) for row in found):
            raise ValueError(f"no row begins with '{begin}'; see `list`")
    return found


def train_arguments(row, options):
    """Arguments of qama_export.train for a row."""
    shape = train.RECIPES[row.recipe] if row.recipe else SHAPES[row.dataset]
    found = ["--dataset", row.dataset, "--attention", row.attention, "--data", options.data,
             "--out", str(Path(options.out) / row.name),
             "--heads", row.heads, "--dim-head", shape["dim"] // row.heads,
             "--patch", row.patch, "--token-pool", row.pool,
             "--epochs", options.epochs or row.full_epochs,
             "--golden", 1, "--threads", options.threads, "--device",
             options.device,
             "--products", options.products, "--resume"]
    if row.recipe:
        found += ["--recipe", row.recipe]
    else:
        found += ["--dim", shape["dim"], "--depth", shape["depth"], "--mlp", shape["mlp"],
                  "--batch", 128, "--lr", 0.003, "--eval-every", 0]
    if row.attention == "qama":
        found += ["--sweeps", 5, "--eval-sweeps", 8, "--eval-restarts", 8, "--t-end", 0.08]
    for name in ("train_samples", "test_samples", "time_limit"):
        if getattr(options, name):
            found += ["--" + name.replace("_", "-"), getattr(options, name)]
    return [str(argument) for argument in found]


def evaluate(row, options, model):
    """`qama eval` of a row's model file `model`: [{seed, accuracy, n}]."""
    results = []
    for seed in (1, 2, 3) if row.anneals else (1,):
        line = [options.program, "eval", "-m", str(Path(options.out) / row.name / model),
                "--dataset", row.dataset, "--data", options.eval_data or options.data, "--seed",
                str(seed), "--json"]
        if options.test_samples:
            line += ["--limit", str(options.test_samples)]
        done = subprocess.run(line, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"`qama eval` ended with {done.returncode}: {done.stderr.strip()}")
        found = json.loads(done.stdout)
        results.append({"seed": seed, "accuracy": found["accuracy"], "n": found["n"],
                        "p50_us": found["latency_us"]["p50"]})
    return results


def result_file(row, options):
    return Path(options.out) / row.name / "result.json"


def read_result(path):
    """A row's result; ValueError where it is damaged."""
    try:
        result = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): without it the row is evaluated "
                         "again") from error
    if not isinstance(result, dict):
        raise ValueError(f"{path}: expected a JSON object")
    return result


def check_recipe(row, result):
    """ValueError where the result is of a row of this name of another recipe: both have softmax."""
    if ("best_epoch" in result) != bool(row.recipe):
        raise ValueError(f"{row.name} has a result {'without' if row.recipe else 'of'} --recipe "
                         "published, expected one "
                         f"{'of' if row.recipe else 'without'} it: give another --out")


def read_log(row, options):
    """The lines of a training's log; one that a full disk cut off is passed over."""
    log = Path(options.out) / row.name / "log.jsonl"
    found = []
    for line in log.read_text().splitlines() if log.exists() else []:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def check_training(row, options):
    """ValueError where the row's folder holds a training, finished or not, with other options that
    count for what comes out."""
    started = [line for line in read_log(row, options) if line.get("event") == "started"]
    if not started:
        return
    trained = started[-1]["options"]
    wanted = json.loads(json.dumps(vars(train.parse(train_arguments(row, options)))))
    for name, value in wanted.items():
        if name not in FREE_OPTIONS and name in trained and trained[name] != value:
            raise ValueError(f"{row.name} holds a training with {name} {trained[name]}, expected "
                             f"{value}: give the same options, or another --out")


def run_row(row, options):
    """Trains and evaluates a row; writes and returns its result. None: there is none yet."""
    folder = Path(options.out) / row.name
    if result_file(row, options).exists():
        result = read_result(result_file(row, options))
        check_recipe(row, result)
        return result
    check_training(row, options)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{row.name}: another process is at it", file=sys.stderr)
            return None
        except OSError:
            pass  # a file system without locks
        failed = folder / "failed.txt"
        failed.unlink(missing_ok=True)
        try:
            return train_and_evaluate(row, options)
        except Exception as error:
            command.write_text(failed, command.sentence_of(error) + "\n")
            raise


def train_and_evaluate(row, options):
    folder = Path(options.out) / row.name
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(
        filter(None, [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH")]))}
    if not train.is_finished(folder):
        done = subprocess.run([sys.executable, "-m", "qama_export.train",
                               *train_arguments(row, options)], check=False, env=environment)
        if done.returncode:
            raise RuntimeError(f"qama_export.train ended with {done.returncode}")
    if options.train_only:
        return None
    lines = read_log(row, options)
    last = [line for line in lines if "accuracy" in line][-1]
    planned = options.epochs or row.full_epochs
    whole = last["epoch"] >= planned - 1e-6 and not options.train_samples
    result = {"row": row.name, "epochs": last["epoch"], "seconds": last["seconds"],
              "pytorch_accuracy": last["accuracy"],
              "full": bool(whole and last["epoch"] >= row.full_epochs - 1e-6
                           and not options.test_samples)}
    if options.train_samples:
        result["train_samples"] = options.train_samples
    if row.recipe:
        best = [line for line in lines if "best" in line][-1]
        result.update(best=best["best"], best_epoch=best["best_epoch"],
                      last_eval=evaluate(row, options, "model.safetensors"))
    result["eval"] = evaluate(row, options, "best.safetensors" if row.recipe else
                              "model.safetensors")
    command.write_text(result_file(row, options), json.dumps(result, indent=1) + "\n")
    return result


def run_rows(chosen_rows, options):
    """Runs the rows one after the other; RuntimeError behind the last where some failed."""
    failed = []
    for row in chosen_rows:
        try:
            print(row.name, json.dumps(run_row(row, options)), flush=True)
        except (OSError, ValueError, RuntimeError) as error:
            print(f"{row.name}: failed: {command.sentence_of(error)}", file=sys.stderr, flush=True)
            failed.append(row.name)
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(chosen_rows)} rows failed: {', '.join(failed)}")


@dataclass
class Cost:
    """Processor time of a row's parts."""
    row: Row
    step: float  # seconds
    evaluation: float  # seconds
    steps: int
    evaluations: int

    @property
    def minutes(self):
        return (self.step * self.steps + self.evaluation * self.evaluations) / 60


def cost(row, options):
    """The Cost of a row, from TRIED_STEPS steps behind the first ones, and an evaluation of part of
    the test set."""
    with tempfile.TemporaryDirectory() as folder:
        tried = argparse.Namespace(**{**vars(options), "out": folder, "test_samples": TRIED_SAMPLES,
                                      "train_samples": 0, "time_limit": 0})
        line = [*train_arguments(row, tried), "--eval-every", "0"]
        with contextlib.redirect_stdout(io.StringIO()):
            run = train.Run(train.parse(line))
            steps, run.total = run.total, WARM_STEPS
            train.keep_memory()
            run.train()
            run.total += TRIED_STEPS
            began = time.process_time()
            run.train()
            step = (time.process_time() - began) / TRIED_STEPS
            began = time.process_time()
            run.evaluate()
            evaluation = (time.process_time() - began) * TEST_SAMPLES / TRIED_SAMPLES
            run.log_file.close()
    epochs = steps // run.epoch_steps
    return Cost(row, step, evaluation, steps, epochs if row.recipe else 1)


def cost_table(costs):
    """Lines of Markdown, shortest row first."""
    lines = ["| row | ms a step | s an evaluation | minutes, whole row |", "|---|---|---|---|"]
    lines += [f"| {one.row.name} | {1e3 * one.step:.1f} | {one.evaluation:.1f} | "
              f"{one.minutes:.0f} |" for one in sorted(costs, key=lambda one: one.minutes)]
    hours = sum(one.minutes for one in costs) / 60
    return "\n".join([*lines, f"{len(costs)} rows, {hours:.1f} hours in all"]) + "\n"


def array_script(chosen_rows, options):
    """A job array for sbatch, a row a task, each by `run` with these options."""
    words = [sys.executable, "-m", "qama_export.sweep", "run"]
    for name, value in vars(options).items():
        if name not in ("command", "rows") and value:
            words += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
    names = "\n".join("  " + row.name for row in chosen_rows)
    quote = shlex.quote
    return f"""#!/bin/bash
#SBATCH --job-name=qama-sweep
#SBATCH --array=0-{len(chosen_rows) - 1}
#SBATCH --cpus-per-task={options.threads}
#SBATCH --output={quote(str(Path(options.out).resolve()).replace('%', '%%') + '/task-%a.txt')}
rows=(
{names}
)
row=${{rows[${{SLURM_ARRAY_TASK_ID:?submit this file with sbatch}}]}}
echo "$row"
cd {quote(os.getcwd())} || exit
export PYTHONPATH={quote(str(Path(__file__).resolve().parents[1]))}
exec {' '.join(quote(word) for word in words)} --rows "$row"
"""


def write_array(options):
    """Writes the job array of the rows that have no result; returns its name."""
    waiting = [row for row in chosen(options.rows, options.recipe)
               if not result_file(row, options).exists()]
    if not waiting:
        raise ValueError(f"{options.out}: all these rows have results; `table` prints them")
    script = Path(options.out) / "array.sh"
    script.parent.mkdir(parents=True, exist_ok=True)
    command.write_text(script, array_script(waiting, options))
    return script


def read_results(out, recipe=""):
    """{row: result}; ValueError where one is of another recipe."""
    found = {path.parent.name: read_result(path) for path in Path(out).glob("*/result.json")}
    for row in rows(recipe):
        if row.name in found:
            check_recipe(row, found[row.name])
    return found


def read_failed(out):
    """Names of the rows that failed and have no result."""
    return {path.parent.name for path in Path(out).glob("*/failed.txt")}


def how_run(row, results, failed):
    if row.name not in results:
        return "failed" if row.name in failed else "not run"
    return "full" if results[row.name]["full"] else "shortened"


def table(results, recipe="", failed=()):
    """The tables as Markdown, rows without a result marked so; `failed`: names of such rows."""
    for name in (row.name for row in rows(recipe) if row.name in results):
        for key in ("epochs", "full", "eval"):
            if key not in results[name] or results[name][key] == []:
                raise ValueError(f"the result of {name} has no '{key}': without it the row is "
                                 "evaluated again")
    lines = ["| table | data set | heads | tokens | spins | paper: softmax / QAMA | softmax | "
             "QAMA, seeds 1-3 | "
             "difference | epochs | run |", "|---|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows(recipe):
        if row.attention != "softmax":
            continue
        partner = replace(row, attention="qama_bilinear" if recipe else "qama")
        pair = [results.get(one.name) for one in (row, partner)]
        means = [one and 100 * statistics.mean(run["accuracy"] for run in one["eval"])
                 for one in pair]
        cells = ["-" if mean is None else f"{mean:.2f}" for mean in means]
        if pair[1]:
            cells[1] += " (" + " / ".join(f"{100 * run['accuracy']:.2f}"
                                          for run in pair[1]["eval"]) + ")"
        difference = "-" if None in means else f"{means[1] - means[0]:+.2f}"
        epochs = " / ".join("-" if one is None else f"{one['epochs']:g}" for one in pair)
        kinds = [how_run(one, results, failed) for one in (row, partner)]
        kind = kinds[0] if kinds[0] == kinds[1] else " / ".join(kinds)
        lines.append(f"| {row.table} | {row.dataset} | {row.heads} | {row.tokens} | "
                     f"{row.heads * row.tokens} | "
                     f"{row.paper[0]:.1f} / {row.paper[1]:.1f} | "
                     f"{cells[0]} | {cells[1]} | {difference} | {epochs} | "
                     f"{kind} |")
    if recipe:
        lines += ["", *other_kinds(results, recipe, failed)]
    return "\n".join(lines) + "\n"


def other_kinds(results, recipe, failed):
    """Lines of Table VII: accuracies of the best epoch and of the last."""
    lines = ["| attention | paper: last / best | last | best | best epoch | run |",
             "|---|---|---|---|---|---|"]
    eight = [row for row in rows(recipe) if row.table == "VII" or row.name.startswith(
        "IV-cifar10-h8-")]
    of_paper = {"softmax": (61.4, 62.0), "qama_bilinear": (59.3, 59.3), **PAPER_KINDS}
    for row in eight:
        result = results.get(row.name)
        cells = ["-", "-", "-"]
        if result:
            cells = [f"{100 * statistics.mean(run['accuracy'] for run in result[key]):.2f}"
                     for key in ("last_eval", "eval")]
            cells.append(f"{result['best_epoch']:g}")
        last, best = of_paper[row.attention]
        lines.append(f"| {row.attention} | {last:.1f} / {best:.1f} | {' | '.join(cells)} | "
                     f"{how_run(row, results, failed)} |")
    return lines


def update(path, text):
    """Puts the table between the marks of a file, or writes a file of its own."""
    begin, end = "<!-- sweep: begin -->", "<!-- sweep: end -->"
    path = Path(path)
    old = path.read_text() if path.exists() else ""
    if begin in old and end in old:
        head, rest = old.split(begin, 1)
        command.write_text(path, head + begin + "\n" + text + end + rest.split(end, 1)[1])
    else:
        command.write_text(path, old + begin + "\n" + text + end + "\n")


def write_tsv(path, text, recipe):
    """The tables of table() as bench/tables reads them: the first to `path`, NAME.tsv, Table VII to
    NAME-kinds.tsv beside it. A row that was not run is kept as the file has it: one OUT need not
    have the results of all rows."""
    option = f" --recipe {recipe}" if recipe else ""
    head = f"# `python3 -m qama_export.sweep table{option}`, official test sets\n"
    path = Path(path)
    names = (path.name, f"{path.stem}-kinds.tsv")
    for name, part, keys in zip(names, text.split("\n\n"), (5, 1)):
        file = path.with_name(name)
        old = file.read_text().splitlines() if file.exists() else []
        kept = {tuple(line.split("\t")[:keys]): line for line in old}
        rows = [line.strip("| ").replace(" | ", "\t") for line in part.strip().splitlines()
                if not line.startswith("|---")]
        rows = [kept.get(tuple(row.split("\t")[:keys]), row) if row.endswith("\tnot run") else row
                for row in rows]
        command.write_text(file, head + "\n".join(rows) + "\n")


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="print the rows' names")
    run = commands.add_parser("run", help="train, export and evaluate rows")
    array = commands.add_parser("slurm", help="write the same as a Slurm job array")

    def add(*names, **how):
        for one in (run, array):
            one.add_argument(*names, **how)

    add("--rows", nargs="+", required=True, help="beginnings of rows' names")
    add("--data", required=True, help="folder of official files or packs, for training")
    add("--eval-data", help="folder of the official files for `qama eval` (default: --data)")
    add("--out", required=True)
    add("--program", default="build/release/bin/qama")
    add("--epochs", type=int, default=0, help="0: FULL_EPOCHS of the data set")
    add("--train-samples", type=int, default=0)
    add("--test-samples", type=int, default=0)
    add("--time-limit", type=float, default=0, help="seconds a row")
    add("--train-only", action="store_true", help="rows are evaluated by the same command without "
        "it")
    add("--threads", type=int, default=1)
    add("--device", default="cpu", choices=["cpu", "cuda"])
    add("--products", default="float", choices=["float", "bf16"], help="of training (train --help)")
    timing = commands.add_parser("time", help="try some steps of rows, print how long they take")
    timing.add_argument("--rows", nargs="+", required=True)
    timing.add_argument("--data", required=True)
    timing.set_defaults(epochs=0, threads=1, device="cpu", products="float")
    show = commands.add_parser("table", help="print the table of the results there are")
    show.add_argument("--out", required=True)
    show.add_argument("--into", help="file whose part between the sweep marks is replaced")
    show.add_argument("--tsv", help="file for bench/tables; Table VII goes to NAME-kinds.tsv; "
                      "rows that were not run stay as they are there")
    for one in (listing, run, timing, array, show):
        one.add_argument("--recipe", default="", choices=["published"])
    return parser.parse_args(arguments)


def main():
    options = parse()
    if options.command == "list":
        for row in rows(options.recipe):
            print(f"{row.name}: {row.tokens} tokens x {row.heads} heads, paper "
                  f"{row.paper[row.attention != 'softmax']} %")
        return
    if options.command == "run":
        # QAMA and softmax of a row belong together: rows come in pairs.
        run_rows(chosen(options.rows, options.recipe), options)
        return
    if options.command == "time":
        print(cost_table([cost(row, options) for row in chosen(options.rows, options.recipe)]),
              end="")
        return
    if options.command == "slurm":
        print(write_array(options))
        return
    results = read_results(options.out, options.recipe)
    text = table(results, options.recipe, read_failed(options.out))
    if options.into:
        update(options.into, text)
    if options.tsv:
        write_tsv(options.tsv, text, options.recipe)
    print(text, end="")


if __name__ == "__main__":
    command.run(main)
