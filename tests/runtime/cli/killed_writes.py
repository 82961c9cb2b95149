#!/usr/bin/env python3
"""Kills `qama` while it writes a file, again and again, for every option that names one; then lets
the disk be full.

    tests/runtime/cli/killed_writes.py [--program build/release/bin/qama] [--kills 200]

A kill is at a random moment of the run, or, with --preload kill_at_call.so (the build makes it), at
a random step of writing. After it the old file is there or a whole new one, and no other file that
is cut. The full disk is a tmpfs, which only root can make; without one, a limit on the size of
files stands for it, and a line says so. Prints a table; exit status 1 where a file was lost or is
half.
"""
import argparse
import json
import os
import pathlib
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
OLD = b"the old file\n" * 50
STEPS = 7  # of writing one file: kill_at_call.c
RECORDED = 8  # files of one --record


class Kind:
    """An option that names a file: its command line, and what a whole file of it looks like; by
    itself, the bytes of an undisturbed run."""

    def __init__(self, name, command, behind=(), ends=None, is_json=False, is_folder=False):
        self.name, self.command, self.behind, self.ends = name, command, behind, ends
        self.is_json, self.is_folder = is_json, is_folder
        self.reference, self.seconds = None, 0.0

    def line(self, program, target):
        return [program, *self.command, target, *self.behind]

    def is_whole(self, name, data):
        if self.is_folder:
            return data == self.reference.get(name)
        if self.ends is not None:  # has times in it
            return data.endswith(self.ends) and data.count(b"\n") >= self.reference.count(b"\n")
        if self.is_json:
            try:
                return bool(json.loads(data))
            except ValueError:
                return False
        return data == self.reference


def made_mnist(folder, count):
    dice = random.Random(1)
    (folder / "t10k-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, count, 28, 28)
                                                    + dice.randbytes(count * 784))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, count)
                                                    + bytes(dice.choices(range(10), k=count)))


def kinds(data):
    model = str(ROOT / "weights/models/mnist-qama.safetensors")
    shoe = str(ROOT / "runtime/examples/images/shoe.png")
    (data / "graph.txt").write_text("60 1770\n" + "".join(
        f"{i} {j} 1\n" for i in range(1, 61) for j in range(i + 1, 61)))
    of_set = ["-m", model, "--dataset", "mnist", "--data", str(data)]
    profile = ["profile", "-q", "-m", model, "--runs", "2"]
    return [
        Kind("classify --show", ["classify", "-q", "-m", model, shoe, "--show"]),
        Kind("explain --html", ["explain", "-q", "-m", model, shoe, "--html"],
             ends=b"</body></html>\n"),
        Kind("profile --html", [*profile, "--html"], ends=b"</body></html>\n"),
        Kind("profile --csv", [*profile, "--csv"], ends=b"\n"),
        Kind("profile --trace", [*profile, "--trace"], is_json=True),
        Kind("eval --answers", ["eval", "-q", *of_set, "--limit", "200", "--answers"]),
        Kind("eval --record", ["eval", "-q", *of_set, "--limit", "4", "--record"],
             [str(RECORDED)], is_folder=True),
        Kind("solve --out", ["solve", "-q", str(data / "graph.txt"), "--format", "maxcut",
                             "--out"]),
        Kind("tune --out", ["tune", "-q", *of_set, "--samples", "4", "--share", "1", "--out"]),
        Kind("man --all", ["man", "--all"], is_folder=True),
    ]


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def learn(kind, options, folder):
    """An undisturbed run."""
    place = folder / "learn"
    place.mkdir()
    target = place if kind.is_folder else place / "out"
    begin = time.monotonic()
    done = subprocess.run(kind.line(options.program, target), capture_output=True, text=True)
    kind.seconds = time.monotonic() - begin
    if done.returncode:
        sys.exit(f"killed_writes: error: {kind.name}: {done.stderr}")
    files = files_of(place)
    kind.reference = files if kind.is_folder else files["out"]
    shutil.rmtree(place)


