"""The program for a board without an operating system, on an emulated board, against this
machine's own build: answers, spins, flash, memory and instructions.

    tests/device/board.py --core cortex-m55 [--count 100] [--record] [MODEL...]

Builds the preset of that core, writes each model's flash form (`qama flash`), and lets qemu's
board classify the first images of the official test set. Ends with 1 if more than one answer in
1000 differs, if a classification takes memory from the heap, or if a limit of size_limits.json is
passed. The limits are for one model; the others are compared only. Ends with 77 where the compiler,
the emulator or the data are missing: `toolchains/bootstrap --with boards` installs the first two.
--record writes the rows into bench/results/boards.tsv.
"""
import argparse
import datetime
import gzip
import json
import math
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import same_labels

ROOT = same_labels.ROOT
# qemu's machine, and where its linker script (runtime/bare/boards) has the model and the images.
BOARDS = {"cortex-m55": ("mps3-an547", 0x60000000, 0x60800000),
          "cortex-m7": ("mps2-an500", 0x60000000, 0x60800000)}
SPINS = "f4883cc5a8da77d2"
# Instructions are the difference of two numbers of images, so that starting is not in it.
RUNS = (1, 9)


def build(core):
    """The folder of the programs for `core`."""
    for words in (["cmake", "--preset", core], ["cmake", "--build", "--preset", core]):
        subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return ROOT / "build" / core / "bin"


def program_bytes(elf):
    """What a programmer writes to flash: the loaded parts of the file."""
    data = elf.read_bytes()
    at, = struct.unpack_from("<I", data, 28)
    size, count = struct.unpack_from("<HH", data, 42)
    headers = (struct.unpack_from("<8I", data, at + i * size) for i in range(count))
    return sum(header[4] for header in headers if header[0] == 1)


def images(dataset, folder, count):
    """The first images of a test set, rows from the top, colours together."""
    if dataset == "cifar10":
        file = next(folder.rglob("test_batch.bin"))
        data = file.read_bytes()[:count * 3073]
        planes = [data[i + 1:i + 3073] for i in range(0, len(data), 3073)]
        return b"".join(bytes(plane[c * 1024 + p] for p in range(1024) for c in range(3))
                        for plane in planes)
    data = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    return data[16:16 + count * 784]


