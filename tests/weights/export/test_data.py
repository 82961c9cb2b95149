"""Official layouts, tokeniser and packs, on small files made here."""
import contextlib
import gzip
import io
import json
import lzma
import struct
import tempfile
import unittest
from pathlib import Path

import numpy as np
from qama_export import datasets, fold, tokeniser

from qama import library

GOLDEN = Path(__file__).parents[2] / "golden" / "text"


def table(name):
    """The rows of a table that the runtime's tests read, too."""
    rows = [line.split("\t") for line in (GOLDEN / name).read_text("ascii").splitlines()[1:]]
    assert len(rows) > 40
    return rows


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
        self.assertEqual(tokeniser.encode("a b c a", index, 3, truncate="ends"), [2, 1, 2])
        self.assertEqual(tokeniser.encode("a b", index, 3, truncate="ends"), [2, 1])

    def test_agrees_with_the_table_that_the_runtime_keeps(self):
        rows = table("tokens.tsv")
        for kind, text, tokens in rows:
            raw = json.loads(text).encode("latin-1").decode("utf-8", "surrogateescape")
            expected = [word.encode("latin-1") for word in json.loads(tokens)]
            self.assertEqual(tokeniser.split(raw, kind), expected, (kind, text))


class Fold(unittest.TestCase):
    def test_every_character_becomes_what_the_table_says(self):
        becomes = {}
        for first, last, rule in table("fold.tsv"):
            for code in range(int(first, 16), int(last, 16) + 1):
                becomes[code] = (f" {chr(code)} " if rule == "own" else
                                 chr(code - 0xFEE0) if rule == "ascii" else json.loads(rule))
        self.assertEqual(fold.TABLE, becomes)
        self.assertEqual(fold.fold("a\u00a0b\u2019s"), "a b's")

    def test_html(self):
        self.assertEqual(fold.fold("<p>Tom &amp; <i>J</i>erry<br/>&#8220;x&rdquo;"),
                         ' Tom & Jerry "x"')
        self.assertEqual(fold.fold("&lt;br&gt; <3 <grin> &amp;quot;"), "<br> <3 <grin> &quot;")


