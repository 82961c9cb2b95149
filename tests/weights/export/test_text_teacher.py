"""Soft labels: an ensemble learns a made-up language, a model learns it from the ensemble alone."""
import contextlib
import io
import tempfile
import types
import unittest
from pathlib import Path

import numpy as np
import torch
from qama_export import text_teacher, train

FILLERS = ["the", "film", "is", "a", "story", "of", "two", "friends"]


def write_task(root):
    """Sentences of neutral words and one that decides, in the layouts of SST-2 and IMDB."""
    random = np.random.default_rng(1)

    def sentence(label):
        words = list(random.choice(FILLERS, random.integers(3, 9)))
        words.insert(random.integers(len(words)), ["bad", "good"][label])
        return " ".join(words)
    for part, count in (("train", 640), ("dev", 100)):
        rows = [f"{sentence(i % 2)}\t{i % 2}" for i in range(count)]
        (root / f"{part}.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    for part in ("train", "test"):
        rows = [f"{i % 2}\t5\t{i}\t{sentence(i % 2)}. {sentence(i % 2)}!<br />No."
                for i in range(80)]
        (root / f"imdb_{part}.tsv").write_text("\n".join(rows) + "\n")


class TextTeacher(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        write_task(self.root)
        self.out = self.root / "soft.npz"
        self.printed = self.make()

    def make(self, *extra):
        """Writes self.out; returns what was printed."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            text_teacher.main(["sst2", "--data", str(self.root), "--sentences", str(self.root),
                               "--out", str(self.out), "--sentence-count", "100", "--members", "2",
                               "--filters", "8", "--epochs", "20", *extra])
        return printed.getvalue()

    def options(self, *extra):
        return train.parse(["--dataset", "sst2", "--data", str(self.root), "--out",
                            str(self.root / "run"), "--attention", "softmax", "--dim", "16",
                            "--heads", "1", "--dim-head", "8", "--mlp", "16", "--batch", "32",
                            "--epochs", "12", "--lr", "0.01", "--dropout", "0", "--max-tokens",
                            "64", "--soft-labels", str(self.out), *extra])

    def test_a_model_learns_from_the_ensemble_alone(self):
        self.assertIn("2 of the networks: accuracy 1.0000", self.printed)
        vocabulary = self.vocabulary()
        texts, labels, soft = text_teacher.read(self.out, vocabulary, 64)
        self.assertEqual(len(texts), 740)
        self.assertEqual(list(labels[:4]), [0, 1, 0, 1])
        self.assertTrue((labels[640:] == -1).all())
        torch.testing.assert_close(soft.sum(1), torch.ones(740), atol=2e-3, rtol=0)
        good = vocabulary.index("good")
        self.assertGreater(min(p[1] for ids, p in zip(texts, soft) if good in ids), 0.5)
        # Without a single label of its own.
        text_teacher.write(self.out, vocabulary, texts, np.full(740, -1), soft)
        run = train.Run(self.options())
        self.addCleanup(run.log_file.close)
        run.train()
        self.assertGreater(run.finish(), 0.95)
        self.check_joining_the_ensemble(self.root / "run" / "model.safetensors")

    def check_joining_the_ensemble(self, model):
        """The same networks, whose word then is half of all."""
        with np.load(self.out) as pack:
            alone = pack["probabilities"].astype(np.float32)
        printed = self.make("--models", str(model))
        self.assertIn("1 of the models: accuracy 1.0000", printed)
        self.assertIn("both: accuracy 1.0000", printed)
        logits_of = text_teacher.load_model(model, self.vocabulary(),
                                            types.SimpleNamespace(threads=1, library=None))
        texts, _, together = text_teacher.read(self.out, self.vocabulary(), 64)
        other = text_teacher.probabilities(logits_of, texts)
        np.testing.assert_allclose(together, (alone + other.numpy()) / 2, atol=1e-3)
        with self.assertRaisesRegex(ValueError, "its vocabulary of [0-9]+ words is not the data "
                                    "set's of 2"):
            text_teacher.load_model(model, ["<pad>", "<unk>"], None)

    def vocabulary(self):
        with np.load(self.out) as pack:
            return pack["vocabulary"].tobytes().decode().split("\n")

    def test_other_words_or_an_image_set_are_refused(self):
        with self.assertRaisesRegex(ValueError, "its vocabulary of [0-9]+ words is not the data "
                                    "set's"):
            text_teacher.read(self.out, ["<pad>", "<unk>"], 64)
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit):
            self.make("--members", "0")
        for extra in (["--dataset", "mnist"], ["--teacher", "model.safetensors"]):
            with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit):
                self.options(*extra)


if __name__ == "__main__":
    unittest.main()
