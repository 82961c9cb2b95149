#!/usr/bin/env python3
"""A whole inference on the device csv:DIR with a process that plays the vendor's web platform.

    by_hand.py QAMA MODEL (--text TEXT | INPUT...) [--rows]

Layer by layer: qama stops with NOT_FOUND and a sentence, the platform answers what lies in DIR,
qama is started again. At the end its labels must be those of cpu:. Then answers are damaged, cut,
swapped and left over, and each time one sentence must say so. Ends with 77 without numpy.
"""
import argparse
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

PLATFORM = pathlib.Path(__file__).with_name("web_platform.py")


class Hand:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.failures = 0

    def qama(self, device):
        inputs = ["--text", self.options.text] if self.options.text else self.options.inputs
        return subprocess.run([self.options.qama, "classify", "-q", "--json", "-m",
                               self.options.model, "--device", device, *inputs],
                              capture_output=True, text=True, check=False)

    def by_hand(self):
        return self.qama(f"csv:{self.folder}")

    def expect(self, right, what):
        if not right:
            self.failures += 1
            print(f"WRONG: {what}")

    def refused(self, code, *words):
        """qama fails with one sentence."""
        done = self.by_hand()
        lines = done.stderr.strip().split("\n")
        self.expect(done.returncode == 1 and len(lines) == 1, f"one sentence: {done.stderr}")
        self.expect(lines[0].startswith(f"qama: error: {code}: "), f"{code}: {lines[0]}")
        for word in words:
            self.expect(word in lines[0], f"'{word}' in: {lines[0]}")

    def platform(self):
        more = ["--rows"] if self.options.rows else []
        done = subprocess.run([sys.executable, PLATFORM, self.folder, *more], check=False)
        if done.returncode == 77:
            sys.exit(77)
        self.expect(done.returncode == 0, "the platform ends well")

    def problems(self):
        return sorted(p for p in self.folder.glob("*.csv") if ".answer." not in p.name)

    def answer(self, problem):
        return next(iter(self.folder.glob(problem.stem + ".answer.*")))

    def infer(self):
        """Until there is nothing left to upload."""
        stops = 0
        while True:
            done = self.by_hand()
            if done.returncode == 0:
                break
            if "NOT_FOUND: no answer yet: upload" not in done.stderr or stops > 8:
                sys.exit(f"qama: {done.stderr}")
            stops += 1
            self.platform()
        of_hand = [json.loads(line) for line in done.stdout.splitlines()]
        of_cpu = [json.loads(line) for line in self.qama("cpu:").stdout.splitlines()]
        self.expect([a["label"] for a in of_hand] == [a["label"] for a in of_cpu], "labels")
        print(f"{stops} stops, {len(self.problems())} problems, labels "
              f"{[a['label'] for a in of_hand]}")
        self.expect(stops > 0 and len(self.problems()) > 0, "something was uploaded")
        for path in self.problems():
            manifest = json.loads(path.with_suffix(".json").read_text())
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            self.expect(manifest["sha256"] == digest, "the manifest's hash")
            self.expect(path.stem == digest[:16], "the file's name")
            rows = path.read_text().splitlines()
            self.expect(manifest["spins"] == len(rows) ==
                        manifest["heads"] * manifest["tokens"] + manifest["ancillas"], "spins")
        return done.stdout

    def spoil(self):
        """Wrong answers, one after the other; the right one comes back each time."""
        problem = self.problems()[0]
        answer = self.answer(problem)
        right = answer.read_text()
        answer.write_text(right[:len(right) // 2 + 1])  # partial
        self.refused("INVALID_ARGUMENT", answer.name)
        answer.write_text("")
        self.refused("INVALID_ARGUMENT", answer.name, "no row")
        answer.write_text(right.replace("-1", "7", 1))  # damaged
        self.refused("INVALID_ARGUMENT", answer.name, "7")
        width = len(problem.read_text().splitlines())
        rows = json.dumps([[1] * (width - 1)])
        answer.write_text(rows)
        self.refused("INVALID_ARGUMENT", f"has {width - 1} values, expected {width}")
        if not self.options.rows:
            rows = json.loads(right)
            rows[0]["quboValue"] += 1000
            answer.write_text(json.dumps(rows))
            self.refused("INVALID_ARGUMENT", "row 1 says quboValue")
        answer.write_text(json.dumps([[1 if i % 2 else -1 for i in range(width)]]))
        self.refused("INVALID_ARGUMENT", answer.name)  # of no problem
        twin = answer.with_suffix(".txt")
        twin.write_text(right)
        answer.write_text(right)
        self.refused("INVALID_ARGUMENT", "two answers")
        twin.unlink()
        # A problem file that was changed after it was written: its answer is stale.
        matrix = problem.read_text()
        problem.write_text(matrix.replace("1", "2", 1))
        self.refused("INVALID_ARGUMENT", problem.name, "was changed since it was written")
        problem.write_text(matrix)
        # An answer whose problem is not there any more.
        stray = answer.with_name("0123456789abcdef" + "".join(answer.suffixes))
        answer.rename(stray)
        self.refused("NOT_FOUND", problem.name, f"'{stray.name}' answers no problem that is there")
        stray.rename(answer)
        twins = [p for p in self.problems()[1:]
                 if len(p.read_text().splitlines()) == width]
        if twins:
            other = self.answer(twins[0])
            kept = other.read_text()
            signs = (json.loads(kept)[0]["solutionVector"] if not self.options.rows
                     else [int(s) for s in kept.splitlines()[0].split(",")])
            answer.write_text(json.dumps([{"solutionVector": signs}]))
            self.refused("INVALID_ARGUMENT", "two answers are swapped", twins[0].name)
            answer.write_text(right)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("qama")
    parser.add_argument("model")
    parser.add_argument("inputs", nargs="*")
    parser.add_argument("--text")
    parser.add_argument("--rows", action="store_true")
    with tempfile.TemporaryDirectory() as name:
        hand = Hand(parser.parse_args(), pathlib.Path(name) / "machine")
        before = hand.infer()
        hand.spoil()
        after = hand.by_hand()
        first, again = ([json.loads(line)["label"] for line in text.splitlines()]
                        for text in (before, after.stdout))
        hand.expect(first == again, "the right answers again")
    print("failures:", hand.failures)
    return 1 if hand.failures else 0


if __name__ == "__main__":
    sys.exit(main())