class Own(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def put(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    def load(self, path="", name="own-texts", **more):
        """The data set and what was said on standard error."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            data = datasets.load(name, self.root / path, **more)
        return data, said.getvalue()

    def test_folders_with_and_without_a_test_part(self):
        for number in range(20):
            self.put(f"one/bad/{number:02}.txt", "poor film")
            self.put(f"one/good/{number:02}.txt", "\ufeffgood\u00a0film")
        self.put("one/good/.hidden", "x")
        data, said = self.load("one")
        self.assertEqual((len(data.train), len(data.test)), (36, 4))
        self.assertEqual(data.labels, ["bad", "good"])
        self.assertEqual(sorted(data.test_labels.tolist()), [0, 0, 1, 1])
        self.assertEqual(data.vocabulary, ["<pad>", "<unk>", "film", "good", "poor"])
        self.assertEqual(data.train[-1].tolist(), [3, 2])
        self.assertEqual(said, "")
        self.put("two/train/good/a.txt", "good")
        self.put("two/test/good/a.txt", "film")
        self.put("two/test/good/notes.md", "x")
        self.put("two/test/good/b.txt", b"caf\xe9")
        data, said = self.load("two", vocabulary=["<pad>", "<unk>", "good"])
        self.assertEqual([ids.tolist() for ids in data.test], [[1]])
        self.assertIn("notes.md is left out", said)
        self.assertIn("b.txt cannot be read", said)
        self.assertIn("1 samples cannot be read", said)

    def test_tables(self):
        self.put("a.txt", "from a file")
        self.put("train.csv", "id,text,label\n1,\"good, \"\"very\"\"\",up\n\n2,bad,down\n")
        self.put("test.tsv", "\ufefffile\tlabel\na.txt\tup\n")
        data, _ = self.load(vocabulary=["<pad>", "<unk>", "good", "from", '"'])
        self.assertEqual([ids.tolist() for ids in data.train], [[2, 1, 4, 1, 4], [1]])
        self.assertEqual(data.train_labels.tolist(), [1, 0])
        self.assertEqual([ids.tolist() for ids in data.test], [[3, 1, 1]])
        # Longer than what csv takes unasked.
        self.put("train.csv", "text,label\n" + "good " * 40000 + ",up\n")
        self.assertEqual(self.load(vocabulary=["<pad>", "<unk>", "good"])[0].train[0].size, 512)

    def test_a_pack_has_the_labels_and_all_ids(self):
        for label in range(300):
            self.put(f"train/{label:03}/a.txt", "good film")
            self.put(f"test/{label:03}/a.txt", "film")
        data, _ = self.load()
        data.train[0][:] = 70000
        datasets.save_pack(data, self.root / "own-texts.npz")
        packed, _ = self.load()
        self.assertEqual((packed.labels, packed.train[0].tolist()), (data.labels, [70000] * 2))
        self.assertEqual(packed.train_labels.tolist(), list(range(300)))

    def test_a_pack_of_cut_texts_gives_no_ends_and_no_longer_ones(self):
        self.put("train.csv", "text,label\none two three four five,a\n")
        self.put("test.csv", "text,label\none two,a\n")
        words = ["<pad>", "<unk>", "one", "two", "three", "four", "five"]
        data, _ = self.load(vocabulary=words, max_tokens=4)
        datasets.save_pack(data, self.root / "own-texts.npz", 4)
        self.assertEqual(self.load(max_tokens=3)[0].train[0].tolist(), [2, 3, 4])
        for more in ({"max_tokens": 5}, {"max_tokens": 2, "truncate": "ends"}):
            with self.assertRaisesRegex(ValueError, "its texts are the first 4 tokens"):
                self.load(**more)
        datasets.save_pack(data, self.root / "own-texts.npz", 5)
        self.assertEqual(self.load(max_tokens=2, truncate="ends")[0].train[0].tolist(), [2, 5])

    def test_faults_name_their_place(self):
        for text, expected in (("text\nx\n", "line 1: no column has the name 'label'; there are "
                                "'text'"),
                               ("text,label\nx\n", "line 2: 1 fields, expected 2"),
                               ("text,label,label\nx,a,b\n", "line 1: 2 columns have the name "
                                "'label', expected one"),
                               ("text,label\n", "has no rows"),
                               ('text,label\n"x,y\n', "line 2: "),
                               ("text,label\nx,a\ny,\n", "line 3: the label is empty"),
                               (b"text,label\ncaf\xe9,a\n", "t.csv: byte 0xe9 is not UTF-8"),
                               ("text,label\nx,a\n".encode("utf-16"), "t.csv: .*not UTF-8"),
                               ("text,label\n" + 9 * "x,a\n" + 9 * "y,b\n",
                                "no label has 10 samples")):
            self.put("t.csv", text)
            with self.assertRaisesRegex(ValueError, expected):
                self.load("t.csv")
        self.put("two/train/good/a.txt", "x")
        self.put("two/test/bad/a.txt", "x")
        with self.assertRaisesRegex(ValueError, "label 'bad' of the test part, expected one of"):
            self.load("two")
        with self.assertRaisesRegex(FileNotFoundError, "does not exist, expected one with files"):
            self.load("absent")

    @unittest.skipUnless(library.find(), "SKIPPED: no libqama")
    def test_images_are_what_the_runtime_sees(self):
        for part in ("train", "test"):
            for label in "ab":
                self.put(f"{part}/{label}/x.pgm", b"P5 4 4 255 " + bytes(range(16)))
        self.put("train/a/y.png", "no picture")
        data, said = self.load(name="own-images", pictures={"shape": (8, 4, 1), "patch": 4})
        self.assertEqual(data.train.shape, (2, 1, 8, 4))
        self.assertIn("y.png cannot be read: image 'in memory'", said)
        # Columns keep their place; two rows come from one.
        np.testing.assert_array_equal(data.train[0, 0, 0], [0, 1, 2, 3])
        np.testing.assert_array_equal(data.train[0, 0, 7], [12, 13, 14, 15])
        record = datasets.preprocess_record("own-images")
        self.assertAlmostEqual(record["mean"][0], data.train.mean() / 255, places=3)
        self.assertNotIn("fit", record)


if __name__ == "__main__":
    unittest.main()
