"""Model and Session: the same answers as `qama`, and errors that say what was expected."""
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest

import numpy as np

import qama

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODELS = ROOT / "weights" / "models"
SHOE = ROOT / "runtime" / "examples" / "images" / "shoe.png"


def random_pixels(count):
    return np.random.default_rng(1).integers(0, 256, (count, 28, 28, 1), np.uint8)


def tensors(path):
    """The float tensors of a safetensors file."""
    data = pathlib.Path(path).read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    return {name: np.frombuffer(data[start:][slice(*of["data_offsets"])],
                                "<f4").reshape(of["shape"])
            for name, of in json.loads(data[8:start]).items() if of.get("dtype") == "F32"}


class Models(unittest.TestCase):
    def test_what_a_model_says_of_itself(self):
        with qama.Model(MODELS / "fashion-mnist-qama.safetensors") as model:
            self.assertEqual(model.image_shape, (28, 28, 1))
            self.assertEqual(model.max_tokens, 0)
            self.assertEqual(len(model.labels), 10)
            self.assertEqual(model.labels[7], "Sneaker")
        text = qama.Model(MODELS / "imdb-qama.safetensors")
        self.assertIsNone(text.image_shape)
        self.assertEqual(text.labels, ("negative", "positive"))

    def test_a_path_and_bytes_are_one_image(self):
        model = qama.Model(MODELS / "fashion-mnist-qama.safetensors")
        session = model.session()
        for sample in (SHOE, str(SHOE), SHOE.read_bytes()):
            answer = session.classify(sample)
            self.assertEqual(answer.label, "Sneaker")
            self.assertIn("Sneaker", str(answer))
            self.assertAlmostEqual(answer.probability, answer.probabilities.max())
            self.assertAlmostEqual(answer.probabilities.sum(), 1)
            self.assertEqual(answer.index, int(answer.logits.argmax()))
            self.assertEqual(len(answer.energies), 2)

    @unittest.skipUnless("QAMA_PROGRAM" in os.environ, "SKIPPED: QAMA_PROGRAM names no program")
    def test_the_program_gives_the_same_answer(self):
        model = qama.Model(MODELS / "fashion-mnist-qama.safetensors")
        ours = model.session().classify(SHOE)
        theirs = json.loads(subprocess.run(
            [os.environ["QAMA_PROGRAM"], "classify", "-q", "--json", "-m", model.path, SHOE],
            check=True, capture_output=True, text=True).stdout)
        self.assertEqual(theirs["label"], ours.label)
        self.assertAlmostEqual(theirs["probability"], ours.probability, places=6)

    def test_features(self):
        small = ROOT / "tests/golden/small/published-text-softmax"
        model = qama.Model(f"{small}.model.safetensors")
        self.assertEqual((model.feature_shape, model.image_shape), ((24, 17), None))
        self.assertIn("24x17", repr(model))
        golden = tensors(f"{small}.golden.safetensors")
        session = model.session(max_batch=3)
        logits = session.logits(golden["input"])
        np.testing.assert_allclose(logits, golden["logits"], atol=1e-4)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "all.npy"
            np.save(path, golden["input"])
            answers = session.classify_all([f"{path}:{i}" for i in range(len(logits))])
            np.testing.assert_array_equal([answer.logits for answer in answers], logits)
            with self.assertRaisesRegex(qama.QamaError, "DATASET_BAD_FORMAT: .* holds 4 samples"):
                session.classify(path)
        for wrong in (golden["input"].astype(np.float64), golden["input"][0]):
            with self.assertRaisesRegex(ValueError, r"expected float32 \[n, 24, 17\]"):
                session.logits(wrong)

    def test_an_array_of_any_size_is_fitted(self):
        session = qama.Model(MODELS / "fashion-mnist-qama.safetensors").session(invert="no")
        pixels = random_pixels(1)[0]
        exact = session.logits(pixels[None])[0]
        np.testing.assert_array_equal(session.classify(pixels).logits, exact)
        np.testing.assert_array_equal(session.classify(pixels[..., 0]).logits, exact)
        large = np.full((280, 300, 3), 20, np.uint8)
        large[80:200, 90:210] = 220
        answer = session.classify(large)
        self.assertEqual(session.pixels().shape, (28, 28, 1))
        self.assertFalse(answer.blank)
        self.assertTrue(session.classify(np.zeros((28, 28), np.uint8)).blank)

    def test_batches_do_not_change_an_answer(self):
        model = qama.Model(MODELS / "fashion-mnist-qama.safetensors")
        pixels = random_pixels(7)
        one = model.session(seed=3).logits(pixels)
        np.testing.assert_array_equal(model.session(seed=3, max_batch=4).logits(pixels), one)
        np.testing.assert_array_equal(
            model.session(seed=3, max_batch=4, threads=2).logits(pixels), one)
        np.testing.assert_array_equal(
            model.session(seed=3, max_batch=4, sample_threads=3).logits(pixels), one)
        answers = model.session(seed=3, max_batch=3, invert="no").classify_all(list(pixels))
        np.testing.assert_array_equal(np.array([answer.logits for answer in answers]), one)

    def test_texts(self):
        session = qama.Model(MODELS / "imdb-qama.safetensors").session(max_batch=2)
        good, bad, empty = session.classify_all(["A wonderful film.", "A dull, awful film.", ""])
        self.assertEqual((good.label, bad.label), ("positive", "negative"))
        self.assertEqual((good.words, empty.words), (4, 0))
        with self.assertRaisesRegex(TypeError, "int, expected a text"):
            session.classify(3)
        with self.assertRaisesRegex(ValueError, "zero byte"):
            session.classify("a\0b")

    def test_errors_have_names(self):
        with self.assertRaises(qama.QamaError) as caught:
            qama.Model("no-such-file.safetensors")
        self.assertEqual(caught.exception.code, "NOT_FOUND")
        model = qama.Model(MODELS / "fashion-mnist-qama.safetensors")
        with self.assertRaises(qama.QamaError):
            model.session(device="nothing:")
        with self.assertRaises(qama.QamaError) as caught:
            model.session(strict=True).classify(np.zeros((28, 28), np.uint8))
        self.assertEqual(caught.exception.code, "IMAGE_BLANK")
        session = model.session()
        with self.assertRaisesRegex(ValueError, "float64, expected uint8"):
            session.classify(np.zeros((28, 28)))
        with self.assertRaisesRegex(ValueError, r"\[28, 28, 5\], expected"):
            session.classify(np.zeros((28, 28, 5), np.uint8))
        with self.assertRaisesRegex(ValueError, r"\[1, 27, 28, 1\], expected \[n, 28, 28, 1\]"):
            session.logits(np.zeros((1, 27, 28, 1), np.uint8))
        for wrong in ({"max_batch": 0}, {"threads": 0}, {"sweeps": -1}, {"restarts": 0},
                      {"seed": -1}, {"seed": 2 ** 64}):
            with self.assertRaisesRegex(ValueError, " ".join(map(str, *wrong.items()))):
                model.session(**wrong)
        with self.assertRaisesRegex(ValueError, "fit 'fill', expected one of model, stretch"):
            model.session(fit="fill")

    def test_a_session_keeps_its_model(self):
        session = qama.Model(MODELS / "fashion-mnist-qama.safetensors").session()
        self.assertEqual(session.classify(SHOE).label, "Sneaker")
        session.close()
        session.close()

    def test_what_is_closed_is_not_used(self):
        with qama.Model(MODELS / "fashion-mnist-qama.safetensors") as model:
            session = model.session()
        self.assertEqual(session.classify(SHOE).label, "Sneaker")
        with self.assertRaisesRegex(ValueError, "the model is closed"):
            model.session()
        session.close()
        for use in (lambda: session.classify(SHOE), lambda: session.pixels(),
                    lambda: session.logits(np.zeros((1, 28, 28), np.uint8))):
            with self.assertRaisesRegex(ValueError, "the session is closed"):
                use()


if __name__ == "__main__":
    unittest.main()
