"""Training and export of QAMA models (PyTorch, CPU or CUDA): see train.py, fleet.py and export.py.

The package needs Python >= 3.11, numpy and torch (>= 1.13) and the runtime's package `qama` with
its shared library (runtime/python); nothing else. A new attention kind gets a class beside
QAMAttention and a line in models.make_attention.
"""
import importlib.util
import sys
from pathlib import Path


def _check_packages():
    """A script of the package says what is missing in one sentence, before it imports it."""
    alone = "qama_export.import_encoder" in sys.orig_argv  # which needs no torch
    for name in ("numpy",) if alone else ("numpy", "torch"):
        if importlib.util.find_spec(name) is None:
            sys.exit(f"qama_export: error: the Python package '{name}' is missing for "
                     f"{sys.executable}: on Debian, `apt-get install python3-{name}` installs it "
                     "for /usr/bin/python3")


if sys.argv[:1] == ["-m"]:  # what Python has there while it looks for the script
    _check_packages()
if importlib.util.find_spec("qama") is None:  # not installed: the one of this checkout
    sys.path.append(str(Path(__file__).resolve().parents[3] / "runtime" / "python"))
