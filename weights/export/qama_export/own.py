"""Labelled data of anybody's own, as `qama eval` reads it: a folder for every label, or a table.

    DIR/LABEL/*                     every tenth sample of a label is held out to test
    DIR/train/LABEL/*, DIR/test/LABEL/*
    FILE.csv, FILE.tsv              columns "file" or "text", and "label"; every tenth is held out
    DIR/train.csv, DIR/test.csv     (or .tsv)

Images become the model's size through libqama's own function (qama_model_fit_encoded), so that
training sees what the runtime sees. What cannot be read is listed on standard error and counted.
"""
import csv
import sys
from pathlib import Path

import numpy as np
import torch
from qama import library

HELD_OUT = 10  # of a label's samples, one of so many tests, where there is no test set
MOST_CHARACTERS = 2 ** 31 - 1  # of a table's field; csv takes no more than 131 072 unasked


def labelled(root, text):
    """(train, test): lists of (sample, label); a sample is a Path, or a str that is a text."""
    root = Path(root)
    if root.is_dir() and (root / "train").is_dir():
        return tuple(read_folder(root / part, text) for part in ("train", "test"))
    if root.is_dir():
        tables = [first_table(root, part) for part in ("train", "test")]
        if tables[0]:
            if not tables[1]:
                raise ValueError(f"{root}: a table train, expected a table test beside it")
            return tuple(read_table(table, text) for table in tables)
    samples = read_folder(root, text) if root.is_dir() else read_table(root, text)
    seen, parts = {}, ([], [])
    for sample, label in samples:
        seen[label] = seen.get(label, 0) + 1
        parts[seen[label] % HELD_OUT == 0].append((sample, label))
    if not parts[1]:
        raise ValueError(f"{root}: no label has {HELD_OUT} samples, of which one would be held out "
                         "to test: expected more, or a part train and a part test")
    return parts


def first_table(root, part):
    for name in (f"{part}.csv", f"{part}.tsv"):
        if (root / name).exists():
            return root / name
    return None


def read_folder(root, text):
    """The files below root/LABEL, in order of their names; dot files are not looked at."""
    found = []
    if not root.is_dir():
        raise ValueError(f"{root}: expected a directory with a directory for every label")
    for folder in sorted(path for path in root.iterdir() if not path.name.startswith(".")):
        if not folder.is_dir():
            print(f"{folder} is left out: it is no file of a label", file=sys.stderr)
            continue
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir() or (text and path.suffix != ".txt"):
                print(f"{path} is left out: it is no file of a label", file=sys.stderr)
            else:
                found.append((path, folder.name))
    if not found:
        raise ValueError(f"{root}: no file LABEL/NAME{'.txt' if text else ''}")
    return found


def read_table(path, text):
    """The rows of a table with a header line (RFC 4180), as the runtime reads it."""
    path = Path(path)
    if path.suffix not in (".csv", ".tsv"):
        raise ValueError(f"{path}: expected a directory, a .csv or a .tsv file")
    found = []
    csv.field_size_limit(MOST_CHARACTERS)
    with open(path, encoding="utf-8-sig", newline="") as source:
        rows = csv.reader(source, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
        try:
            names = next(rows, [])
            sample = "text" if text and "text" in names else "file"
            for column in (sample, "label"):
                if column not in names:
                    raise ValueError(f"{path}, line 1: no column has the name '{column}'; there "
                                     f"are {', '.join(map(repr, names))}")
                if names.count(column) > 1:
                    raise ValueError(f"{path}, line 1: {names.count(column)} columns have the "
                                     f"name '{column}', expected one")
            for row in rows:
                if not row:
                    continue
                if len(row) != len(names):
                    raise ValueError(f"{path}, line {rows.line_num}: {len(row)} fields, expected "
                                     f"{len(names)}, one a column")
                if not row[names.index("label")]:
                    raise ValueError(f"{path}, line {rows.line_num}: the label is empty")
                value = row[names.index(sample)]
                found.append((value if sample == "text" else path.parent / value,
                              row[names.index("label")]))
        except csv.Error as error:
            raise ValueError(f"{path}, line {rows.line_num}: {error}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: byte {error.object[error.start]:#x} is not UTF-8, expected "
                             "UTF-8 text, as iconv -t UTF-8 makes it") from error
    if not found:
        raise ValueError(f"{path} has no rows")
    return found


def text_of(sample):
    if isinstance(sample, str):
        return sample
    return sample.read_bytes().decode("utf-8")


class Fitter:
    """What a model of `shape` (height, width, channels) sees of image files, by libqama."""

    def __init__(self, shape, patch, preprocess, path=None):
        height, width, channels = shape
        # Any model of that input does: the smallest one there is.
        from .export import opened
        from .models import build
        record = {"kind": "simple_vit",
                  "image": {"height": height, "width": width, "channels": channels},
                  "patch": patch, "token_pool": [1, 1], "dim": 4, "depth": 1, "heads": 1,
                  "dim_head": 4, "mlp": 4, "classes": 2, "gelu": "erf", "norm_eps": 1e-5,
                  "pool": "mean", "attention": {"kind": "softmax"}}
        self.path, self.shape = path, shape
        state = torch.random.get_rng_state()
        self.model = opened(build(record), preprocess, ["0", "1"], path=path)
        torch.random.set_rng_state(state)

    def _call(self, name, *arguments):
        try:
            library.call(name, *arguments, path=self.path)
        except library.QamaError as error:
            raise ValueError(error.sentence) from None

    def read(self, path):
        """uint8 [channels, height, width] of a file."""
        data = path.read_bytes()
        out = np.empty(self.shape, np.uint8)
        self._call("qama_model_fit_encoded", self.model, data, len(data), out.ctypes.data)
        return out.transpose(2, 0, 1)

    def close(self):
        library.load(self.path).qama_model_close(self.model)


def load(root, text, read):
    """(train, train labels, test, test labels, names of the labels); read(sample) gives what the
    lists hold. Labels are numbered in order of their names in the training part."""
    parts = labelled(root, text)
    names = sorted({label for _, label in parts[0]})
    out, unread = [], 0
    for samples in parts:
        values, labels = [], []
        for sample, label in samples:
            if label not in names:
                raise ValueError(f"{root}: label '{label}' of the test part, expected one of the "
                                 f"training part's: {', '.join(names)}")
            try:
                values.append(read(sample))
                labels.append(names.index(label))
            except (OSError, ValueError) as error:
                print(f"{sample} cannot be read: {error}", file=sys.stderr)
                unread += 1
        if not values:
            raise ValueError(f"{root}: a part for training or testing holds no sample that can be "
                             "read")
        out += [values, np.array(labels, np.int64)]
    if unread:
        print(f"{unread} samples cannot be read and are left out", file=sys.stderr)
    return (*out, names)
