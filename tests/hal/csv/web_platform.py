#!/usr/bin/env python3
"""Plays the web platform of the machine's vendor, as a process of its own: reads every CSV of a
directory that has no answer, solves it, and writes the answer beside it.

    web_platform.py DIR [--rows]

The answer is the vendor's JSON; with --rows, rows of 1 and -1. Needs numpy; ends with 77 without.
"""
import argparse
import json
import pathlib
import sys

try:
    import numpy as np
except ImportError as error:
    print(f"SKIPPED: {error}")
    sys.exit(77)

SAMPLES = 4
SWEEPS = 60


def solve(matrix, rng):
    """Some good answers to: minimise - s^T M s. Annealed flip by flip, then a descent."""
    size = len(matrix)
    scale = np.abs(matrix).sum(axis=1).mean()
    answers = []
    for _ in range(SAMPLES):
        signs = rng.choice([-1.0, 1.0], size)
        pull = matrix @ signs
        for sweep in range(SWEEPS):
            heat = scale * 0.5 * (1 - sweep / (SWEEPS - 10)) ** 2 if sweep < SWEEPS - 10 else 0
            changed = False
            for i in rng.permutation(size):
                cost = 2 * signs[i] * pull[i]
                if cost < 0 or (heat > 0 and rng.random() < np.exp(-cost / heat)):
                    signs[i] = -signs[i]
                    pull += 2 * matrix[:, i] * signs[i]
                    changed = True
            if heat == 0 and not changed:
                break
        answers.append((float(-signs @ matrix @ signs), signs.astype(int).tolist()))
    return sorted(answers)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--rows", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    for path in sorted(options.directory.glob("*.csv")):
        stem = path.name.split(".")[0]
        if ".answer." in path.name or list(options.directory.glob(f"{stem}.answer.*")):
            continue
        answers = solve(np.loadtxt(path, delimiter=","), rng)
        if options.rows:
            text = "".join(",".join(map(str, signs)) + "\n" for _, signs in answers)
            (options.directory / f"{stem}.answer.csv").write_text(text)
        else:
            # The platform may give a sample or its negative: all spins flipped.
            text = json.dumps([{"result": k + 1, "quboValue": value,
                                "solutionVector": [-s if k % 2 else s for s in signs]}
                               for k, (value, signs) in enumerate(answers)])
            (options.directory / f"{stem}.answer.json").write_text(text)
        print(f"answered {path.name}")


if __name__ == "__main__":
    sys.exit(main())