class Board:
    """A core, its program and qemu's board."""

    def __init__(self, core, programs, scratch):
        self.machine, self.model_at, self.images_at = BOARDS[core]
        self.programs = programs
        self.scratch = pathlib.Path(scratch)
        self.plugin = None

    def refuses(self, model, error):
        """Whether the program ends with that error for a model that is damaged."""
        process = subprocess.run(self.words("qama.elf", model, b"", 0), text=True,
                                 capture_output=True, stdin=subprocess.DEVNULL, timeout=600)
        return process.returncode == 1 and error in process.stdout + process.stderr

    def reads_features(self, host, count=8):
        """Whether the program and `host` give samples of features the same labels."""
        model = ROOT / "tests" / "golden" / "small" / "published-text-qama.model.safetensors"
        data = model.read_bytes()
        header = json.loads(data[8:8 + struct.unpack_from("<Q", data)[0]])
        sample = json.loads(header["__metadata__"]["architecture"])["features"]
        shape = count, sample["tokens"], sample["width"]
        numbers = random.Random(1)
        floats = struct.pack(f"<{math.prod(shape)}f",
                             *(numbers.gauss(0, 5) for _ in range(math.prod(shape))))
        table = self.scratch / "features.npy"
        head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
        table.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()
                          + floats)
        flash = self.scratch / "features.bin"
        subprocess.run([host, "flash", "-q", model, "-o", flash], check=True,
                       stdout=subprocess.DEVNULL)
        answers = subprocess.run([host, "classify", "-q", "--json", "-m", model]
                                 + [f"{table}:{k}" for k in range(count)], check=True,
                                 stdout=subprocess.PIPE).stdout
        here = [json.loads(line)["class"] for line in answers.splitlines()]
        there = [int(value) for word, value in self.run("qama.elf", flash, floats, count)
                 if word == "label"]
        return len(set(here)) > 1 and here == there

    def words(self, program, model=None, pixels=b"", count=0):
        """The command."""
        words = ["qemu-system-arm", "-M", self.machine, "-display", "none", "-serial", "none",
                 "-monitor", "none", "-semihosting-config", "enable=on,target=native", "-kernel",
                 self.programs / program]
        if model is not None:
            samples = self.scratch / "samples.bin"
            samples.write_bytes(struct.pack("<I", count) + pixels)
            for file, address in ((model, self.model_at), (samples, self.images_at)):
                words += ["-device", f"loader,file={file},addr={address},force-raw=on"]
        return [str(word) for word in words]

    def run(self, program, model=None, pixels=b"", count=0, counts=False):
        """What the program printed, as [(word, value)]; and the instructions, if asked for."""
        words = self.words(program, model, pixels, count)
        if counts:
            if self.plugin is None:
                self.plugin = self.scratch / "count.so"
                subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", self.plugin,
                                ROOT / "bench" / "qemu" / "count_instructions.c"], check=True)
            words += ["-plugin", str(self.plugin), "-d", "plugin", "-D",
                      str(self.scratch / "count.txt")]
        process = subprocess.run(words, text=True, capture_output=True,
                                 stdin=subprocess.DEVNULL, timeout=600)
        text = process.stdout + process.stderr
        if process.returncode != 0:
            sys.exit(f"{program}: exit status {process.returncode}: {text}")
        lines = [line.split() for line in text.splitlines() if len(line.split()) == 2]
        if not counts:
            return lines
        counted = (self.scratch / "count.txt").read_text().split()
        return lines, int(counted[counted.index("instructions") + 1])

    def instructions(self, model, pixels):
        """Of one classification."""
        size = len(pixels) // RUNS[1]
        few, many = (self.run("qama.elf", model, pixels[:size * count], count, counts=True)[1]
                     for count in RUNS)
        return (many - few) // (RUNS[1] - RUNS[0])


def record(rows):
    """Puts rows of (core, model, figures...) in the place of those that the table has."""
    result = ROOT / "bench" / "results" / "boards.tsv"
    old = ([tuple(line.split("\t")) for line in result.read_text().splitlines()[2:]]
           if result.exists() else [])
    kept = {row[:2]: row for row in old + rows}
    lines = ["# `tests/device/board.py --record`, boards of qemu, g++ 12.2, "
             f"{datetime.date.today()}",
             "\t".join(("core", "model", "labels equal", "flash: program + model, kB",
                        "memory: static + heap + stack, kB", "instructions, million")),
             *("\t".join(row) for row in sorted(kept.values()))]
    result.write_text("\n".join(lines) + "\n")
    subprocess.run([ROOT / "bench" / "tables"], check=True)


def kilobytes(parts):
    return (f"{sum(parts) / 1e3:.1f}: " if len(parts) > 1 else "") + " + ".join(
        f"{part / 1e3:.1f}" for part in parts)


