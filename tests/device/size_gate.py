"""Size and memory of the static program against size_limits.json.

Prints a line a figure with its limit, the compiler and the date; ends with 1 if a limit is passed. Peak memory is what
one classification touches. Under an emulator the emulator's own memory is in it: what a program that does nothing
needs there is taken off, and what is left still holds the translated code, so that it is an upper bound.
"""
import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile


def peak_rss(command, data):
    """Bytes that the largest process of `command` had resident, and its output."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
        given.write(data)
        given.seek(0)
        process = subprocess.Popen(command, stdin=given, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if process.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit status {process.returncode}")
        return usage.ru_maxrss * 1024, output.read().decode()


def main():
    parser = argparse.ArgumentParser()
    for name in ("limits", "processor", "program", "nothing", "model", "compiler", "strip"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--emulator", default="")
    options = parser.parse_args()
    limits = json.loads(pathlib.Path(options.limits).read_text())[options.processor]
    emulator = [options.emulator] if options.emulator else []

    with tempfile.TemporaryDirectory() as directory:
        stripped = os.path.join(directory, "qama")
        subprocess.run([options.strip, "-o", stripped, options.program], check=True)
        size = os.path.getsize(stripped)
        image = b"P5 28 28 255\n" + bytes((x * 7 + y * 3) % 256 for y in range(28) for x in range(28))
        rss, answer = peak_rss(emulator + [stripped, "classify", "-m", options.model, "-"], image)
        nothing, _ = peak_rss(emulator + [options.nothing], b"")
    if emulator:
        rss -= nothing
    compiler = subprocess.run([options.compiler, "--version"], check=True, capture_output=True, text=True)
    print(f"{datetime.date.today()}, {compiler.stdout.splitlines()[0]}")
    print(f"classified: {answer.strip()}")
    status = 0
    for name, value in (("stripped_bytes", size), ("peak_rss_bytes", rss)):
        verdict = "ok" if value <= limits[name] else "TOO LARGE"
        print(f"{options.processor} {name} {value}, at most {limits[name]}: {verdict}")
        status |= value > limits[name]
    return int(status)


sys.exit(main())
