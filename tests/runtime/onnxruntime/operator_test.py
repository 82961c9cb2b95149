"""Exported models in ONNX Runtime, with the operator for their QAMA layers, against PyTorch's
goldens and this library.

    QAMA_LIBRARY=libqama.so QAMA_OPERATORS=libqama_onnxruntime.so
        PYTHONPATH=weights/export:runtime/python python3 operator_test.py
    ... operator_test.py MODEL IMAGES [COUNT]

The second form compares labels: IMAGES is a file of the data set's official layout, IDX (also .gz)
or a batch of CIFAR-10. Skips where ONNX Runtime's library is missing (engine.library).
"""
import gzip
import json
import os
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import engine
import numpy as np
import qama
from qama_export import tensor_file
from qama_export.onnx_model import KINDS, QAMA_TENSORS, OnnxModel

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("QAMA_SHARED", ROOT.parent / "shared"))
MODELS = ROOT / "weights" / "models"
DIGITS = SHARED / "data" / "mnist" / "t10k-images-idx3-ubyte.gz"
OPERATORS = os.environ.get("QAMA_OPERATORS")


def exported(model, folder):
    """(path, architecture record) of a model file as ONNX."""
    made = OnnxModel(model)
    path = Path(folder) / (Path(model).name + ".onnx")
    made.write(path, "test")
    return path, made.record


