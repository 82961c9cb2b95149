"""Softmax that becomes QAMA, block by block: the record, the training against the original, and the
file, which the program verifies."""
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
import reference
import scripts
import torch
from qama_export import convert, export, tensor_file, train
from qama_export.models import build
from test_training import LIBRARY, write_task

PROGRAM = os.environ.get("QAMA_PROGRAM")
QAMA = {"kind": "qama", "rho0": 0.16, "gamma0": 0.8}


class Records(unittest.TestCase):
    def record(self, **changes):
        return reference.vit_record(attention={"kind": "softmax"}, **changes)

    def test_blocks_that_stay_are_named(self):
        record = self.record(depth=3)
        some = convert.converted_record(record, [1], QAMA)
        self.assertEqual(some["attention"], QAMA)
        self.assertEqual(some["other_attention"], {"blocks": [0, 2], "kind": "softmax"})
        self.assertNotIn("other_attention", convert.converted_record(record, [0, 1, 2], QAMA))
        self.assertEqual(record["attention"], {"kind": "softmax"})

    def test_numbers_of_blocks(self):
        self.assertEqual(convert.blocks_of("all", 3), [0, 1, 2])
        self.assertEqual(convert.blocks_of("2,0,2", 3), [0, 2])
        for text in ("3", "-1", "", "a", "0,,1"):
            with self.assertRaisesRegex(ValueError, "--blocks .*expected all, or numbers from 0"):
                convert.blocks_of(text, 3)

    def test_the_model_stands_anywhere(self):
        options = ["--dataset", "mnist", "--data", "d", "--out", "o", "--batch", "7"]
        for arguments in (["m", *options], [*options, "m"], [*options[:4], "m", *options[4:]]):
            mine, found = convert.parse([*arguments, "--blocks", "1", "--to", "qama_bilinear"])
            self.assertEqual((mine.model, mine.blocks, mine.to), ("m", "1", "qama_bilinear"))
            self.assertEqual((found.attention, found.teacher, found.start_from, found.batch,
                              found.lr, found.feature_weight),
                             ("qama_bilinear", "m", "m", 7, 1e-3, 1.0))
            self.assertNotIn("blocks", vars(found))

    def test_what_cannot_be_converted_is_refused(self):
        record = self.record(depth=4)
        bilinear = {**QAMA, "kind": "qama_bilinear"}
        for sentence, given, blocks, to in (
                ("is 'qama', expected 'softmax' in all", {**record, "attention": QAMA}, [0], QAMA),
                ("and another kind", {**record, "other_attention": {}}, [0], QAMA),
                ("n-grams", {**record, "sequence": {"ngrams": 2}}, [0], QAMA),
                ("blocks 2 to 3 share", {**record, "layer_groups": 2}, [0, 1, 2], QAMA),
                ("no projection", {**record, "dim_head": 1}, [0], bilinear),
                ("no projection", {**record, "dim": record["heads"] * record["dim_head"],
                                   "out_bias": True}, [0], bilinear)):
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                convert.converted_record(given, blocks, to)

    def test_a_mixed_model_survives_the_file(self):
        record = convert.converted_record(self.record(depth=3), [1], {
            **QAMA, "normalisation": "batch", "energy_norm": "batch",
            "anneal": {"sweeps": 2, "restarts": 1, "t_start": 1.0, "t_end": 0.1, "seed": 1}})
        torch.manual_seed(3)
        model = build(record).eval()
        self.assertEqual([hasattr(block.attn, "w_eps") for block in model.blocks],
                         [False, True, False])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mixed.safetensors"
            export.export_model(model, path, {}, ["a", "b"])
            again, metadata, _ = export.import_model(path)
        self.assertEqual(metadata["architecture"], record)
        for name, value in model.state_dict().items():
            torch.testing.assert_close(again.state_dict()[name], value)


class Features(unittest.TestCase):
    def test_the_distance_is_a_part_of_the_teachers_features(self):
        teacher = train.Teacher.__new__(train.Teacher)
        teacher.model = build(reference.vit_record(attention={"kind": "softmax"}, depth=2))
        own = {f"block.{block}.out": torch.randn(2, 5, 3) for block in range(2)}
        self.assertEqual(float(teacher.distance((None,), own, own)), 0.0)
        here = {"block.0.out": own["block.0.out"], "block.1.out": own["block.1.out"] * 1.5}
        self.assertAlmostEqual(float(teacher.distance((None,), here, own)), 0.25 / 2, places=6)
        # What is behind a text counts for nothing.
        lengths = torch.tensor([5, 2])
        here = {name: value.clone() for name, value in own.items()}
        here["block.0.out"][1, 2:] += 7
        self.assertEqual(float(teacher.distance((None, lengths), here, own)), 0.0)
        here["block.0.out"][1, 1:] += 7
        self.assertGreater(float(teacher.distance((None, lengths), here, own)), 0.0)


