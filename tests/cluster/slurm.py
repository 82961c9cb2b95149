#!/usr/bin/env python3
"""Slurm job arrays on this machine against one process: the same numbers.

    tests/cluster/slurm.py eval  [--program build/release/bin/qama] [--data DIR]
    tests/cluster/slurm.py sweep [--program build/release/bin/qama]

It starts slurmctld and slurmd of Debian's slurm-wlm on free ports of the loopback, as the user who
runs it. They need neither root nor munge, and end with the script. Ends with 77 where Slurm is not
there or does not start (sweep: where PyTorch is not there), and says why.

eval: `sbatch --array` of shards and `qama merge`, of a random MNIST or of the one in DIR. sweep:
the array of `qama_export.sweep slurm`, two tiny rows and one that fails at first, on random data.
"""
import argparse
import gzip
import json
import os
import random
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "sinfo")
START_SECONDS = 60
TIMES = ("seconds", "images_per_s", "latency_us")


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(77)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Slurm:
    """A controller and a node on this machine, for as long as the `with` block lasts."""

    def __init__(self, folder):
        self.folder, self.daemons = Path(folder), []
        # Debian's daemons are where only root looks.
        path = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"
        missing = [name for name in PROGRAMS if not shutil.which(name, path=path)]
        if missing:
            skip(f"{', '.join(missing)} is not here (Debian: slurm-wlm)")
        self.environment = {**os.environ, "PATH": path,
                            "SLURM_CONF": str(self.folder / "slurm.conf")}

    def __enter__(self):
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        controller, node = free_ports(2)
        host, user = socket.gethostname().split(".")[0], os.environ.get("USER") or "root"
        if os.getuid() == 0:
            user = "root"
        (self.folder / "slurm.conf").write_text(f"""
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=10 State=UP
""")
        for name in ("slurmctld", "slurmd"):
            with open(self.folder / f"{name}.txt", "w") as log:
                self.daemons.append(subprocess.Popen([name, "-D"], env=self.environment, stdout=log,
                                                     stderr=log))
        began = time.monotonic()
        while not self.is_idle():
            if (time.monotonic() - began > START_SECONDS
                    or any(one.poll() is not None for one in self.daemons)):
                logs = [(self.folder / f"{name}.txt").read_text().splitlines()
                        for name in ("slurmctld", "slurmd")]
                self.__exit__()
                skip("Slurm does not start: "
                     + "; ".join(line for log in logs for line in log[-3:]))
            time.sleep(0.2)
        return self

    def __exit__(self, *_):
        for one in reversed(self.daemons):
            one.terminate()
        for one in self.daemons:
            one.wait()

    def is_idle(self):
        found = subprocess.run(["sinfo", "-h", "-o", "%T"], env=self.environment, text=True,
                               capture_output=True, check=False)
        return found.stdout.strip() == "idle"

    def submit(self, *words):
        """Submits a job and waits for its end; its exit status."""
        done = subprocess.run(["sbatch", "--wait", *map(str, words)], env=self.environment,
                              check=False, stdout=subprocess.DEVNULL)
        return done.returncode


def put_data(folder, train, test):
    """A random MNIST."""
    dice = random.Random(1)
    for part, count in (("train", train), ("t10k", test)):
        files = {"images-idx3": struct.pack(">4I", 2051, count, 28, 28)
                 + dice.randbytes(count * 784),
                 "labels-idx1": struct.pack(">2I", 2049, count)
                 + bytes(dice.randrange(10) for _ in range(count))}
        for role, content in files.items():
            with gzip.open(folder / f"{part}-{role}-ubyte.gz", "wb", compresslevel=1) as out:
                out.write(content)


def run(*words, **how):
    return subprocess.run([*map(str, words)], check=True, text=True, stdout=subprocess.PIPE,
                          **how).stdout


def compare(name, got, expected):
    if got != expected:
        sys.exit(f"FAILED: {name}:\n{got}\nof the array, of one process:\n{expected}")
    print(f"{name}: equal")


