#!/usr/bin/env python3
"""Checks that what may fail in the same way everywhere goes through one door.

  doors.py               checks
  doors.py --self-test   expects that each door refuses the lines that it must refuse
"""
import re
import sys

import tree

SHIPPED = ('hal/', 'weights/', 'ops/', 'runtime/')

# name: the files that may, what is looked for, what to use instead, and lines of either kind.
DOORS = {
    'JSON from outside': (
        ('hal/base/strict_json.cpp', 'hal/base/strict_json.h'),
        re.compile(r'''(?ix) json \w* \s* :: \s* (parse|sax_parse|accept|from_\w+) \b
                       | >> \s* \w*json | "_json\b | json_sax'''),
        'parse_json of hal/base/strict_json.h',
        ('Json::parse(text)', 'nlohmann::ordered_json::parse(a, b)', 'json::accept(text)',
         'Json::from_cbor(bytes)', 'stream >> json;', 'auto x = R"({})"_json;'),
        ('Architecture::parse(json)', 'MachineConfig::parse(text)', 'parse_json(text, rules)',
         'out = json.dump();')),
    'threads': (
        ('hal/platform/thread.cpp', 'hal/platform/thread.h'),
        re.compile(r'\bstd\s*::\s*(jthread\b|thread\b(?!\s*::)|async\b)|\bpthread_create\b'),
        'Thread of hal/platform/thread.h',
        ('std::thread t(body);', 'std::vector<std::jthread> all;', 'std::async(body)'),
        ('std::thread::hardware_concurrency()', 'std::this_thread::sleep_for(t)',
         'platform::Thread thread_;')),
    'options by name': (
        (),
        re.compile(r'\bget_option(_no_throw)?\s*\('),
        'what add_option returned: CLI11 looks a name up in a function that must not throw, and '
        'takes memory there',
        ('app.get_option("--data")->required(false);',),
        ('for (const CLI::Option* option : app.get_options()) {',)),
}


def code_of(text):
    """The text without comments; every line stays where it is."""
    return re.sub(r'//[^\n]*', '', text)


def self_test():
    problems = []
    for name, (_, pattern, _, wrong, right) in DOORS.items():
        problems += [f'{name}: accepts {line}' for line in wrong if not pattern.search(line)]
        problems += [f'{name}: refuses {line}' for line in right if pattern.search(line)]
    return tree.report('doors', problems, 'each door refuses what it must')


def main():
    if '--self-test' in sys.argv:
        return self_test()
    problems = []
    for path in tree.cpp_files():
        if not path.startswith(SHIPPED):
            continue
        for number, line in enumerate(code_of(tree.read(path)).split('\n'), 1):
            problems += [f'{path}:{number}: {name}: use {instead}'
                         for name, (may, pattern, instead, _, _) in DOORS.items()
                         if path not in may and pattern.search(line)]
    return tree.report('doors', problems, ', '.join(DOORS) + ': one door each')


if __name__ == '__main__':
    sys.exit(main())
