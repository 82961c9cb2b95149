#!/usr/bin/env python3
"""Checks who includes whom.

A node is a header together with the source file of the same name. Every node lies in the room with
the longest matching name in FLOORS. The rule: a room includes itself and what its line lists,
nothing includes itself in a circle, every include is written from the repository's root, and its
file exists.

To add a folder, add a line to FLOORS. A room may list only rooms above its own line, so no arrow
runs back up.

  layering.py               checks
  layering.py --print       prints the floors, the arrows between rooms and the counts, then checks
  layering.py --self-test   spoils copies of the tree and expects that each one is refused
"""
import argparse
import collections
import os
import re
import shutil
import sys
import tempfile

import tree

# Lowest floor first; an indented line continues the one before. room: the rooms and single nodes
# that it may include.
FLOORS = '''
runtime/api/include:
hal/base:
hal/platform:     hal/base
hal:              hal/base hal/platform
hal/text:         hal/base hal
hal/lower:        hal/base hal hal/text
hal/exact:        hal/base hal
hal/published:    hal/base hal
hal/cpu/tabu:     hal/base
hal/cpu:          hal/base hal/platform hal hal/cpu/tabu
hal/cim:          hal/base hal/platform hal
hal/csv:          hal/base hal/platform hal hal/cim
hal/network:      hal/base hal/platform
hal/emulator:     hal/base hal/platform hal/network
hal/registry:     hal/base hal hal/exact hal/published hal/cpu hal/cim hal/csv
hal/search:       hal/base hal/platform hal hal/cpu/tabu hal/lower hal/text
weights:          hal/base hal/platform hal/schedule
ops:              hal/base hal/problem hal/form hal/schedule hal/lower
runtime/engine:   hal/base hal/platform hal hal/lower weights ops
runtime/engine/steps: hal/base hal weights ops runtime/engine
runtime/engine/attention: hal/base hal weights ops runtime/engine
                  runtime/engine/steps
runtime/engine/forward: hal/base runtime/engine runtime/engine/steps
                  runtime/engine/attention
runtime/engine/plan: hal/base runtime/engine runtime/engine/forward
runtime/engine/profiler: runtime/engine runtime/engine/plan
runtime/engine/session: hal/base hal/platform hal weights runtime/engine
                  runtime/engine/plan runtime/engine/profiler
runtime/bare:     hal/base hal/platform hal hal/cpu weights ops runtime/engine
                  runtime/engine/steps runtime/engine/attention
                  runtime/engine/forward
runtime/onnxruntime: hal/base hal weights ops runtime/engine/attention
runtime/io:       hal/base hal/platform weights/preprocess
runtime/api:      hal/base hal/platform hal hal/lower hal/text hal/search weights ops
                  runtime/engine runtime/engine/plan runtime/engine/profiler
                  runtime/engine/session runtime/io runtime/api/include
runtime/serve:    hal/base hal/platform hal hal/network weights runtime/engine
                  runtime/engine/plan runtime/engine/session runtime/io runtime/api
runtime/cli:      hal/base hal/platform hal hal/lower hal/text hal/search weights
                  runtime/engine runtime/engine/plan runtime/engine/profiler
                  runtime/engine/session runtime/io runtime/api runtime/api/include
                  runtime/serve runtime/bare
runtime/javascript: runtime/api/include
runtime/examples: runtime/api/include
bench:            *
tests:            *
'''

# What still breaks a rule. Delete a line as soon as the code keeps the rule: a line that no longer
# occurs fails the test.
KNOWN_ARROWS = '''
'''
KNOWN_CIRCLES = '''
'''

ENDINGS = ('.h', '.hpp', '.cpp', '.c')
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def node_of(path):
    return os.path.splitext(path)[0]


class Floors:
    """The table: the room of a node, and whether one node may include another."""

    def __init__(self, text, problems):
        self.may = {}
        for line in re.sub(r'\n +', ' ', text.strip()).splitlines():
            room, _, listed = line.partition(':')
            known = [entry for entry in listed.split() if entry != '*']
            for entry in known:
                if self._room(entry) is None:
                    problems.append(f"layering: '{room}' may not list '{entry}': no line above it "
                                    "has that room")
            self.may[room] = ['*'] if '*' in listed else known
        self.order = {room: at for at, room in enumerate(self.may)}

    def _room(self, node):
        while node and node not in self.may:
            node = os.path.dirname(node)
        return node or None

    def room(self, node):
        return self._room(node)

    def allows(self, source, target):
        room, target_room = self._room(source), self._room(target)
        allowed = self.may.get(room, [])
        return room == target_room or '*' in allowed or target_room in allowed or target in allowed


