#!/usr/bin/env python3
"""Every allocation of the programs may fail: they say OUT_OF_MEMORY or answer as ever, and no
signal ends them.

For each command below: the k-th allocation is refused, alone and with all that follow, for every
k of --stride; and the whole address space is limited (ulimit -v) to 10 to 65 MB in steps of --step.

  tests/runtime/cli/out_of_memory.py --program build/release/bin/qama \\
    --emulator build/release/bin/cpqc-emulator \\
    --library build/release/tests/runtime/cli/libqama_refusing_malloc.so --stride 1 --step 0.25

The emulator and the server are started, and ended by SIGTERM once they say that they serve.
"""
import argparse
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile

MODEL = 'weights/models/mnist-qama.safetensors'
TINY_MODEL = 'tests/golden/small/published-qama.model.safetensors'
COMMANDS = (
    ('info', MODEL, '--json'),
    ('classify', '-m', MODEL, '{image}'),
    ('classify', '-m', MODEL, '--threads', '4', '{image}'),
    ('explain', '-m', MODEL, '{image}', '--json'),
    ('solve', '{graph}', '--json', '--threads', '3', '--sweeps', '10'),
    ('info', 'weights/models/imdb-qama.safetensors'),
    ('tune', '-m', TINY_MODEL, '--data', '{table}', '--samples', '4', '--share', '50', '--json'),
    ('device', 'cpu:'),
    ('verify-install', MODEL),
    ('serve', '-m', MODEL, '--listen', '127.0.0.1:0'),
)
EMULATORS = (
    ('cpqc-emulator',),
    ('cpqc-emulator', '--preset', 'published', '--http', '--http-password-file', '{password}',
     '--tls-psk', '{psk}'),
)
# What differs from run to run.
TIMES = re.compile(rb'"([a-z_]*_(us|ms)|ns_per_proposal)": *[0-9.e+]+|[0-9.]+ (us|ms|s)\b'
                   rb'|"(port|http_port|pid)": *[0-9]+|^port [0-9]+')


def answer_of(output):
    """What is printed, without times, ports and the like."""
    return TIMES.sub(b'', output)


def run(words, environment=None, limit=None):
    def limited():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with subprocess.Popen(words, env={**os.environ, **(environment or {})}, preexec_fn=limited,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        said = b''
        if 'emulator' in os.path.basename(words[0]) or 'serve' in words:
            said = process.stdout.readline()
            process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
        return process.returncode, said + out, err


def put_files(directory):
    """What the commands read: by name, the path."""
    image = os.path.abspath('runtime/examples/images/shoe.png')
    texts = {'table': 'file,label\n' + f'{image},a\n' * 4, 'password': 'letmein\n',
             'psk': 'edge-1:00112233445566778899aabbccddeeff\n'}
    files = {}
    for name, text in texts.items():
        files[name] = os.path.join(directory, name + '.csv')
        with open(os.open(files[name], os.O_WRONLY | os.O_CREAT, 0o600), 'w',
                  encoding='utf-8') as file:
            file.write(text)
    return files


class Tally:
    """Counts outcomes of one command and prints the first of each wrong kind."""

    def __init__(self, name, expected):
        self.name, self.expected = name, expected
        self.tried = self.refused = self.wrong = 0

    def note(self, where, outcome):
        status, out, err = outcome
        self.tried += 1
        if status == 0:
            problem = None if answer_of(out) == self.expected else 'another answer'
        elif status == 1 and b'OUT_OF_MEMORY' in err:
            problem = None
            self.refused += 1
        elif status == 127 and b'shared' in err:  # the loader's own lack of memory
            problem = None
        else:
            problem = f'status {status}: {err.decode(errors="replace").strip()[-200:]}'
        if problem is not None:
            self.wrong += 1
            print(f'{self.name}, {where}: {problem}')


def walk(name, words, options):
    """Wrong outcomes of one command, and the limits that were too low for it."""
    status, out, err = run(words, {'LD_PRELOAD': options.library})
    counted = re.search(rb'allocations (\d+)', err)
    if status != 0 or counted is None:
        print(f'{name}: status {status}: {err.decode(errors="replace")}')
        return 1, 0
    tally = Tally(name, answer_of(out))
    for k in range(0, int(counted[1]), options.stride):
        for for_good in (False, True):
            environment = {'LD_PRELOAD': options.library, 'QAMA_REFUSE': str(k)}
            if for_good:
                environment['QAMA_REFUSE_FOR_GOOD'] = '1'
            tally.note(f'allocation {k}' + (' and all that follow' if for_good else ''),
                       run(words, environment))
    print(f'{name}: {counted[1].decode()} allocations, {tally.tried} tried, '
          f'{tally.refused} OUT_OF_MEMORY, {tally.wrong} wrong')
    limits = Tally(name, tally.expected)
    for quarter in range(40, 261, int(options.step * 4)):
        limits.note(f'{quarter / 4} MB', run(words, limit=quarter * (1 << 18)))
    print(f'{name}: {limits.tried} limits from 10 to 65 MB, {limits.refused} OUT_OF_MEMORY, '
          f'{limits.wrong} wrong', flush=True)
    if tally.refused == 0:  # nor was there an allocation, perhaps
        print(f'{name}: no allocation was refused')
    return tally.wrong + limits.wrong + (tally.refused == 0), limits.refused


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--program', required=True)
    parser.add_argument('--emulator', help='walk the start and the end of this one, too')
    parser.add_argument('--library', required=True)
    parser.add_argument('--stride', type=int, default=1)
    parser.add_argument('--step', type=float, default=0.25, help='MB')
    parser.add_argument('--only', help='walk the commands that have this word')
    parser.add_argument('--image', default='runtime/examples/images/shoe.png')
    parser.add_argument('--graph', default='runtime/examples/problems/petersen.mc')
    options = parser.parse_args()
    commands = [(' '.join(words), (options.program, *words)) for words in COMMANDS]
    if options.emulator:
        commands += [(' '.join(words), (options.emulator, *words[1:])) for words in EMULATORS]
    wrong = too_low = 0
    with tempfile.TemporaryDirectory() as directory:
        files = put_files(directory)
        for name, words in commands:
            if options.only and options.only not in name.split():
                continue
            words = [word.format(image=options.image, graph=options.graph, **files)
                     for word in words]
            outcome = walk(name, words, options)
            wrong += outcome[0]
            too_low += outcome[1]
    if too_low == 0:  # for one command, no step may be within the right range
        print('no limit was too low for any command')
        wrong += 1
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