def values_of(lines):
    return {word: int(value) for word, value in lines if word != "label"}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", required=True, choices=BOARDS)
    parser.add_argument("--host", default=ROOT / "build" / "release" / "bin" / "qama")
    parser.add_argument("--programs", type=pathlib.Path, help="built already")
    parser.add_argument("--limits", default=ROOT / "tests" / "device" / "size_limits.json")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--data", nargs="+", default=[os.environ.get("QAMA_SHARED",
                                                                     ROOT.parent / "shared")
                                                      / pathlib.Path("data"),
                                                      "/usr/share/datasets"])
    parser.add_argument("--record", action="store_true")
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    limits = json.loads(pathlib.Path(options.limits).read_text())[options.core]
    models = options.models or [ROOT / "weights" / "models" / f"{limits['model']}.safetensors"]
    for tool in ("arm-none-eabi-g++", "qemu-system-arm"):
        if shutil.which(tool) is None:
            print(f"SKIPPED: no {tool}; `toolchains/bootstrap --with boards` installs it")
            return 77
    if not os.path.exists(options.host):
        print(f"SKIPPED: no build for this machine at '{options.host}'")
        return 77

    programs = options.programs or build(options.core)
    failed = compared = 0
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        board = Board(options.core, programs, scratch)
        print("| model | core | labels equal | flash: program + model | memory: static + heap + "
              "stack | instructions | seconds |\n|---|---|---|---|---|---|---|")
        for model in models:
            dataset = next(name for name in same_labels.DATASETS if model.name.startswith(name))
            data = same_labels.find_data(dataset, options.data, scratch)
            if data is None:
                print(f"SKIPPED: {model.stem}, no test set of {dataset} in {options.data}")
                continue
            flash = pathlib.Path(scratch, "model.bin")
            subprocess.run([options.host, "flash", "-q", model, "-o", flash], check=True,
                           stdout=subprocess.DEVNULL)
            here, _ = same_labels.evaluate([options.host], model, dataset, data, options.count,
                                           scratch)
            pixels = images(dataset, data, options.count)
            begin = time.monotonic()
            lines = board.run("qama.elf", flash, pixels, options.count)
            seconds = time.monotonic() - begin
            there = [int(value) for word, value in lines if word == "label"]
            different = [i for i, (a, b) in enumerate(zip(here, there)) if a[0] != b]
            found = values_of(lines)
            size = len(pixels) // options.count
            count = board.instructions(flash, pixels[:size * RUNS[1]])
            parts = [program_bytes(programs / "qama.elf"), flash.stat().st_size]
            memory = [found["static"], found["heap"], found["stack"]]
            good = (len(there) == len(here) == options.count and found["allocations"] == 0
                    and len(different) <= options.count // 1000)
            compared += 1
            equal = f"{len(there) - len(different)} of {len(here)}"
            rows.append((options.core, f"`{model.stem}`", equal, kilobytes(parts),
                         kilobytes(memory), f"{count / 1e6:.1f}"))
            print(f"| `{model.stem}` | {options.core} | {equal} | {sum(parts)}: {parts[0]} + "
                  f"{parts[1]} | {sum(memory)}: {memory[0]} + {memory[1]} + {memory[2]} | {count} "
                  f"| {seconds:.0f} |"
                  + ("" if good else " FAILED"), flush=True)
            if model.stem == limits["model"]:
                for name, value in (("flash_bytes", sum(parts)), ("ram_bytes", sum(memory)),
                                    ("instructions", count)):
                    passed = value <= limits[name]
                    print(f"{options.core} {name} {value}, at most {limits[name]}: "
                          f"{'ok' if passed else 'TOO MANY'}")
                    good = good and passed
                form = flash.read_bytes()
                last = bytes([form[-1] ^ 1])
                for damaged, error in ((form[:-1] + last, "MODEL_CHECKSUM_MISMATCH"),
                                       (b"x" + form[1:], "MODEL_WRONG_KIND"),
                                       (form[:8] + b"\1" + form[9:], "MODEL_UNSUPPORTED_VERSION")):
                    flash.write_bytes(damaged)
                    if not board.refuses(flash, error):
                        print(f"a damaged model is not refused with {error}")
                        good = False
                if not board.reads_features(options.host):
                    print("labels of features are others than here")
                    good = False
            failed += not good
        if (programs / "spins.elf").exists():
            spins = dict(board.run("spins.elf"))
            print("spins:", ", ".join(f"{name} {value}" for name, value in spins.items()))
            failed += not spins or set(spins.values()) != {SPINS}
    if options.record:
        record(rows)
    return int(failed > 0) if compared else 77


if __name__ == "__main__":
    sys.exit(main())