def circles(arrows):
    """The strongly connected sets of more than one node (Tarjan, without recursion)."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []
    for start in sorted(arrows):
        if start in index:
            continue
        work = [(start, iter(sorted(arrows.get(start, ()))))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(sorted(arrows.get(target, ())))))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    members = []
                    while not members or members[-1] != node:
                        members.append(stack.pop())
                        on_stack.discard(members[-1])
                    if len(members) > 1:
                        found.append(sorted(members))
    return found


def read_arrows(root, problems):
    """node -> {node: the first line that says so}."""
    files = tree.tracked(root)
    known = set(files)
    arrows = collections.defaultdict(dict)
    for path in files:
        if not path.endswith(ENDINGS):
            continue
        text = tree.read(path, root)
        for match in INCLUDE.finditer(text):
            quote, name = match.groups()
            where = f'{path}:{text.count(chr(10), 0, match.start(2)) + 1}'
            folder = os.path.dirname(path)
            if name.startswith('qama/'):  # as a user of the library writes it
                name = 'runtime/api/include/' + name
            elif quote == '<':
                continue
            elif known & {os.path.join(folder, name) + '.in', f'toolchains/{name}.in'}:
                continue  # made from a template
            elif name not in known and os.path.normpath(os.path.join(folder, name)) in known:
                problems.append(f"{where}: write '{name}' from the repository's root")
                continue
            if name not in known:
                problems.append(f"{where}: '{name}' does not exist")
            elif node_of(name) != node_of(path):
                arrows[node_of(path)].setdefault(node_of(name), where)
    return arrows


def check(root, known_arrows=KNOWN_ARROWS, known_circles=KNOWN_CIRCLES, show=False):
    problems = []
    floors = Floors(FLOORS, problems)
    arrows = read_arrows(root, problems)
    excused = {tuple(line.split()) for line in known_arrows.strip().splitlines()}
    met, back = set(), 0
    between = collections.Counter()
    for source, targets in arrows.items():
        if floors.room(source) is None:
            problems.append(f"{source}: its folder is in no line of FLOORS in "
                            "tests/rules/layering.py")
            continue
        for target, where in targets.items():
            between[floors.room(source), floors.room(target)] += 1
            if floors.allows(source, target):
                continue
            back += 1
            if (source, target) in excused:
                met.add((source, target))
            else:
                problems.append(f"{where}: '{floors.room(source)}' may not include '{target}' of "
                                f"'{floors.room(target)}' (FLOORS in tests/rules/layering.py)")
    problems += [f"tests/rules/layering.py: delete '{source} {target}' from KNOWN_ARROWS, it is "
                 "mended" for source, target in sorted(excused - met)]
    rings = circles(arrows)
    allowed = [set(line.split())
               for line in re.sub(r'\n +', ' ', known_circles.strip()).splitlines()]
    for ring in rings:
        if not any(set(ring) <= members for members in allowed):
            problems.append('circle of includes: ' + ' '.join(ring))
    for members in allowed:
        if not any(set(ring) <= members for ring in rings):
            problems.append(f"tests/rules/layering.py: delete the circle '{min(members)} ...', it "
                            "is mended")
    if show:
        print('floors, lowest first, and what each room may include:')
        for room, listed in floors.may.items():
            print(f'  {room:20} {" ".join(listed) if listed else "-"}')
        print('arrows between rooms:')
        for (source, target), count in sorted(between.items(), key=lambda arrow: (
                floors.order[arrow[0][0]], floors.order.get(arrow[0][1], -1))):
            if source != target:
                print(f'  {source:20} -> {target:20} {count:4}')
    print(f'{len(arrows)} nodes, {sum(map(len, arrows.values()))} arrows, '
          f'circles {len(rings)}, arrows that run back {back}')
    return problems


# (file, line added to it, part of the message that must come)
SPOILED = (('hal/base/error.h', '#include "hal/verify.h"',
            "'hal/base' may not include 'hal/verify'"),
           ('runtime/cli/main.cpp', '#include "hal/cpu/cpu_device.h"',
            "'runtime/cli' may not include 'hal/cpu/cpu_device'"),
           ('hal/emulator/machine.h', '#include "hal/cim/link_codec.h"',
            "'hal/emulator' may not include 'hal/cim/link_codec'"),
           ('ops/linear.h', '#include "bench/measure.h"', "'ops' may not include 'bench/measure'"),
           ('weights/half.h', '#include "tests/test_support.h"',
            "'weights' may not include 'tests/test_support'"),
           ('hal/base/error.h', '#include "hal/base/result.h"',
            'circle of includes: hal/base/error hal/base/result'),
           ('hal/base/result.h', '#include "error.h"',
            "write 'error.h' from the repository's root"),
           ('hal/base/result.h', '#include "hal/base/nothing.h"',
            "'hal/base/nothing.h' does not exist"))


def self_test(root):
    problems = []
    for path, line, expected in SPOILED:
        with tempfile.TemporaryDirectory() as copy:
            for name in tree.tracked(root):
                if name.endswith(ENDINGS + ('.in',)):
                    os.makedirs(os.path.dirname(os.path.join(copy, name)), exist_ok=True)
                    shutil.copy(os.path.join(root, name), os.path.join(copy, name))
            with open(os.path.join(copy, path), 'a', encoding='utf-8') as file:
                file.write(line + '\n')
            said = check(copy)
        if not any(expected in problem for problem in said):
            problems.append(f"'{line}' at the end of {path} passed, expected: {expected}")
    for known in ({'known_arrows': KNOWN_ARROWS + 'hal/base/error hal/verify\n'},
                  {'known_circles': KNOWN_CIRCLES + 'hal/base/error hal/verify\n'}):
        if not any('it is mended' in problem for problem in check(root, **known)):
            problems.append('an exception without a case passed')
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--print', action='store_true', dest='show')
    parser.add_argument('--self-test', action='store_true')
    arguments = parser.parse_args()
    if arguments.self_test:
        return tree.report('layering', self_test(tree.ROOT), 'every spoiled copy is refused')
    return tree.report('layering', check(tree.ROOT, show=arguments.show), 'floors are kept')


if __name__ == '__main__':
    sys.exit(main())
