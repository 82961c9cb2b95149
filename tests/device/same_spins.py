"""The cross-compiled annealer must give this machine's own spins, bit for bit: one checksum, on
every kernel, and the best one that was compiled for that processor is among them."""
import argparse
import os
import subprocess
import sys

parser = argparse.ArgumentParser()
for name in ("host", "program", "emulator", "kernel"):
    parser.add_argument("--" + name, required=True)
options = parser.parse_args()
if not os.path.exists(options.host):
    print(f"SKIPPED: no build for this machine at '{options.host}'")
    sys.exit(77)


def sums(command):
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {line.split()[0]: line.split()[1] for line in text.splitlines()
             if "not run" not in line}
    print(f"$ {' '.join(command)}\n{text}", end="")
    return found


here = sums([options.host])
there = sums([options.emulator, options.program])
# A core of qemu may be asked for without it (toolchains/targets).
kernel = "plain" if "neon=off" in os.environ.get("QEMU_CPU", "") else options.kernel
if kernel not in there or len(set(here.values()) | set(there.values())) != 1:
    sys.exit(f"the checksums differ, or the kernel {kernel} is missing")
