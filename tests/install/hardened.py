#!/usr/bin/env python3
"""Reads back from programs and libraries what toolchains/hardening.cmake asks for.

    tests/install/hardened.py FILE... [ARCHIVE.a...]

Position-independent, read-only relocations, all symbols bound at the start, no stack or segment
that can be written and executed, no text relocation, no path to look for libraries in; in the code
the stack protector, checked C functions and marks of control-flow protection. A program has also
those of its libraries, so an archive is asked by itself: every object of it has the marks. Needs
readelf, of any processor; skips without it.
"""
import argparse
import re
import shutil
import subprocess
import sys

SKIPPED = 77
# One mark a function, about; far fewer come from the C library alone.
MARKS = {"X86-64": (b"\xf3\x0f\x1e\xfa", "endbr64"), "AArch64": (b"\x3f\x23\x03\xd5", "paciasp")}
# Processors that have none, and whose C library in Debian 12 has no static PIE.
UNMARKED = re.compile(r"Machine:\s+(ARM|RISC-V)$", re.MULTILINE)
FEWEST_MARKS = 100
PROPERTY = re.compile(r"x86 feature: IBT, SHSTK|AArch64 feature: BTI, PAC")


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *arguments], capture_output=True, text=True,
                          check=True).stdout


def problems_of(path):
    header = readelf("-h", path)
    segments = readelf("-l", path)
    dynamic = readelf("-d", path)
    symbols = readelf("-s", path)
    with open(path, "rb") as file:
        data = file.read()
    machine = next((name for name in MARKS if name in header), None)
    fixed = UNMARKED.search(header) and "INTERP" not in segments and "no dynamic section" in dynamic
    if not fixed and not re.search(r"Type:\s+DYN", header):
        yield "its addresses are fixed (no PIE)"
    if "GNU_RELRO" not in segments:
        yield "no read-only relocations (RELRO)"
    if not fixed and not re.search(r"\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*NOW", dynamic):
        yield "symbols are bound late (no BIND_NOW)"
    stack = re.search(r"GNU_STACK.*", segments)
    if not stack or "E" in stack[0].split()[-2]:
        yield "its stack can be executed"
    if re.search(r"LOAD.*\bRWE\b", segments):
        yield "a segment can be written and executed"
    for word in ("TEXTREL", "RPATH", "RUNPATH"):
        if word in dynamic:
            yield f"has {word}"
    # A static file that was stripped has no names to ask for; toolchains/deb asks before that.
    if "'.symtab'" in symbols or "NEEDED" in dynamic:
        if "__stack_chk_fail" not in symbols:
            yield "no stack protector"
        if not re.search(r"__(mem|str|v?snprintf|v?printf|v?fprintf|read)\w*_chk", symbols):
            yield "no checked C functions (FORTIFY)"
    if machine is None and UNMARKED.search(header):
        pass
    elif machine is None:
        yield "of an unknown processor"
    elif data.count(MARKS[machine][0]) < FEWEST_MARKS:
        yield (f"{data.count(MARKS[machine][0])} times {MARKS[machine][1]}, expected at least "
               f"{FEWEST_MARKS}")


def problems_of_archive(path):
    objects = re.split(r"^File: ", readelf("-n", path), flags=re.MULTILINE)[1:]
    bare = [text.split("\n", 1)[0] for text in objects if not PROPERTY.search(text)]
    if UNMARKED.search(readelf("-h", path)):
        bare = []
    if not objects:
        yield "no objects in it"
    if bare:
        yield f"{len(bare)} of {len(objects)} objects without control-flow marks, as {bare[0]}"
    if "__stack_chk_fail" not in readelf("-s", path):
        yield "no stack protector"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    if not shutil.which("readelf"):
        print("hardened: SKIPPED: readelf is not here")
        return SKIPPED
    failed = False
    for path in options.files:
        problems = list((problems_of_archive if path.endswith(".a") else problems_of)(path))
        print(f"{path}: {'; '.join(problems) or 'hardened'}")
        failed |= bool(problems)
    return failed


if __name__ == "__main__":
    sys.exit(main())
