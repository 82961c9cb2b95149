"""Instructions of one inference of the program for another machine, against size_limits.json.

    tests/device/instructions.py --program PROGRAM --processor NAME MODEL

Counted by bench/qemu/count_instructions.c under Debian's qemu-user, as the difference of two
numbers of runs of `qama profile`, so that starting is not in it. A count, not a time: the same
whenever it is asked for. Ends with 1 if the limit is passed, with 77 where that emulator is
missing.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# `qama profile` has 16 samples of its own.
RUNS = (1, 17)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--processor", required=True)
    parser.add_argument("--emulator", default=ROOT / "toolchains" / "emulate")
    parser.add_argument("--limits", default=ROOT / "tests" / "device" / "size_limits.json")
    parser.add_argument("model")
    options = parser.parse_args()
    limits = json.loads(pathlib.Path(options.limits).read_text())[options.processor]["instructions"]
    if not any(shutil.which(f"qemu-{name}") for name in ("aarch64", "arm", "riscv64")):
        print("SKIPPED: no qemu that counts instructions; Debian's package is qemu-user")
        return 77

    def counted(runs, plugin):
        environment = dict(os.environ, QEMU_PLUGIN=f"file={plugin}", QEMU_LOG="plugin")
        process = subprocess.run([options.emulator, options.program, "profile", "-q", "-m",
                                  options.model, "--threads", "1", "--runs", str(runs), "--warm-up",
                                  "0"], text=True, capture_output=True, env=environment)
        found = re.search(r"^instructions (\d+)", process.stderr, re.M)
        kernel = re.search(r"^device cpu:(\w+)", process.stdout, re.M)
        if process.returncode != 0 or not found or not kernel:
            sys.exit(f"exit status {process.returncode}: {process.stderr}")
        return int(found[1]), kernel[1]

    with tempfile.TemporaryDirectory() as directory:
        plugin = pathlib.Path(directory, "count.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", plugin,
                        ROOT / "bench" / "qemu" / "count_instructions.c"], check=True)
        (few, kernel), (many, _) = (counted(runs, plugin) for runs in RUNS)
    value = (many - few) // (RUNS[1] - RUNS[0])
    limit = limits[kernel]
    print(f"one inference of {pathlib.Path(options.model).stem} on cpu:{kernel}:")
    print(f"{options.processor} instructions {value}, at most {limit}: "
          f"{'ok' if value <= limit else 'TOO MANY'}")
    return int(not 0 < value <= limit)


sys.exit(main())
