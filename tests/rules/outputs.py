#!/usr/bin/env python3
"""Checks that files are written in one way: hal/platform/output_file.h in C++, command.replacing in
Python. Logs that grow line by line (mode "a") are no such files. An option of the program that
names a file to write is declared by declare_output(), which keeps it from being an input, too."""
import re
import sys

import tree

WAYS = {
    r'^(hal|weights|ops|runtime)/.*\.(cpp|h|hpp|inc)$':
        (r'\bofstream\b|\bfopen\([^)]*"[wa]|\bO_(CREAT|TRUNC)\b|\bO_TMPFILE\b',
         'hal/platform/output_file.cpp', 'platform::write_file'),
    r'^weights/export/qama_export/.*\.py$':
        (r'(?<!command)\.write_(text|bytes)\(|\bopen\([^)]*"[wx]b?"|^ *torch\.save\(',
         'weights/export/qama_export/command.py', 'command.replacing'),
}


# An option that takes a file and whose help speaks of writing.
UNDECLARED = re.compile(r'\badd_option\("(?:[^;]|;(?! *\n))*?type_name\("FILE"\)')


def problems_of(files, read):
    for path in files:
        if path.startswith('runtime/cli/'):
            for option in UNDECLARED.finditer(read(path)):
                if re.search(r'\b[Ww]rite', option.group()):
                    number = read(path).count('\n', 0, option.start()) + 1
                    yield (f'{path}:{number}: declares a file to write, expected declare_output(): '
                           f'{option.group().splitlines()[0]}')
        for names, (wrong, home, right) in WAYS.items():
            if not re.search(names, path) or path == home:
                continue
            for number, line in enumerate(read(path).splitlines(), 1):
                if re.search(wrong, line):
                    yield f'{path}:{number}: writes a file, expected {right}: {line.strip()}'


def self_test():
    bad = {'hal/a.cpp': 'std::ofstream out(path);', 'runtime/b.cpp': 'fopen(path, "wb")',
           'ops/c.cpp': '::open(path, O_WRONLY | O_CREAT)',
           'runtime/cli/commands/f.cpp': 'app.add_option("--out", out, "Write; to FILE.")\n'
                                         '    ->type_name("FILE");',
           'weights/export/qama_export/d.py': 'Path(x).write_text("")',
           'weights/export/qama_export/e.py': 'with open(path, "w") as out:'}
    good = {'hal/a.cpp': 'std::ifstream in(path);', 'tests/b.cpp': 'std::ofstream out(path);',
            'runtime/cli/commands/f.cpp': 'declare_output(app, "--out", out, "Write it.");\n'
                                          'app.add_option("-m", m, "Read.")->type_name("FILE");',
            'weights/export/qama_export/d.py': 'command.write_text(path, "")',
            'hal/platform/output_file.cpp': 'O_CREAT'}
    assert len(list(problems_of(bad, bad.get))) == len(bad)
    assert not list(problems_of(good, good.get))


if __name__ == '__main__':
    self_test()
    FILES = tree.tracked()
    sys.exit(tree.report('outputs', list(problems_of(FILES, tree.read)),
                         'files are written in one way'))
