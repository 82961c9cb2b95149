#!/usr/bin/env python3
"""Checks the layout of every C and C++ file: clang-format 14 changes nothing, no line has over 100
columns."""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

import tree

LONGEST = 100


def main():
    files = tree.cpp_files()
    problems = [f'{path}:{number}: {len(line)} columns, expected at most {LONGEST}'
                for path in files for number, line in enumerate(tree.read(path).splitlines(), 1)
                if len(line) > LONGEST]
    program = shutil.which('clang-format-14') or shutil.which('clang-format')
    version = subprocess.run([program, '--version'], capture_output=True,
                             text=True).stdout if program else ''
    found = re.search(r'version (\d+)', version)
    if not found or found[1] != '14':  # other versions lay out otherwise
        if problems:
            return tree.report('format', problems, '')
        tree.skip('format', f'clang-format 14 is not here ({version.strip() or "none at all"})')

    def differs(group):
        done = subprocess.run([program, '--dry-run', '-Werror', *group], cwd=tree.ROOT,
                              capture_output=True, text=True)
        return [line for line in done.stderr.splitlines() if 'error:' in line]

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for lines in pool.map(differs, (files[at:at + 16] for at in range(0, len(files), 16))):
            problems += lines
    return tree.report('format', problems, f'{len(files)} files are laid out')


if __name__ == '__main__':
    sys.exit(main())