def check(kind, place, count):
    """Looks at what a kill left, and adds to the counts."""
    for name, data in files_of(place).items():
        if name.startswith(".qama-"):
            whole = (kind.is_whole(name, data) if not kind.is_folder
                     else data in kind.reference.values())
            count["left" if whole else "cut"] += 1
        elif data == OLD:
            count["old"] += 1
        else:
            count["new" if kind.is_whole(name, data) else "half"] += 1
    expected = kind.reference if kind.is_folder else ["out"]
    count["lost"] += sum(not (place / name).exists() for name in expected)


def kill_often(kind, options, folder, dice):
    count = dict.fromkeys(("kills", "old", "new", "half", "lost", "left", "cut"), 0)
    steps = STEPS * (len(kind.reference) if kind.is_folder else 1)
    while count["kills"] < options.kills:
        place = folder / "place"
        place.mkdir()
        for name in kind.reference if kind.is_folder else ["out"]:
            (place / name).write_bytes(OLD)
        at_step = options.preload and dice.random() < 0.5
        environment = dict(os.environ)
        if at_step:
            environment.update(LD_PRELOAD=options.preload,
                               QAMA_KILL_AT=str(dice.randint(1, steps)))
        process = subprocess.Popen(kind.line(options.program,
                                             place if kind.is_folder else place / "out"),
                                   env=environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        if not at_step:
            time.sleep(dice.uniform(0, kind.seconds))
            process.kill()
        status = process.wait()
        count["kills"] += status < 0
        if status > 0:
            sys.exit(f"killed_writes: error: {kind.name} ended with {status}")
        check(kind, place, count)
        shutil.rmtree(place)
    return count


class FullDisk:
    """A place where nothing of some size can be written."""

    def __init__(self, folder):
        self.place = folder / "full"
        self.place.mkdir()
        self.mounted = os.geteuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", self.place],
            capture_output=True).returncode == 0
        if not self.mounted:
            print("killed_writes: SKIPPED: no tmpfs can be mounted here, a limit on the size of "
                  "files stands for the full disk")

    def limit(self):
        if not self.mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))

    def close(self):
        if self.mounted:
            subprocess.run(["umount", self.place], check=True)


def full_disk(kind, options, disk):
    """What went wrong, or nothing."""
    names = sorted(kind.reference)[:1] if kind.is_folder else ["out"]
    (disk.place / names[0]).write_bytes(OLD)
    if disk.mounted:
        with open(disk.place / "ballast", "wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                pass
    target = disk.place if kind.is_folder else disk.place / "out"
    done = subprocess.run(kind.line(options.program, target), stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, preexec_fn=disk.limit)
    problems = []
    if done.returncode != 1 or "IO_ERROR" not in done.stderr:
        problems.append(f"exit status {done.returncode}, {done.stderr.strip()!r}")
    if (disk.place / names[0]).read_bytes() != OLD:
        problems.append("the old file is gone")
    if sorted(files_of(disk.place)) != sorted({*names, *(["ballast"] if disk.mounted else [])}):
        problems.append(f"files left: {sorted(files_of(disk.place))}")
    for path in disk.place.iterdir():
        path.unlink()
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", default=ROOT / "build/release/bin/qama")
    parser.add_argument("--preload", help="kill_at_call.so")
    parser.add_argument("--kills", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        data = folder / "data"
        data.mkdir()
        made_mnist(data, 200)
        disk = FullDisk(folder)
        try:
            print("| output | kills | old file | whole new file | half | lost | left beside it: "
                  "whole / cut | full disk |\n|---|---|---|---|---|---|---|---|", flush=True)
            for kind in kinds(data):
                learn(kind, options, folder)
                count = kill_often(kind, options, folder, dice)
                problems = full_disk(kind, options, disk)
                print(f"| `{kind.name}` | {count['kills']} | {count['old']} | {count['new']} | "
                      f"{count['half']} | {count['lost']} | {count['left']} / {count['cut']} | "
                      f"{'; '.join(problems) or 'error, old file kept'} |", flush=True)
                failed |= bool(count["half"] or count["lost"] or count["cut"] or problems)
        finally:
            disk.close()
    return failed


if __name__ == "__main__":
    sys.exit(main())
