#!/usr/bin/env python3
"""Checks the list of parts (sbom.cdx.json, made by toolchains/sbom.cmake): the essentials of
CycloneDX 1.5, and that every library that a program needs is in it with its version.

    tests/install/sbom.py SBOM FILE... [--map FILE.map]

FILE is a program or library, whose needs readelf tells; a map is the linker's, which names the
archives in a static program. Skips without readelf.
"""
import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

SKIPPED = 77


def problems_of_form(sbom):
    if (sbom.get("bomFormat"), sbom.get("specVersion"), sbom.get("version")) != (
            "CycloneDX", "1.5", 1):
        yield "is not CycloneDX 1.5"
    whole = sbom.get("metadata", {}).get("component", {})
    if whole.get("type") != "application" or not whole.get("name") or not whole.get("version"):
        yield "does not name what it is of"
    seen = set()
    for part in sbom.get("components", []):
        name = part.get("name")
        if part.get("type") != "library" or not name:
            yield f"a part without type or name: {part}"
        if part.get("version", "unknown") in ("", "unknown"):
            yield f"{name} has no version"
        if not re.fullmatch(r"pkg:deb/debian/[a-z0-9.+-]+@\S+", part.get("purl", "")):
            yield f"{name} has no package: {part.get('purl')}"
        if part.get("bom-ref") in seen:
            yield f"{name} is there twice"
        seen.add(part.get("bom-ref"))
        for one in part.get("hashes", []):
            if one["alg"] != "SHA-256" or not re.fullmatch("[0-9a-f]{64}", one["content"]):
                yield f"{name} has a wrong hash"


def files_of(sbom):
    return [one["value"] for part in sbom["components"] for one in part["properties"]
            if one["name"] == "qama:file"]


def needed(path):
    text = subprocess.run(["readelf", "-dW", path], capture_output=True, text=True,
                          check=True).stdout
    return [name for name in re.findall(r"NEEDED.*\[(.*)\]", text)
            if not name.startswith(("ld-linux", "libqama."))]


def archives(path):
    """Of a linker's map: those out of which something was taken that are not the build's own. The
    list has the file behind a link."""
    found = set(re.findall(r"^(\S+\.a)\(", Path(path).read_text(), re.MULTILINE))
    return sorted({Path(name).resolve().name for name in found
                   if not Path(name).name.startswith("libqama_")})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sbom")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--map", action="append", default=[])
    options = parser.parse_args()
    if not shutil.which("readelf"):
        print("sbom: SKIPPED: readelf is not here")
        return SKIPPED
    sbom = json.loads(Path(options.sbom).read_text())
    problems = list(problems_of_form(sbom))
    files = files_of(sbom)
    wanted = {(path, name) for path in options.files for name in needed(path)}
    wanted |= {(path, name) for path in options.map for name in archives(path)}
    problems += [f"{name}, which {path} needs, is not in it" for path, name in sorted(wanted)
                 if not any(file == name or file.startswith(name + ".") for file in files)]
    for problem in problems:
        print(f"{options.sbom}: {problem}")
    print(f"sbom: {len(sbom['components'])} parts, {len(wanted)} needs of programs: "
          f"{'see above' if problems else 'fine'}")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
