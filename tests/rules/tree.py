"""What every rule needs: the files of the tree, and how a rule reports. Standard library only."""
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
SKIPPED = 77  # ctest counts this status as skipped


def tracked(root=ROOT):
    """The files that git tracks, and those that it would; without git, all that are no build
    output."""
    listed = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                            cwd=root, capture_output=True, text=True)
    if listed.returncode == 0:
        names = listed.stdout.split('\0')[:-1]
        return sorted(name for name in set(names) if os.path.isfile(os.path.join(root, name)))
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in ('.git', 'build', 'install')]
        names += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return sorted(names)


def read(path, root=ROOT):
    with open(os.path.join(root, path), encoding='utf-8') as file:
        return file.read()


def cpp_files(root=ROOT):
    return [path for path in tracked(root) if re.search(r'\.(c|cpp|h|hpp)$', path)]


def scripts(interpreter, ending, root=ROOT):
    """Files in a language: by their name's ending or by their first line."""
    found = []
    for path in tracked(root):
        if path.endswith(ending):
            found.append(path)
        elif '.' not in os.path.basename(path):
            with open(os.path.join(root, path), 'rb') as file:
                if re.match(rb'#!.*\b' + interpreter.encode() + rb'\b', file.readline(100)):
                    found.append(path)
    return found


def report(rule, problems, fine):
    """Prints the problems, one a line, or the sentence `fine`; returns the exit status."""
    for problem in problems:
        print(problem)
    print(f'{rule}: {len(problems)} problems' if problems else f'{rule}: {fine}')
    return 1 if problems else 0


def skip(rule, reason):
    print(f'{rule}: SKIPPED: {reason}')
    sys.exit(SKIPPED)
