"""Official layouts, tokeniser and packs, on small files made here."""
import gzip
import lzma
import struct
import tempfile
import unittest
from pathlib import Path

import numpy as np
from qama_export import datasets, tokeniser


def idx(array):
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


class Layouts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def test_idx_plain_and_gzipped_and_packed(self):
        images = {part: np.random.default_rng(1).integers(0, 256, (n, 28, 28), np.uint8)
                  for part, n in (("train", 6), ("t10k", 3))}
        for part, pixels in images.items():
            labels = np.arange(len(pixels), dtype=np.uint8)
            (self.root / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels)))
            (self.root / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
        data = datasets.load("fashion-mnist", self.root)
        datasets.save_pack(data, self.root / "fashion-mnist.npz")
        packed = datasets.load("fashion-mnist", self.root)
        for found in (data, packed):
            np.testing.assert_array_equal(found.test[:, 0], images["t10k"])
            np.testing.assert_array_equal(found.train[:, 0], images["train"])
            self.assertEqual(found.train_labels.tolist(), [0, 1, 2, 3, 4, 5])
            self.assertEqual(found.labels[9], "Ankle boot")

    def test_truncated_idx_is_refused(self):
        (self.root / "x").write_bytes(idx(np.zeros((2, 28, 28), np.uint8))[:-1])
        with self.assertRaisesRegex(ValueError, "expected 1584"):
            datasets.read_idx(self.root / "x")

    def test_cifar10_batches(self):
        folder = self.root / "cifar-10-batches-bin"
        folder.mkdir()
        for number, name in enumerate([f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]):
            row = np.full(3073, number, np.uint8)
            row[1 + 1024] = 200  # first pixel of the green plane
            (folder / f"{name}.bin").write_bytes(row.tobytes())
        data = datasets.load("cifar10", self.root)
        self.assertEqual(data.train.shape, (5, 3, 32, 32))
        self.assertEqual(data.train_labels.tolist(), [0, 1, 2, 3, 4])
        self.assertEqual(data.test[0, :, 0, 0].tolist(), [5, 200, 5])

    def test_imdb_folders_and_shared_table_agree(self):
        texts = {"neg": ["Bad.", "worse\u00e9 film"], "pos": ["good", "good film"]}
        lines = []
        for part in ("train", "test"):
            for label, kind in enumerate(("neg", "pos")):
                folder = self.root / "folders" / "aclImdb" / part / kind
                folder.mkdir(parents=True)
                for number, text in enumerate(texts[kind]):
                    (folder / f"{number}_7.txt").write_text(text, "utf-8")
                    lines.append(f"{label}\t7\t{number}\t{text}")
        table = self.root / "table"
        table.mkdir()
        for part in ("train", "test"):
            with lzma.open(table / f"imdb_{part}.tsv.xz", "wt", encoding="utf-8") as out:
                out.write("\n".join(lines[:4]) + "\n")
        found = [datasets.load("imdb", folder, vocabulary_size=4) for folder in
                 (self.root / "folders", table)]
        for data in found:
            self.assertEqual(data.vocabulary, ["<pad>", "<unk>", "film", "good"])
            self.assertEqual([ids.tolist() for ids in data.train], [[1, 1], [1, 2], [3], [3, 2]])
            self.assertEqual(data.train_labels.tolist(), [0, 0, 1, 1])
        datasets.save_pack(found[0], self.root / "imdb.npz")
        packed = datasets.load("imdb", self.root)
        self.assertEqual([ids.tolist() for ids in packed.test], [[1, 1], [1, 2], [3], [3, 2]])
        self.assertEqual(packed.vocabulary, found[0].vocabulary)
        with self.assertRaisesRegex(ValueError, "vocabulary"):
            datasets.load("imdb", self.root, vocabulary=["<pad>", "<unk>", "other"])

    def test_sst2_tables(self):
        for part in ("train", "dev"):
            (self.root / f"{part}.tsv").write_text("sentence\tlabel\na good film \t1\na bad "
                                                   "film\t0\n")
        data = datasets.load("sst2", self.root)
        self.assertEqual(data.vocabulary, ["<pad>", "<unk>", "a", "film"])
        self.assertEqual([ids.tolist() for ids in data.train], [[2, 1, 3], [2, 1, 3]])
        self.assertEqual(data.train_labels.tolist(), [1, 0])
        self.assertEqual(datasets.preprocess_record("sst2")["tokeniser"], "penn_words")


class Tokeniser(unittest.TestCase):
    def test_rules(self):
        self.assertEqual(tokeniser.split("It's GOOD,<br />na\u00efve 10/10!\t"),
                         [b"it's", b"good", b",", "na\u00efve".encode(), b"10", b"/", b"10", b"!"])
        self.assertEqual(tokeniser.split("\u00c9"), ["\u00c9".encode()])  # only ASCII is lowered

    def test_contractions_are_cut_as_the_penn_treebank_does(self):
        self.assertEqual(tokeniser.split("Don't; film's n't 's they'll CAN'T's i'v", "penn_words"),
                         [b"do", b"n't", b";", b"film", b"'s", b"n't", b"'s", b"they", b"'ll",
                          b"can't", b"'s", b"i'v"])
        index = tokeniser.index_of(["<pad>", "<unk>", "do", "n't"])
        self.assertEqual(tokeniser.encode("do n't don't", index, 3, "penn_words"), [2, 3, 2])

    def test_truncation_unknown_and_empty(self):
        index = tokeniser.index_of(["<pad>", "<unk>", "a"])
        self.assertEqual(tokeniser.encode("a b a a", index, 3), [2, 1, 2])
        self.assertEqual(tokeniser.encode("  ", index, 3), [1])


if __name__ == "__main__":
    unittest.main()
