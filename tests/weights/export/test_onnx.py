"""Model files as ONNX: the bytes are a graph in which everything is there before it is used, and
weights are the model's. tests/runtime/onnxruntime runs such graphs."""
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
from qama_export import export, tensor_file

SMALL = Path(__file__).resolve().parents[2] / "golden" / "small"


def fields(raw):
    """[(number, value)] of a protobuf message; value: int or bytes."""
    at, found = 0, []

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = raw[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(raw):
        key = varint()
        if key & 7 == 0:
            value = varint()
        else:
            size = {2: varint, 5: lambda: 4}[key & 7]()
            value, at = raw[at:at + size], at + size
        found.append((key >> 3, value))
    return found


def all_of(message, number):
    return [value for key, value in message if key == number]


class Onnx(unittest.TestCase):
    def graph(self, name):
        """(graph's fields, model's fields) of a small model, written by the command."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "model.onnx"
            model = str(SMALL / f"{name}.model.safetensors")
            with mock.patch.object(sys, "argv", ["export", "onnx", model, "--out", str(out)]):
                export.main()
            model = fields(out.read_bytes())
        return fields(all_of(model, 7)[0]), model

    def test_everything_is_there_before_it_is_used(self):
        for name in ("encoder-qama-image", "mixed-image", "published-text-qama", "vit-pytorch"):
            with self.subTest(model=name):
                graph, _ = self.graph(name)
                known = {all_of(fields(each), 8)[0] for each in all_of(graph, 5)}
                known |= {all_of(fields(each), 1)[0] for each in all_of(graph, 11)}
                for node in map(fields, all_of(graph, 1)):
                    self.assertLessEqual(set(all_of(node, 1)) - {b""}, known)
                    self.assertTrue(known.isdisjoint(all_of(node, 2)))
                    known |= set(all_of(node, 2))
                self.assertLessEqual({all_of(fields(each), 1)[0] for each in all_of(graph, 12)},
                                     known)

    def test_weights_and_record_are_the_models(self):
        name = "encoder-qama-image"
        tensors, metadata = tensor_file.read(SMALL / f"{name}.model.safetensors")
        graph, model = self.graph(name)
        constants = {all_of(each, 8)[0].decode(): each for each in map(fields, all_of(graph, 5))}
        stored = constants["blocks.0.attn.w_eps"]
        self.assertEqual(tuple(all_of(stored, 1)), tensors["blocks.0.attn.w_eps"].shape)
        np.testing.assert_array_equal(np.frombuffer(all_of(stored, 9)[0], "<f4"),
                                      tensors["blocks.0.attn.w_eps"].ravel())
        nodes = [node for node in map(fields, all_of(graph, 1))
                 if all_of(node, 4) == [b"QamaAttention"]]
        self.assertEqual(len(nodes), json.loads(metadata["architecture"])["depth"])
        attributes = {all_of(each, 1)[0]: each for each in map(fields, all_of(nodes[0], 5))}
        self.assertEqual(all_of(attributes[b"record"], 4)[0].decode(), metadata["architecture"])
        domains = {(all_of(each, 1) or [b""])[0] for each in map(fields, all_of(model, 8))}
        self.assertEqual(domains, {b"", b"qama"})

    def test_a_model_without_a_graph_is_refused(self):
        for name in ("linformer-image", "encoder-qama-text"):
            with self.subTest(model=name), self.assertRaisesRegex(ValueError, "expected a model"):
                self.graph(name)


if __name__ == "__main__":
    unittest.main()
