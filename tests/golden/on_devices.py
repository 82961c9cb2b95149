#!/usr/bin/env python3
"""A golden on every kind of device: `qama verify` on the CPU, on an Ising machine (an emulator that
this script starts) and by hand (csv:DIR, with a process that plays the vendor's web platform). With
the spins that the device finds, too, all answers must be PyTorch's.

    on_devices.py QAMA EMULATOR MODEL GOLDEN      ends with 77 without numpy
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

PLATFORM = Path(__file__).resolve().parents[1] / "hal/csv/web_platform.py"
MOST_ROUNDS = 100  # layers of all samples


def verify(qama, files, device):
    return subprocess.run([qama, "verify", "-q", "--json", "--fallback", "never", "--device",
                           device, *files], capture_output=True, text=True, check=False)


def by_hand(qama, files):
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(MOST_ROUNDS):
            done = verify(qama, files, f"csv:{folder}")
            if "NOT_FOUND" not in done.stderr:
                break
            answered = subprocess.run([sys.executable, PLATFORM, folder], check=False,
                                      stdout=subprocess.DEVNULL)
            if answered.returncode:
                sys.exit(answered.returncode)
        return done


def on_machine(qama, files, emulator):
    machine = subprocess.Popen([emulator, "--port", "0", "--seed", "7"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    try:
        port = json.loads(machine.stdout.readline())["port"]
        return verify(qama, files, f"cim://127.0.0.1:{port}?reads=20")
    finally:
        machine.kill()
        machine.wait()


def main():
    qama, emulator, *files = sys.argv[1:]
    devices = {"cpu": lambda: verify(qama, files, "cpu:"),
               "cim": lambda: on_machine(qama, files, emulator),
               "csv": lambda: by_hand(qama, files)}
    failed = 0
    for name, run in devices.items():
        done = run()
        if done.returncode:
            print(f"{name}: WRONG: {done.stderr.strip()} {done.stdout}")
            failed += 1
            continue
        found = json.loads(done.stdout)
        own = found["own_spins"]
        right = found["ok"] and own["argmax_agreement"] == 1
        print(f"{name}: logits {found['logits_max_abs']:.2g}; own spins: logits "
              f"{own['logits_max_abs']:.2g}, answers {own['argmax_agreement']}"
              f"{'' if right else ': WRONG'}")
        failed += not right
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