def test_eval(slurm, folder, program, data):
    if data is None:
        data = folder
        put_data(folder, 1, 400)
    command = [program, "eval", "-q", "--json", "--dataset", "mnist", "--data", data, "-m",
               ROOT / "weights/models/mnist-qama.safetensors"]
    line = " ".join(shlex.quote(str(word)) for word in command)
    for array, of in (("0-7", 8), ("1-3", 3)):
        for old in folder.glob("shard-*"):
            old.unlink()
        status = slurm.submit(f"--array={array}", f"--output={folder}/shard-%a.json",
                              f"--error={folder}/shard-%a.err", "--wrap",
                              f"{line} --shard $SLURM_ARRAY_TASK_ID/{of}")
        shards = sorted(folder.glob("shard-*.json"))
        errors = "".join(path.read_text() for path in folder.glob("shard-*.err"))
        if status or len(shards) != of or errors:
            sys.exit(f"FAILED: array {array} ended with {status}, {len(shards)} reports: {errors}")
        merged = json.loads(run(program, "merge", "--json", *shards))
        whole = json.loads(run(*command, "--shard", "0/1"))
        for key in ("accuracy", "confusion", "checksum"):
            print(f"array {array}, {key}: {merged[key]}")
        for report in (merged, whole):
            for key in TIMES:
                del report[key]
        compare(f"array {array}, all but times", merged, whole)


def results_of(out, program, data):
    """What the rows below `out` came to, without times: their results, and what `qama eval` says
    of their models."""
    found = {}
    for path in sorted(out.glob("*/result.json")):
        result = json.loads(path.read_text())
        del result["seconds"]
        for one in result["eval"]:
            del one["p50_us"]
        report = json.loads(run(program, "eval", "-q", "--json", "--dataset", "mnist", "--data",
                                data, "-m", path.parent / "model.safetensors"))
        found[path.parent.name] = [result, report["accuracy"], report["confusion"],
                                   report["checksum"]]
    return found


def test_sweep(slurm, folder, program, _):
    if subprocess.run([sys.executable, "-c", "import torch"], check=False,
                      stderr=subprocess.DEVNULL).returncode:
        skip("python3-torch is not here")
    put_data(folder, 256, 64)
    slurm.environment.update(PYTHONPATH=str(ROOT / "weights/export"), OMP_NUM_THREADS="1",
                             PYTHONDONTWRITEBYTECODE="1")
    # Two tokens a picture.
    rows = ["V-mnist-p14x14-softmax", "V-mnist-p14x14-qama", "V-mnist-p7x7-softmax"]

    def sweep(command, out, *words):
        options = ["--data", folder, "--program", program, "--epochs", 1, "--rows",
                   *rows] if command != "table" else []
        return run(sys.executable, "-m", "qama_export.sweep", command, "--out", out, *options,
                   *words, env=slurm.environment)

    alone, array = folder / "alone", folder / "array"
    sweep("run", alone)
    expected = results_of(alone, program, folder)
    compare("rows of one process", sorted(expected), sorted(rows))

    # A checkpoint that cannot be read: its row fails, and the others do not.
    broken = array / rows[2] / "checkpoint.pt"
    broken.parent.mkdir(parents=True)
    broken.write_text("no checkpoint")
    status = slurm.submit(sweep("slurm", array).strip())
    compare("the array ended with an error", status != 0, True)
    compare("rows that did not fail", results_of(array, program, folder),
            {name: expected[name] for name in rows[:2]})
    print((array / rows[2] / "failed.txt").read_text(), end="")
    compare("rows that are `failed` in the table",
            sum("| failed / not run |" in line for line in sweep("table", array).splitlines()), 1)

    broken.unlink()
    script = sweep("slurm", array).strip()
    compare("tasks of the second array", "--array=0-0\n" in Path(script).read_text(), True)
    status = slurm.submit(script)
    compare("the second array's status", status, 0)
    compare("all rows", results_of(array, program, folder), expected)
    compare("the table", sweep("table", array), sweep("table", alone))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["eval", "sweep"])
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/bin/qama")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    # The names of users' folders may be anything; Slurm's own configuration takes no blanks.
    with (tempfile.TemporaryDirectory(prefix="qama-slurm-") as own,
          tempfile.TemporaryDirectory(prefix="qama cluster-") as folder):
        with Slurm(own) as slurm:
            test = {"eval": test_eval, "sweep": test_sweep}[options.what]
            test(slurm, Path(folder), options.program.resolve(),
                 options.data and options.data.resolve())


if __name__ == "__main__":
    main()