def pixels(path):
    """uint8 [n][height][width][channels] of a file of images."""
    raw = Path(path).read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    if raw[:4] == b"\0\0\x08\x03":
        count, height, width = np.frombuffer(raw[4:16], ">i4")
        return np.frombuffer(raw, np.uint8, offset=16).reshape(count, height, width, 1)
    rows = np.frombuffer(raw, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def normalised(images, path):
    """The model's input of uint8 images."""
    record = json.loads(tensor_file.read(path)[1]["preprocess"])
    mean, std = (np.array(record[key], np.float32) for key in ("mean", "std"))
    values = (images.astype(np.float32) / np.float32(record["scale"]) - mean) / std
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def both(ort, model, inputs, batch=20, **options):
    """Logits [n][classes] of the engine and of this library."""
    with tempfile.TemporaryDirectory() as folder:
        path, record = exported(model, folder)
        session = ort.session(path, OPERATORS)
    name = "features" if record["kind"] == "feature_transformer" else "image"
    annealed = "anneal" in record["attention"]
    theirs = []
    for first in range(0, len(inputs), batch):
        part = inputs[first:first + batch]
        extra = {"index": np.array([first], np.int64)} if annealed else {}
        extra.update({key: np.array([value], np.int64) for key, value in options.items()})
        theirs.append(session.run({"logits": (len(part), record["classes"])}, **{name: part},
                                  **extra)["logits"])
    session.close()
    with qama.Model(model) as opened, opened.session(max_batch=len(inputs), **options) as own:
        ours = own.logits(inputs)
    return np.concatenate(theirs), ours


class Exported(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        path = engine.library()
        if path is None:
            raise unittest.SkipTest("ONNX Runtime's library is missing: bench/peers/run fetches it,"
                                    " or QAMA_ONNXRUNTIME names it")
        cls.ort = engine.Engine(path)

    def test_every_kind_of_model(self):
        seen = set()
        for model in sorted((ROOT / "tests/golden/small").glob("*.model.safetensors")):
            record = json.loads(tensor_file.read(model)[1]["architecture"])
            kinds = {record[key]["kind"] for key in ("attention", "other_attention")
                     if key in record}
            if record["kind"] == "text_transformer" or not kinds <= set(KINDS):
                with self.assertRaisesRegex(ValueError, "expected a model of images or features"):
                    OnnxModel(model)
                continue
            golden = tensor_file.read(str(model).replace(".model.", ".golden."))[0]
            with self.subTest(model=model.name):
                seen |= kinds
                theirs, ours = both(self.ort, model, golden["input"], batch=3)
                largest = np.abs(ours).max()
                self.assertLess(np.abs(theirs - ours).max() / largest, 1e-4)
                if kinds == {"softmax"}:
                    self.assertLess(np.abs(theirs - golden["logits"]).max() / largest, 1e-4)
        self.assertEqual(seen, set(KINDS))

    def test_labels_of_digits(self):
        if not DIGITS.exists():
            self.skipTest(f"{DIGITS} is missing")
        images = pixels(DIGITS)[:100]
        for name in ("mnist-qama", "mnist-softmax"):
            with self.subTest(model=name):
                model = MODELS / f"{name}.safetensors"
                theirs, ours = both(self.ort, model, normalised(images, model))
                np.testing.assert_array_equal(theirs.argmax(1), ours.argmax(1))

    def test_the_seed_and_the_index_count(self):
        model = ROOT / "tests/golden/small/qama_bilinear-image.model.safetensors"
        inputs = tensor_file.read(str(model).replace(".model.", ".golden."))[0]["input"]
        same = np.repeat(inputs[:1], 64, 0)
        found = {seed: both(self.ort, model, same, batch=7, seed=seed) for seed in (1, 2)}
        for theirs, ours in found.values():
            np.testing.assert_allclose(theirs, ours, atol=1e-4 * np.abs(ours).max())
        self.assertGreater(len(np.unique(found[1][0].round(4), axis=0)), 1)
        self.assertGreater(np.abs(found[1][0] - found[2][0]).max(), 1e-3)

    def test_layers_of_any_network(self):
        """torch.onnx.export of a network that is none of ours. Schedules that find the best spins
        make its answer that of PyTorch, whose solver has other random numbers."""
        try:
            import torch
            from qama.torch import QAMAttention, Solver
        except ImportError:
            self.skipTest("python3-torch is not installed")

        class Network(torch.nn.Module):
            def __init__(self, **kind):
                super().__init__()
                self.first, self.last = torch.nn.Linear(10, 32), torch.nn.Linear(32, 3)
                self.layers = torch.nn.ModuleList(
                    QAMAttention(32, 4, 8, solver=Solver(sweeps=60, restarts=16), **kind)
                    for _ in range(2))
                self.layers[1].number = 1

            def forward(self, x, index):
                x = torch.relu(self.first(x))
                for layer in self.layers:
                    layer.index = index
                    x = x + layer(x)
                return self.last(x.mean(1))

        torch.manual_seed(1)
        x, index = torch.randn(5, 7, 10), torch.tensor([3])
        for kind in ({}, {"normalisation": "instance", "energy_norm": "layer"},
                     {"kind": "qama_bilinear", "normalisation": "none", "energy_norm": "none"}):
            with self.subTest(**kind), tempfile.TemporaryDirectory() as folder:
                network, path = Network(**kind).eval(), Path(folder, "network.onnx")
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    torch.onnx.export(network, (x, index), str(path), custom_opsets={"qama": 1},
                                      input_names=["x", "index"], output_names=["y"],
                                      opset_version=16, dynamic_axes={"x": {0: "batch"}})
                session = self.ort.session(path, OPERATORS)
                theirs = session.run({"y": (5, 3)}, x=x.numpy(), index=index.numpy())["y"]
                with torch.no_grad():
                    ours = network(x, index).numpy()
                np.testing.assert_allclose(theirs, ours, atol=1e-5)

    def test_what_does_not_fit_is_said(self):
        model = ROOT / "tests/golden/small/qama_bilinear-image.model.safetensors"

        def refusal(path):
            with self.assertRaises(engine.EngineError) as caught:
                self.ort.session(path, OPERATORS)
            return str(caught.exception)

        with tempfile.TemporaryDirectory() as folder:
            path, _ = exported(model, folder)
            raw = path.read_bytes()
            path.write_bytes(raw.replace(b'"rho0"', b'"rho1"'))
            self.assertIn("MODEL_BAD_ARCHITECTURE: architecture.attention", refusal(path))
            fewer = ["none" if name == "norm_q.weight" else name for name in QAMA_TENSORS]
            with mock.patch("qama_export.onnx_model.QAMA_TENSORS", fewer):
                path, _ = exported(model, folder)
            self.assertIn("MODEL_MISSING_TENSOR: input 15 'norm_q.weight'", refusal(path))
        # Without the operator the engine knows no such node.
        with tempfile.TemporaryDirectory() as folder:
            path, _ = exported(model, folder)
            with self.assertRaisesRegex(engine.EngineError, "QamaAttention"):
                self.ort.session(path)
            session = self.ort.session(path, OPERATORS)
            image = tensor_file.read(str(model).replace(".model.", ".golden."))[0]["input"][:1]
            image[0, 0, 0, 0] = np.nan
            with self.assertRaisesRegex(engine.EngineError, "PROBLEM_BAD_VALUE"):
                session.run({"logits": (1, 4)}, image=image)


def compare(model, images, count):
    ort = engine.Engine(engine.library())
    inputs = normalised(pixels(images)[:count], model)
    theirs, ours = both(ort, model, inputs)
    differ = np.flatnonzero(theirs.argmax(1) != ours.argmax(1))
    apart = np.abs(theirs - ours).max(1) / np.abs(ours).max()
    print(f"{Path(model).name}: ONNX Runtime {ort.version}, {len(inputs)} images, labels equal "
          f"{len(inputs) - len(differ)}, logits within 1e-4 {np.sum(apart < 1e-4)}, "
          f"largest difference {apart.max():.2g}")
    for each in differ:
        print(f"  image {each}: {np.sort(ours[each])[-2:]}, {np.sort(theirs[each])[-2:]} there")
    return len(differ) > 0


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(compare(sys.argv[1], sys.argv[2], int(sys.argv[3]) if sys.argv[3:] else None))
    suite = unittest.TestLoader().loadTestsFromTestCase(Exported)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    for test, reason in result.skipped:
        print(f"SKIPPED: {test}: {reason}")
    sys.exit(0 if result.wasSuccessful() and not result.skipped else
             77 if result.wasSuccessful() else 1)