@unittest.skipUnless(LIBRARY, "libqama.so is not built")
class Conversion(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        write_task(self.root)
        status, text = scripts.call(train, self.root, (
            "--dataset", "mnist", "--data", self.root, "--out", "softmax", "--attention", "softmax",
            "--dim", "8", "--depth", "2", "--heads", "2", "--dim-head", "4", "--mlp", "16",
            "--patch", "7", "--batch", "32", "--epochs", "10", "--lr", "0.02", "--no-augment",
            "--golden", "1"))
        self.assertEqual(status, 0, text)

    def convert(self, out, *more):
        status, text = scripts.call(convert, self.root, (
            "softmax/model.safetensors", "--dataset", "mnist", "--data", self.root, "--out", out,
            "--batch", "32", "--no-augment", "--golden", "2", *more))
        return status, text

    def accuracy(self, name):
        training = export.import_model(self.root / name / "model.safetensors")[1]["training"]
        return training["test_accuracy"], training

    def test_layers_are_replaced_and_the_answers_stay(self):
        self.assertGreater(self.accuracy("softmax")[0], 0.9)
        for out, more, kinds in (("one", ("--blocks", "1"), ["softmax", "qama"]),
                                 ("both", ("--start-from", "one/model.safetensors"),
                                  ["qama", "qama"]),
                                 ("bilinear", ("--blocks", "0", "--to", "qama_bilinear"),
                                  ["qama_bilinear", "softmax"])):
            with self.subTest(out):
                status, text = self.convert(out, "--epochs", "8", "--lr", "0.01", *more)
                self.assertEqual(status, 0, text)
                accuracy, training = self.accuracy(out)
                self.assertGreater(accuracy, 0.9)
                self.assertEqual(training["teacher"], "softmax")
                record = export.import_model(self.root / out / "model.safetensors")[0].record
                other = record.get("other_attention", {"blocks": []})
                self.assertEqual([other["kind"] if block in other["blocks"]
                                  else record["attention"]["kind"] for block in range(2)], kinds)
                lines = [json.loads(line) for line in
                         (self.root / out / "log.jsonl").read_text().splitlines()]
                taken = next(line for line in lines if line.get("event") == "taken over")
                self.assertGreater(taken["tensors"], 20)
                self.verify(out)

    def verify(self, out):
        if not PROGRAM:
            self.skipTest("the program is not built")
        done = subprocess.run([PROGRAM, "verify", "model.safetensors", "golden.safetensors"],
                              cwd=self.root / out, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_own_pictures_are_prepared_as_the_models(self):
        """The middle of a wide picture is what a model with fit `crop` sees; 7 x 7 patches."""
        random = np.random.default_rng(5)
        for part, count in (("train", 8), ("test", 1)):
            for label in range(10):
                folder = self.root / "own" / part / str(label)
                folder.mkdir(parents=True)
                for i in range(count):
                    pixels = random.integers(0, 256, (28, 84)).astype(np.uint8)
                    (folder / f"{i}.pgm").write_bytes(b"P5 84 28 255\n" + pixels.tobytes())
        export.write_pictures(self.root / "softmax/model.safetensors",
                              self.root / "crop.safetensors", fit="crop", background=None,
                              margin=None, centre=None)
        status, text = scripts.call(convert, self.root, (
            "crop.safetensors", "--dataset", "own-images", "--data", self.root / "own", "--out",
            "own-out", "--batch", "8", "--epochs", "1", "--no-augment", "--golden", "1"))
        self.assertEqual(status, 0, text)
        golden, _ = tensor_file.read(self.root / "own-out/golden.safetensors")
        _, metadata = tensor_file.read(self.root / "own-out/model.safetensors")
        told = json.loads(metadata["preprocess"])
        self.assertEqual(told["fit"], "crop")
        raw = (self.root / "own/test/0/0.pgm").read_bytes()[-84 * 28:]
        middle = np.frombuffer(raw, np.uint8).reshape(28, 84)[:, 28:56] / 255
        np.testing.assert_allclose(golden["input"][0, 0],
                                   (middle - told["mean"][0]) / told["std"][0], atol=1e-5)
        # A golden of the model file has the same picture.
        status, text = scripts.call(export, self.root, (
            "golden", "own-out/model.safetensors", "--dataset", "own-images", "--data",
            self.root / "own", "--count", "1", "--out", "again.safetensors"))
        self.assertEqual(status, 0, text)
        again, _ = tensor_file.read(self.root / "again.safetensors")
        np.testing.assert_array_equal(again["input"], golden["input"])

    def test_what_does_not_fit_is_one_sentence(self):
        for sentence, more in {
                "--blocks 2: expected all, or numbers from 0 to 1": ("--blocks", "2"),
                "a simple_vit, expected a model of what data set 'imdb' has": ("--dataset", "imdb"),
                "--attention linformer: expected --to": ("--attention", "linformer"),
                "--dim: expected none, the model says it": ("--dim", "8"),
                "--fit: expected none, the model says it": ("--fit", "stretch"),
                "--block: expected none, it belongs to another kind": ("--block", "1"),
                "--token-pool: expected none, the model says it": ("--token-po", "2x2"),
                "--projection: expected none, the model says it": ("--no-projection",),
                "labels of the data set": ("--dataset", "fashion-mnist")}.items():
            with self.subTest(sentence):
                status, text = self.convert("refused", *more)
                self.assertEqual(status, 1, text)
                self.assertRegex(text, sentence)
                self.assertEqual(text.count("\n"), 1, text)


if __name__ == "__main__":
    unittest.main()
