#!/usr/bin/env python3
"""Checks every shell script with shellcheck, or every Python file with flake8 (setup.cfg)."""
import os
import shutil
import subprocess
import sys

import tree

RULES = {
    'shell': (['shellcheck', '-x'], 'bash', '.sh'),
    'python': (['flake8', '--config', 'setup.cfg'], 'python3?', '.py'),
}


def main():
    rule = sys.argv[1]
    command, interpreter, ending = RULES[rule]
    # Debian's own first: a manager of Python versions puts a wrapper without the program before it.
    program = shutil.which(command[0], path='/usr/bin' + os.pathsep + os.environ.get('PATH', ''))
    if not program:
        tree.skip(rule, f'{command[0]} is not here')
    files = tree.scripts(interpreter, ending)
    done = subprocess.run([program, *command[1:], *files], cwd=tree.ROOT)
    print(f'{rule}: {command[0]} read {len(files)} files: '
          f'{"fine" if done.returncode == 0 else "see above"}')
    return done.returncode


if __name__ == '__main__':
    sys.exit(main())
