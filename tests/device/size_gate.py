"""Size and memory of the static program against size_limits.json.

Prints a line a figure with its limit, the compiler and the date, and what each library weighs as
the linker's map has it; ends with 1 if a limit is passed. The same goes to --report. Peak memory is
what one classification touches. Under an emulator the emulator's own memory is in it: what a
program that does nothing needs there is taken off, and what is left still holds the translated
code, so that it is an upper bound.
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile


# Archives by what a reader calls them; everything else is named as it is.
LIBRARIES = {"libstdc++.a": "libstdc++", "libc.a": "libc", "libm.a": "libm", "libm-2.36.a": "libm",
             "libz.a": "zlib",
             "libmd.a": "libmd", "libsodium.a": "libsodium",
             "libgcc.a": "libgcc", "libgcc_eh.a": "libgcc"}


def by_library(map_file):
    """Bytes in the file by library: the parts of sections that are loaded and not zeros. `ours`
    holds headers of others, too (CLI11, nlohmann-json, xsimd, what of the C++ library is
    templates)."""
    sizes = {}
    text = pathlib.Path(map_file).read_text()
    text = text[text.index("Linker script and memory map"):]
    for name, size, source in re.findall(r"^ (\.\S+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+)$", text,
                                         re.M):
        if not re.match(r"\.(text|rodata|data|eh_frame|gcc_except_table|init|fini|tdata|got|rela|"
                        r"preinit)", name):
            continue
        archive = re.sub(r"\(.*\)$", "", os.path.basename(source))
        ours = archive.startswith("libqama") or "CMakeFiles/" in source
        library = "ours" if ours else LIBRARIES.get(archive, "start-up code")
        if name.startswith(".rela"):
            library = "relocations"
        sizes[library] = sizes.get(library, 0) + int(size, 16)
    return sizes


def peak_rss(program, emulator, nothing, data=b""):
    """Bytes that one run of `program` had resident at most, and its output."""
    command = [*emulator, *program] if emulator else [nothing, *program]
    with (tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output,
          tempfile.TemporaryFile() as told):
        given.write(data)
        given.seek(0)
        process = subprocess.Popen(command, stdin=given, stdout=output, stderr=told)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        told.seek(0)
        said = told.read().decode()
        if process.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit status {process.returncode}: {said}")
        kib = usage.ru_maxrss if emulator else int(re.search(r"^peak_rss_kib (\d+)", said, re.M)[1])
        return kib * 1024, output.read().decode()


def main():
    parser = argparse.ArgumentParser()
    for name in ("limits", "processor", "program", "map", "report", "nothing", "model", "compiler",
                 "strip"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--emulator", default="")
    options = parser.parse_args()
    limits = json.loads(pathlib.Path(options.limits).read_text())[options.processor]
    emulator = [options.emulator] if options.emulator else []

    with tempfile.TemporaryDirectory() as directory:
        stripped = os.path.join(directory, "qama")
        subprocess.run([options.strip, "-o", stripped, options.program], check=True)
        size = os.path.getsize(stripped)
        image = b"P5 28 28 255\n" + bytes((x * 7 + y * 3) % 256 for y in range(28)
                                          for x in range(28))
        rss, answer = peak_rss([stripped, "classify", "-m", options.model, "-"], emulator,
                               options.nothing, image)
        if emulator:
            rss -= peak_rss([options.nothing], emulator, options.nothing)[0]
        info = subprocess.run([*emulator, stripped, "info", "--json", options.model], check=True,
                              capture_output=True, text=True)
    compiler = subprocess.run([options.compiler, "--version"], check=True, capture_output=True,
                              text=True)
    lines = [f"{datetime.date.today()}, {compiler.stdout.splitlines()[0]}",
             f"classified: {answer.strip()}"]
    status = 0
    for name, value in (("stripped_bytes", size), ("peak_rss_bytes", rss)):
        verdict = "ok" if value <= limits[name] else "TOO LARGE"
        lines.append(f"{options.processor} {name} {value}, at most {limits[name]}: {verdict}")
        status |= value > limits[name]
    lines.append(f"arena of {pathlib.Path(options.model).stem}: "
                 f"{json.loads(info.stdout)['arena_bytes']} bytes")
    parts = by_library(options.map)
    parts["headers, tables, padding"] = size - sum(parts.values())
    by_size = sorted(parts.items(), key=lambda part: -part[1])
    lines.append("of which: " + ", ".join(f"{name} {value}" for name, value in by_size))
    print("\n".join(lines))
    pathlib.Path(options.report).write_text("\n".join(lines) + "\n")
    return int(status)


sys.exit(main())
