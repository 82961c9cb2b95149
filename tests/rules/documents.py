#!/usr/bin/env python3
"""Checks the documents: the links of every *.md into the tree, the commands of every README.md,
and the programs that README.md shows: they are files of runtime/examples.

A command is a line of a fenced block marked sh, bash, shell or console, or of another block that
begins with a command. What is checked of it:
  qama             its options, against `qama COMMAND --help`; it is run if the tree has all inputs
  a file           it exists, and its text has the options
  python3 -m       the same of the module
  a program        a CMake target of that name exists, and the sources beside it have the options
  cmake, ctest     presets and targets exist
  OUTSIDE          programs that are not ours: nothing

  documents.py links
  documents.py programs
  documents.py commands QAMA        QAMA: the program
"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

import tree

OUTSIDE = set('''apt-get cat cc cd cp c++ curl dpkg echo export gcc git g++ ls man mkdir
pkg-config scp source ssh sudo taskset tee test time valgrind wget'''.split())
SHELL = ('sh', 'bash', 'shell', 'console')
KEYWORDS = ('do', 'else', 'if', 'then', 'while')  # a command follows
ENDS = ('done', 'fi', 'for')  # none follows
README_LINES = 150
# Commands of qama that end soon and need nothing but files.
RUN = ('classify', 'devices', 'explain', 'help', 'info', 'solve', 'verify')
LINK = re.compile(r'\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)|^\[[^\]]+\]: +(\S+)|'
                  r'(?:src|href)="([^"]+)"', re.MULTILINE)
FENCE = re.compile(r'^ {0,3}(```+|~~~+) *([\w+-]*)')


def blocks(text):
    """(number of the first line, language, lines) of each fenced and indented block."""
    found, lines, at = [], text.splitlines(), 0
    while at < len(lines):
        fence = FENCE.match(lines[at])
        if fence:
            begin = at = at + 1
            while at < len(lines) and not lines[at].lstrip().startswith(fence[1]):
                at += 1
            found.append((begin + 1, fence[2], lines[begin:at]))
        elif lines[at].startswith('    ') and (at == 0 or not lines[at - 1].strip()):
            begin = at
            while at < len(lines) and (lines[at].startswith('    ') or not lines[at].strip()):
                at += 1
            found.append((begin + 1, 'indented', [line[4:] for line in lines[begin:at]]))
            continue
        at += 1
    return found


def prose(text):
    """The text with blocks and `code` blanked."""
    lines = text.splitlines()
    for begin, _, block in blocks(text):
        for at in range(begin - 1, begin - 1 + len(block)):
            lines[at] = ''
    return re.sub(r'`[^`\n]*`', lambda match: ' ' * len(match[0]), '\n'.join(lines))


def anchors(text):
    """What GitHub makes of the headings."""
    found, lines = [], text.splitlines()
    inside = {at for begin, language, block in blocks(text) if language != 'indented'
              for at in range(begin - 1, begin - 1 + len(block))}
    for at, line in enumerate(lines):
        heading = re.match(r'^#{1,6}\s+(.*?)\s*#*$', line)
        if heading and at not in inside:
            words = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading[1]).lower()
            slug = re.sub(r'[^\w\- ]', '', words).replace(' ', '-')
            same = sum(1 for one in found if re.fullmatch(re.escape(slug) + r'(-\d+)?', one))
            found.append(f'{slug}-{same}' if slug in found else slug)
    return set(found) | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


def broken_links(path, text):
    """The problems of one document, and how many links it has."""
    problems, count = [], 0
    text = prose(text)
    for match in LINK.finditer(text):
        target = match[1] or match[2] or match[3]
        if re.match(r'[a-z+]+:', target):
            continue
        count += 1
        where = f'{path}:{text.count(chr(10), 0, match.start()) + 1}'
        name, _, anchor = target.partition('#')
        file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(os.path.join(tree.ROOT, file)):
            problems.append(f"{where}: '{target}' does not exist")
        elif anchor and file.endswith('.md') and anchor not in anchors(tree.read(file)):
            problems.append(f"{where}: '{file}' has no heading '#{anchor}'")
    return problems, count


def check_links():
    problems, count = [], 0
    for path in tree.tracked():
        if path.endswith('.md'):
            found, links = broken_links(path, tree.read(path))
            problems += found
            count += links
    lines = len(tree.read('README.md').splitlines())
    if lines > README_LINES:
        problems.append(f'README.md: {lines} lines, expected at most {README_LINES}')
    for spoiled in ('[a](nothing.md)', '[a](#nothing)', '[a](hal/README.md#nothing)',
                    '<img src="nothing.svg">'):
        if not broken_links('README.md', spoiled)[0]:
            problems.append(f"the broken link '{spoiled}' passed")
    return problems, f'{count} links resolve, README.md has {lines} lines'


def unknown_programs(readme):
    """The programs that README shows and no example is, and how many it shows."""
    examples = [tree.read(path) for path in tree.tracked()
                if path.startswith('runtime/examples/') and path.endswith(('.c', '.cpp', '.py'))]
    shown = [('\n' + '\n'.join(lines) + '\n', begin) for begin, language, lines in blocks(readme)
             if language in ('c', 'cpp', 'python')]
    return [f'README.md:{begin}: no file of runtime/examples ends with this program'
            for program, begin in shown
            if not any(example.endswith(program) for example in examples)], len(shown)


def check_programs():
    readme = tree.read('README.md')
    problems, count = unknown_programs(readme)
    if not unknown_programs(readme.replace('main(', 'man('))[0]:
        problems.append('a program that no example has passed')
    return problems, f'{count} programs of README.md are files of runtime/examples'


class Commands:
    def __init__(self, qama):
        self.qama = os.path.abspath(qama)
        self.files = set(tree.tracked())
        self.helps, self.ran, self.count = {}, 0, 0
        presets = json.loads(tree.read('CMakePresets.json'))
        self.presets = {kind: {one['name'] for one in presets[kind + 'Presets']
                               if not one.get('hidden')} for kind in ('configure', 'build', 'test')}
        self.targets, looped = {}, {}
        for path in self.files:
            if os.path.basename(path) == 'CMakeLists.txt':
                text = tree.read(path)
                kinds = r'(?:add_executable|add_library|add_custom_target|qama_add_\w+)'
                for name in re.findall(kinds + r'\(\s*([\w-]+)', text):
                    self.targets[name] = os.path.dirname(path)
                # A loop over names, or a name for the file.
                for names in re.findall(r'foreach\(\w+ (?:IN ITEMS )?([^)]*)\)', text):
                    looped.update((name, os.path.dirname(path)) for name in names.split())
                for name in re.findall(r'OUTPUT_NAME ([\w-]+)', text):
                    self.targets[name] = os.path.dirname(path)
        # A loop may also only look at a target of another folder.
        self.targets = looped | self.targets

    def is_command(self, line):
        try:
            words = self.words(line)
        except ValueError:
            return False
        name = words[0] if words else ''
        return (name in OUTSIDE or name in ('qama', 'cmake', 'ctest', 'python3', *KEYWORDS, *ENDS)
                or name in self.files or name in self.targets or '/bin/' in name)

    @staticmethod
    def words(line):
        lexer = shlex.shlex(line.removeprefix('$ '), posix=True, punctuation_chars='|&;<>')
        lexer.whitespace_split = True
        lexer.commenters = '#'
        words = list(lexer)
        while words and re.match(r'[A-Za-z_]\w*=', words[0]):
            words = words[1:]
        return words

    def check_line(self, line):
        """The problems of one line, each a sentence."""
        try:
            words = self.words(line)
        except ValueError as error:
            return [str(error)]
        problems, part = [], []
        for word in words + [';']:
            if re.fullmatch(r'[|&;]+', word):
                if part:
                    self.count += 1
                    problems += self.check(part)
                part = []
            else:
                part.append(word)
        return problems

    def check(self, words):
        while len(words) > 1 and (words[0] in ('sudo', 'time')
                                  or re.match(r'[A-Za-z_]\w*=', words[0])):
            words = words[1:]
        name, rest = words[0].removeprefix('./'), words[1:]
        for at, word in enumerate(rest):  # what is read or written by the shell
            if re.fullmatch('[<>]+', word):
                rest = rest[:at]
                break
        if name in KEYWORDS:
            return self.check(rest) if rest else []
        if name in ENDS:
            return []
        if name == 'ssh' and len(rest) > 1:
            return self.check(rest[1:])
        if name == 'taskset' and len(rest) > 2:
            return self.check(rest[2:])
        if name == 'qama' or name.endswith('/bin/qama'):
            return self.check_qama(rest)
        if name in ('cmake', 'ctest'):
            return self.check_cmake(name, rest)
        if name in ('python3', '/usr/bin/python3'):
            if rest[:1] == ['-m']:
                return self.check_module(rest[1], rest[2:])
            return self.check(rest) if rest and not rest[0].startswith('-') else []
        if name in self.files:
            return self.lacks(rest, tree.read(name), name)
        program = os.path.basename(name)
        if ('/' not in name or '/bin/' in name) and program in self.targets:
            folder = self.targets[program]
            text = ''.join(tree.read(path) for path in self.files if os.path.dirname(path) == folder
                           and path.endswith(('.cpp', '.h', '.c')))
            return self.lacks(rest, text, f'the sources in {folder}')
        if name in OUTSIDE:
            return []
        return [f"'{name}' is no file of the tree, no target and not in OUTSIDE of "
                "tests/rules/documents.py"]

    @staticmethod
    def options(words):
        return [word.partition('=')[0] for word in words if re.match(r'--?[A-Za-z]', word)]

    def lacks(self, words, text, where):
        return [f"'{option}' is no option in {where}" for option in self.options(words)
                if not re.search(r'(?<![\w-])' + re.escape(option) + r'(?![\w-])', text) and
                # google benchmark's own
                not option.startswith('--benchmark_')]

    def help_of(self, command):
        if command not in self.helps:
            done = subprocess.run([self.qama, *command, '--help'], capture_output=True, text=True,
                                  timeout=60)
            self.helps[command] = done.stdout if done.returncode == 0 else None
        return self.helps[command]

    def check_qama(self, words):
        named = [words[0]] if words and re.fullmatch(r'[a-z][a-z-]*', words[0]) else []
        if named == ['help']:
            named, words = words[1:2], []
        text = self.help_of(tuple(named))
        # An unknown command with --help prints the help of all.
        if text is None or (named and not re.search(rf'^\s+{named[0]}\b', self.help_of(()),
                                                    re.MULTILINE)):
            return [f"'qama {named[0]}' is no command"]
        problems = self.lacks(words, text, f'qama {" ".join(named)} --help')
        if not problems and words and words[0] in RUN:
            problems = self.run(words)
        return problems

    def run(self, words):
        """Runs `qama WORDS` in a copy of the tree made of links, if every input is in the tree."""
        outputs = ('--html', '--out', '--csv', '--trace', '-o')
        for before, word in zip([''] + words, words):
            if re.fullmatch(r'[A-Z_.\[\]]+|\.\.\.|-', word) or '://' in word or '$' in word:
                return []
            named = re.search(r'/|\.[a-z]\w*$', word) and not word.startswith('-')
            if named and before not in outputs and word not in self.files:
                return []
        with tempfile.TemporaryDirectory() as folder:
            for entry in os.listdir(tree.ROOT):
                os.symlink(os.path.join(tree.ROOT, entry), os.path.join(folder, entry))
            done = subprocess.run([self.qama, *words], cwd=folder, capture_output=True, text=True,
                                  timeout=120)
        self.ran += 1
        if done.returncode:
            return [f'ends with {done.returncode}: {done.stderr.strip()[-300:]}']
        return []

    def check_cmake(self, name, words):
        problems = []
        kind = 'test' if name == 'ctest' else 'build' if '--build' in words else 'configure'
        for option, value in zip(words, words[1:] + ['']):
            if option == '--preset' and value not in self.presets[kind]:
                problems.append(f"CMakePresets.json has no {kind} preset '{value}'")
            if option in ('--target', '-t') and value not in {*self.targets, 'install', 'all'}:
                problems.append(f"no target '{value}'")
        return problems

    def check_module(self, module, words):
        if module in ('venv', 'pip', 'http.server', 'unittest'):
            return []
        path = 'weights/export/' + module.replace('.', '/')
        found = [name for name in (path + '.py', path + '/__main__.py') if name in self.files]
        if not found:
            return [f"no module '{module}' in weights/export"]
        return self.lacks(words, tree.read(found[0]), found[0])


# Lines that must be refused.
SPOILED = (
    'nothing --help',
    'toolchains/nothing',
    'toolchains/demo --nothing',
    'qama nothing',
    'qama classify --nothing -m MODEL FILE',
    'qama info README.md',
    'cmake --preset nothing',
    'cmake --build --preset release --target nothing',
    'ctest --preset nothing',
    'python3 -m qama_export.nothing',
    'build/release/bin/annealer_targets --nothing',
)


def check_commands(qama):
    commands, problems = Commands(qama), []
    for path in sorted(commands.files):
        if os.path.basename(path) != 'README.md':
            continue
        for begin, language, lines in blocks(tree.read(path)):
            first = next((line for line in lines if line.strip() and not line.startswith('#')), '')
            if language not in SHELL and not (language in ('', 'indented')
                                              and commands.is_command(first)):
                continue
            prompts = language == 'console' or first.startswith('$ ')
            joined, start = '', begin
            for number, line in enumerate(lines, begin):
                start = start if joined else number
                joined += line
                if joined.endswith('\\'):
                    joined = joined[:-1] + ' '
                    continue
                if joined.strip() and (joined.startswith('$ ') or not prompts):
                    problems += [f'{path}:{start}: {problem}'
                                 for problem in commands.check_line(joined.strip())]
                joined = ''
    for spoiled in SPOILED:
        if not commands.check_line(spoiled):
            problems.append(f"the wrong command '{spoiled}' passed")
    count = commands.count - len(SPOILED)
    return problems, f'{count} commands are right, {commands.ran} of them were run'


def main():
    if sys.argv[1:2] == ['commands']:
        problems, fine = check_commands(sys.argv[2])
    elif sys.argv[1:2] == ['programs']:
        problems, fine = check_programs()
    else:
        problems, fine = check_links()
    return tree.report('documents', problems, fine)


if __name__ == '__main__':
    sys.exit(main())
