#!/usr/bin/env python3
"""Checks that the files which the preset demo compiles as one (QAMA_UNITY) can be: no name twice.

Where two files have a function of one name in their unnamed namespaces, give one another name.

  unity.py BUILD FOLDER...     BUILD: a configured build folder, with compile_commands.json
"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

import tree


def main():
    build, folders = sys.argv[1], sys.argv[2:]
    with open(os.path.join(build, 'compile_commands.json'), encoding='utf-8') as file:
        entries = [entry for entry in json.load(file) if not entry['file'].endswith('/main.cpp')]
    problems = []
    for folder in folders:
        prefix = os.path.join(tree.ROOT, folder) + '/'
        group = [entry for entry in entries if entry['file'].startswith(prefix)]
        if not group:
            problems.append(f"no file of '{folder}' is compiled in {build}")
            continue
        words = shlex.split(group[0]['command'])
        words = [word for word in words if not word.endswith('ccache')]
        at = words.index('-o')
        del words[at:at + 2], words[words.index('-c'):words.index('-c') + 2]
        with tempfile.NamedTemporaryFile('w', suffix='.cpp') as one:
            one.writelines(f'#include "{entry["file"]}"\n' for entry in group)
            one.flush()
            done = subprocess.run([*words, '-O0', '-fsyntax-only', one.name],
                                  cwd=group[0]['directory'], capture_output=True, text=True)
        problems += [line for line in done.stderr.splitlines() if re.search(r'\berror:', line)]
        if done.returncode and not problems:
            problems.append(done.stderr[-300:])
    return tree.report('unity', problems, f'{", ".join(folders)} can be compiled as one file each')


if __name__ == '__main__':
    sys.exit(main())
