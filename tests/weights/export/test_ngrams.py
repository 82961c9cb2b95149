"""Scores of n-grams: in a made-up language pairs of words decide, which no word does alone."""
import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from qama_export import datasets, export, models, ngrams, train

FILLERS = ["the", "film", "is", "a", "story", "of", "two", "friends"]
PAIRS = {("not", "good"): 0, ("not", "bad"): 1, ("very", "good"): 1, ("very", "bad"): 0}


def write_task(root):
    """Sentences of neutral words and one pair, in the layout of SST-2."""
    random = np.random.default_rng(1)
    for part, count in (("train", 400), ("dev", 100)):
        rows = []
        for number in range(count):
            pair, label = list(PAIRS.items())[number % 4]
            words = list(random.choice(FILLERS, random.integers(3, 9)))
            place = random.integers(len(words))
            rows.append(f"{' '.join([*words[:place], *pair, *words[place:]])}\t{label}")
        (root / f"{part}.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")


class Ngrams(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        write_task(self.root)
        self.out = self.root / "scores.npz"

    def make(self, *extra):
        """Writes self.out; returns what was printed."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            ngrams.main(["sst2", "--data", str(self.root), "--out", str(self.out), "--rows", "997",
                         "--max-tokens", "64", "--folds", "4", "--decay", "0.01", *extra])
        return printed.getvalue()

    def options(self):
        return train.parse(["--dataset", "sst2", "--data", str(self.root), "--out",
                            str(self.root / "run"), "--attention", "softmax", "--dim", "16",
                            "--heads", "1", "--dim-head", "8", "--mlp", "16", "--batch", "32",
                            "--epochs", "6", "--lr", "0.01", "--dropout", "0", "--max-tokens",
                            "64", "--ngrams", str(self.out)])

    def test_pairs_decide(self):
        self.assertIn("test texts: accuracy 1.0000", self.make())
        self.assertNotIn("test texts: accuracy 1.0000", self.make("--longest", "1"))

    def test_a_model_has_the_table_and_learns_with_scores_of_other_folds(self):
        self.make()
        run = train.Run(self.options())
        table = run.model.embed.ngrams.clone()
        (tokens, _, scores), _ = run.batches.train(torch.arange(32))
        # The table knows the labels of these texts, their scores do not.
        seen = models.ngram_scores(tokens.long(), table, 2)
        self.assertGreater(float((seen - scores).abs().max()), 0.01)
        run.train()
        run.finish()
        model, metadata, _ = export.import_model(self.root / "run" / "model.safetensors")
        self.assertTrue(torch.equal(model.embed.ngrams, table))
        self.assertEqual(model.record["sequence"]["ngram_rows"], 997)
        self.assertEqual(metadata["training"]["test_accuracy"], 1.0)
        self.assertEqual(metadata["training"]["ngrams"], "scores")

    def test_other_words_and_other_texts_are_refused(self):
        self.make()
        data = datasets.load("sst2", self.root, max_tokens=64)
        scores = ngrams.Scores(self.out, data, "head")
        with self.assertRaisesRegex(ValueError, "made with --truncate head, expected ends"):
            ngrams.Scores(self.out, data, "ends")
        with self.assertRaisesRegex(ValueError, "its 400 texts are not the 399 training "
                                    "texts"):
            scores.of(data.train[1:], 64)
        data.vocabulary = data.vocabulary[:-1]
        with self.assertRaisesRegex(ValueError, "its vocabulary of"):
            ngrams.Scores(self.out, data, "head")


if __name__ == "__main__":
    unittest.main()
