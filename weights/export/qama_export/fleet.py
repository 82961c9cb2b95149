"""Trains a list of runs concurrently within one time limit and collects what is worth keeping.

    python3 -m qama_export.fleet RUNS.json --data packs --out OUT --device cuda --time-limit 540

RUNS.json: [{"name": "mnist-qama", "arguments": "--dataset mnist --attention qama ..."}, ...];
"threads" and "start_from" (folder of an earlier fleet: RUN/weights.pt is used) may be given too.
Each run is a process of its own; on a GPU they share it, which hides launch overhead and the time
the solver takes on the CPU. --archive N packs models, weights, goldens and logs into
OUT/results.tar.gz in pieces of N MiB and removes the folders; glue them with cat.
"""
import argparse
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from . import command

KEPT = ("model.safetensors", "golden.safetensors", "weights.pt", "log.jsonl", "stderr.txt")


def archive(out, names, mebibytes, weights):
    """Packs the kept files of the runs and splits the archive; the run folders are removed."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=6) as tar:
        for name in names:
            for kept in KEPT:
                if (weights or kept != "weights.pt") and (out / name / kept).exists():
                    tar.add(out / name / kept, f"{name}/{kept}")
    data, size = raw.getvalue(), mebibytes * 2 ** 20
    for number, begin in enumerate(range(0, len(data), size)):
        with command.replacing(out / f"results.tar.gz.{number:02d}") as part:
            part.write(data[begin:begin + size])
    # Only now, when the archive is on the disk.
    for name in names:
        shutil.rmtree(out / name, ignore_errors=True)


def train_all(runs, running, options, threads, width):
    """Trains the runs, `width` at a time, and returns the names of those that failed. `running`
    has the names and processes of those on their way, also after an exception."""
    began, out, waiting, failed = time.monotonic(), Path(options.out), list(runs), []
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads if options.device == "cpu" else 1),
                   "OPENBLAS_NUM_THREADS": str(threads if options.device == "cpu" else 1)}
    package_root = str(Path(__file__).resolve().parents[1])
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [package_root, environment.get("PYTHONPATH")]))
    while waiting or running:
        while waiting and len(running) < width:
            run = waiting.pop(0)
            folder = out / run["name"]
            if (folder / "model.safetensors").exists() and not {"--resume", "--restart"} & set(
                    shlex.split(run["arguments"])):
                print(f"{run['name']}: finished before; --restart in its arguments trains it anew",
                      flush=True)
                continue
            folder.mkdir(parents=True, exist_ok=True)
            line = [sys.executable, "-m", "qama_export.train", *shlex.split(run["arguments"]),
                    "--data", options.data, "--out", str(folder), "--device", options.device,
                    "--threads", str(run.get("threads", threads))]
            if (folder / "checkpoint.pt").exists() and not {"--resume", "--restart"} & set(line):
                line.append("--resume")
            if options.time_limit:
                left = options.time_limit - (time.monotonic() - began)
                line += ["--time-limit", f"{max(left, 1):.0f}", "--limit-from",
                         f"{time.time():.1f}"]
            earlier = Path(run.get("start_from") or options.start_from
                           or "") / run["name"] / "weights.pt"
            if earlier.exists():
                line += ["--start-from", str(earlier)]
            with open(folder / "stderr.txt", "a") as errors:
                process = subprocess.Popen(line, env=environment, stderr=errors,
                                           start_new_session=True)
            running.append((run["name"], process))
        time.sleep(0.2)
        # A run keeps its own limit; one that does not is stopped so that the others' results get
        # out.
        late = options.time_limit and time.monotonic() - began > options.time_limit + 10
        for entry in list(running):
            name, process = entry
            if late:
                process.kill()
            if process.poll() is not None or late:
                running.remove(entry)
                if process.wait() != 0:
                    failed.append(name)
                    print(f"{name}: failed with {process.returncode}:",
                          (out / name / "stderr.txt").read_text()[-2000:], flush=True)
        if late:
            failed += [run["name"] for run in waiting]
            waiting = []
    return failed


def read_runs(path, only):
    """The runs of RUNS.json, those named in `only` where it is given."""
    try:
        runs = json.loads(Path(path).read_text())
    except ValueError as error:
        raise ValueError(f"{path}: no JSON: {error}") from error
    if not isinstance(runs, list) or not all(
            isinstance(run, dict) and isinstance(run.get("name"), str)
            and isinstance(run.get("arguments"), str) for run in runs):
        raise ValueError(f"{path}: expected a list of objects with a name and arguments")
    names = only.split(",") if only else [run["name"] for run in runs]
    missing = set(names) - {run["name"] for run in runs}
    if missing:
        raise ValueError(f"{path}: no run is named {', '.join(sorted(missing))}")
    return [run for run in runs if run["name"] in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs")
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--time-limit", type=float, default=0)
    parser.add_argument("--concurrent", type=int, default=0, help="runs at a time; 0: all")
    parser.add_argument("--threads", type=int, default=0,
                        help="a run; 0: the cores divided by the runs")
    parser.add_argument("--only", help="names of runs, comma-separated")
    parser.add_argument("--start-from", help="folder of an earlier fleet")
    parser.add_argument("--archive", type=int, default=0, help="MiB a piece; 0: leave the folders")
    parser.add_argument("--no-weights", action="store_true",
                        help="leave weights.pt out of the archive")
    options = parser.parse_args()
    runs = read_runs(options.runs, options.only)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    width = min(options.concurrent or len(runs), len(runs))
    threads = options.threads or max(1, (os.cpu_count() or 1) // max(width, 1))

    def stop(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    running = []
    try:
        failed = train_all(runs, running, options, threads, width)
    except KeyboardInterrupt:
        # A terminal's Ctrl-C does not reach them: each hears of it once and writes its checkpoint.
        for _, process in running:
            process.send_signal(signal.SIGINT)
        for _, process in running:
            process.wait()
        raise command.Stopped(f"the runs in {out} are kept, and the same command goes on with "
                              "them") from None
    for run in runs:
        log = out / run["name"] / "log.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        last = next((line for line in reversed(lines) if "accuracy" in line), {})
        print(f"{run['name']}: accuracy {last.get('accuracy')} at epoch {last.get('epoch')} after "
              f"{last.get('seconds')} s", flush=True)
    if options.archive:
        archive(out, [run["name"] for run in runs], options.archive,
                not options.no_weights)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    command.run(main)
