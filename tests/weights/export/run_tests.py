"""Runs the unittest modules of this folder; exits with 77 (skipped) where torch is not installed.

A new test file is test_*.py beside this one.
"""
import sys
import unittest
from pathlib import Path

try:
    import torch
except ImportError:
    print("SKIPPED: python3-torch is not installed, weights/export stays untested")
    sys.exit(77)

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(__file__).resolve().parent
    sys.path.insert(0, str(folder.parents[2] / "weights" / "export"))
    suite = unittest.TestLoader().discover(str(folder))
    if suite.countTestCases() == 0:
        sys.exit("no test found")
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    for test, reason in result.skipped:
        print(f"SKIPPED: {test}: {reason}")
    sys.exit(0 if result.wasSuccessful() else 1)
