"""The cross-compiled annealer must give this machine's own spins, bit for bit: one checksum, on
every kernel."""
import argparse
import os
import subprocess
import sys

parser = argparse.ArgumentParser()
for name in ("host", "program", "emulator"):
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
if len(there) < 2 or len(set(here.values()) | set(there.values())) != 1:
    sys.exit("the checksums differ, or there is only the reference")
