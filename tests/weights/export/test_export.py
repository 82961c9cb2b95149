"""Model files, goldens and their container: written exactly as agreed, read back to the same
model."""
import hashlib
import json
import struct
import tempfile
import unittest
from pathlib import Path

import numpy as np
import reference
import torch
from qama_export import datasets, export, tensor_file
from qama_export.models import build

LABELS = ["a", "b", "c"]


def trained(record):
    """A model whose every number differs from its initial value, running statistics included."""
    torch.manual_seed(5)
    model = build(record).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
            elif name.endswith("running_mean"):
                buffer.normal_()
    return model


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class Container(Folder):
    def test_tensors_are_aligned_without_gaps_and_checked(self):
        path = self.folder / "x.safetensors"
        tensors = {"one": np.arange(5, dtype=np.uint8), "two": np.ones((3, 2), np.float32),
                   "three": np.arange(4, dtype=np.int32)}
        digest = tensor_file.write(path, tensors, {"format": "qama"})
        raw = path.read_bytes()
        length = struct.unpack("<Q", raw[:8])[0]
        self.assertEqual((8 + length) % 64, 0)
        header = json.loads(raw[8:8 + length])
        self.assertEqual(header["__metadata__"]["format_version"], "2")
        self.assertEqual(digest, header["__metadata__"]["sha256"])
        self.assertEqual(raw.count(digest.encode()), 1)
        blank = raw.replace(digest.encode(), b"0" * 64)
        self.assertEqual(digest, hashlib.sha256(blank).hexdigest())
        entries = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
        self.assertEqual([name for name, _ in entries], ["one", "__pad.0", "two", "__pad.1",
                                                         "three"])
        end = 0
        for name, entry in entries:
            self.assertEqual(entry["data_offsets"][0], end)
            end = entry["data_offsets"][1]
            if not name.startswith("__pad."):
                self.assertEqual(entry["data_offsets"][0] % 64, 0)
        self.assertEqual(8 + length + end, len(raw))
        read, _ = tensor_file.read(path)
        for name, value in tensors.items():
            np.testing.assert_array_equal(read[name], value)

    def test_a_flipped_byte_is_noticed(self):
        path = self.folder / "x.safetensors"
        tensor_file.write(path, {"one": np.arange(100, dtype=np.uint8)}, {"producer": "Karl"})
        good = path.read_bytes()
        for at in (-3, good.index(b"Karl"), good.index(b"one")):
            raw = bytearray(good)
            raw[at] ^= 1
            path.write_bytes(raw)
            with self.assertRaisesRegex(ValueError, "sha256"):
                tensor_file.read(path)

    def test_a_file_of_version_1_is_read_and_becomes_version_2(self):
        path, again = self.folder / "x.safetensors", self.folder / "y.safetensors"
        old = Path(__file__).parents[1] / "corpus" / "qama-vit-v1.OK.safetensors"
        tensors, metadata = tensor_file.read(old)
        self.assertEqual(metadata["format_version"], "1")
        digest = tensor_file.write(path, tensors, metadata)
        self.assertNotEqual(digest, metadata["sha256"])
        read, new = tensor_file.read(path)
        self.assertEqual(new, {**metadata, "format_version": "2", "sha256": digest})
        for name, value in tensors.items():
            np.testing.assert_array_equal(read[name], value)
        self.assertEqual(tensor_file.write(again, read, new), digest)
        raw = bytearray(old.read_bytes())
        raw[-3] ^= 1
        path.write_bytes(raw)
        with self.assertRaisesRegex(ValueError, "sha256"):
            tensor_file.read(path)

    def test_another_version_is_refused(self):
        path = self.folder / "x.safetensors"
        tensor_file.write(path, {"one": np.arange(100, dtype=np.uint8)}, {})
        path.write_bytes(path.read_bytes().replace(b'"format_version":"2"',
                                                   b'"format_version":"3"'))
        with self.assertRaisesRegex(ValueError, "format_version '3', expected '2' or '1'"):
            tensor_file.read(path)

    def test_a_file_that_is_no_model_is_named(self):
        path = self.folder / "x.safetensors"

        def header(text):
            return struct.pack("<Q", len(text)) + text
        golden = self.folder / "golden.safetensors"
        tensor_file.write(golden, {"input": np.zeros((1, 2), np.float32)},
                          {"format": "qama-golden"})
        for raw, sentence in (
                (bytes(100), "a header that is no JSON"), (header(b"[]"), "no JSON object"),
                (header(b"{}"), "without '__metadata__'"),
                (golden.read_bytes(), "format 'qama-golden', expected 'qama'")):
            path.write_bytes(raw)
            for use in (export.import_model,
                        lambda p: export.write_half(p, self.folder / "y", "f16"),
                        lambda p: export.write_int8(p, self.folder / "y")):
                with self.assertRaisesRegex(ValueError, f"x.safetensors: .*{sentence}"):
                    use(path)

    def test_an_unknown_type_is_refused(self):
        with self.assertRaisesRegex(ValueError, "float64"):
            tensor_file.write(self.folder / "x", {"one": np.zeros(3)}, {})

    def test_half_precision_rounds_to_nearest_and_comes_back_as_float(self):
        values = np.array([[1.0, -2.5, 1e-7, 0.0], [65504.0, 0.1, 1 + 2 ** -11, 3e-5]], np.float32)
        for storage, kind in (("F16", torch.float16), ("BF16", torch.bfloat16)):
            path = self.folder / storage
            tensor_file.write(path, {"m": values, "v": values[0]}, {}, {"m": storage})
            read, _ = tensor_file.read(path)
            self.assertEqual(read["m"].dtype, np.float32)
            np.testing.assert_array_equal(read["m"],
                                          torch.from_numpy(values).to(kind).float().numpy())
            np.testing.assert_array_equal(read["v"], values[0])
            self.assertEqual(tensor_file.half_storage(path), {"m": storage})
            self.assertEqual(tensor_file.read_raw(path)[0]["m"]["dtype"], storage)

    def test_what_does_not_fit_half_precision_is_refused(self):
        with self.assertRaisesRegex(ValueError, "70000.0 does not fit F16"):
            tensor_file.write(self.folder / "x", {"m": np.full((2, 2), 7e4, np.float32)}, {},
                              {"m": "F16"})
        with self.assertRaisesRegex(ValueError, "uint8 as F16"):
            tensor_file.write(self.folder / "x", {"m": np.zeros(2, np.uint8)}, {}, {"m": "F16"})

    def test_int8_rounds_a_row_by_its_largest_and_comes_back_as_float(self):
        rows = np.array([[-127, 2.5, 3.5, -0.5], [0, 0, 0, 0], [1.27, 0.004, -0.62, 0.3],
                         [1e-44, -1.9e-44, 0, 1.9e-44]], np.float32)
        values, scales = tensor_file.quantised(rows)
        np.testing.assert_array_equal(values[0], [-127, 2, 4, 0])
        np.testing.assert_array_equal(values[1], 0)
        self.assertEqual((scales[0], scales[1]), (1, 0))
        self.assertEqual((values[2, 0], np.abs(values.astype(int)).max()), (127, 127))
        path = self.folder / "x"
        tensor_file.write(path, {"m.weight": values, "m.scale": scales}, {})
        read, _ = tensor_file.read(path)
        self.assertEqual(set(read), {"m.weight"})
        np.testing.assert_array_equal(read["m.weight"], values * scales[:, None])
        kept, _ = tensor_file.read(path, keep_int8=True)
        np.testing.assert_array_equal(kept["m.weight"], values)
        np.testing.assert_array_equal(kept["m.scale"], scales)
        again, near = tensor_file.quantised(read["m.weight"][:3])
        np.testing.assert_array_equal(again, values[:3])
        np.testing.assert_allclose(near, scales[:3], rtol=1e-6)


class Models(Folder):
    def test_files_with_products_in_half_precision_say_so(self):
        export.export_model(trained(reference.vit_record()), self.folder / "m", {"kind": "any"},
                            LABELS)
        full, metadata = tensor_file.read(self.folder / "m")
        self.assertNotIn("half_products", metadata["architecture"])
        for dtype, step in (("bf16", 2.0 ** -8), ("f16", 2.0 ** -11)):
            export.write_products(self.folder / "m", self.folder / dtype, dtype)
            small, metadata = tensor_file.read(self.folder / dtype)
            self.assertIs(json.loads(metadata["architecture"])["half_products"], True)
            storage = tensor_file.half_storage(self.folder / dtype)
            self.assertEqual(set(storage.values()), {dtype.upper()})
            self.assertLessEqual({"position", "head.weight", "patch.linear.weight",
                                  "blocks.0.attn.qkv.weight", "blocks.0.mlp.fc2.weight"},
                                 set(storage))
            self.assertNotIn("blocks.0.attn.w_eps", storage)
            for name, value in full.items():
                if name in storage:
                    np.testing.assert_allclose(small[name], value, step, 1e-7)
                else:
                    np.testing.assert_array_equal(small[name], value)
        export.write_int8(self.folder / "f16", self.folder / "i")
        self.assertNotIn("half_products", tensor_file.read(self.folder / "i")[1]["architecture"])

    def test_int8_files_hold_layers_and_tables_in_int8_and_the_rest_as_it_was(self):
        model = trained(reference.vit_record())
        export.export_model(model, self.folder / "m", {"kind": "any"}, LABELS)
        export.write_int8(self.folder / "m", self.folder / "i")
        full, small = (tensor_file.read(self.folder / name)[0] for name in "mi")
        self.assertEqual(set(full), set(small))
        kept, _ = tensor_file.read(self.folder / "i", keep_int8=True)
        stored = {name for name, value in kept.items() if value.dtype == np.int8}
        self.assertLessEqual({"position", "head.weight", "patch.linear.weight",
                              "blocks.0.attn.qkv.weight", "blocks.0.mlp.fc2.weight"}, stored)
        self.assertNotIn("blocks.0.attn.w_eps", stored)
        for name, value in full.items():
            if name in stored:
                step = kept[tensor_file.scales_of(name)][:, None]
                self.assertLessEqual((np.abs(small[name] - value) / step).max(), 0.501)
            else:
                np.testing.assert_array_equal(small[name], value)
        self.assertLess((self.folder / "i").stat().st_size, (self.folder / "m").stat().st_size)
        # Another schedule keeps every byte of the tensors; a model of half precision may be made
        # smaller, too.
        export.write_schedule(self.folder / "i", self.folder / "s", sweeps=3)
        again, _ = tensor_file.read(self.folder / "s", keep_int8=True)
        self.assertEqual({name: value.tobytes() for name, value in again.items()},
                         {name: value.tobytes() for name, value in kept.items()})
        export.write_half(self.folder / "m", self.folder / "h", "f16")
        export.write_int8(self.folder / "h", self.folder / "j")
        self.assertEqual({name for name, value in
                          tensor_file.read(self.folder / "j", keep_int8=True)[0].items()
                          if value.dtype == np.int8}, stored)
        import_back, _, _ = export.import_model(self.folder / "i")
        np.testing.assert_array_equal(import_back.state_dict()["head.weight"].numpy(),
                                      small["head.weight"])

    def test_half_files_hold_matrices_in_half_and_the_rest_as_it_was(self):
        model = trained(reference.vit_record())
        export.export_model(model, self.folder / "m", {"kind": "any"}, LABELS)
        export.write_half(self.folder / "m", self.folder / "h", "bf16")
        full, half = tensor_file.read(self.folder / "m")[0], tensor_file.read(self.folder / "h")[0]
        stored = tensor_file.half_storage(self.folder / "h")
        self.assertEqual(set(stored), {name for name, value in full.items() if value.ndim > 1})
        for name, value in full.items():
            bound = np.abs(value).max() * 2 ** -8 if name in stored else 0
            np.testing.assert_allclose(half[name], value, rtol=0, atol=bound)
        self.assertLess((self.folder / "h").stat().st_size, (self.folder / "m").stat().st_size)
        export.write_schedule(self.folder / "h", self.folder / "s", sweeps=3)
        self.assertEqual(tensor_file.half_storage(self.folder / "s"), stored)

    def test_keys_of_pictures_come_and_go(self):
        model = trained(reference.vit_record())
        record = datasets.preprocess_record("mnist")
        self.assertEqual((record["fit"], record["background"]), ("content", "dark"))
        export.export_model(model, self.folder / "m", record, LABELS)
        export.write_pictures(self.folder / "m", self.folder / "p", fit="pad", margin=None,
                              centre=None)

        def metadata(name):
            return tensor_file.read(self.folder / name)[1]

        written = json.loads(metadata("p")["preprocess"])
        self.assertEqual(written, {**datasets.preprocess_record("cifar10"), "mean": record["mean"],
                                   "std": record["std"], "fit": "pad", "background": "dark"})
        before, after = (tensor_file.read_raw(self.folder / name)[1] for name in "mp")
        self.assertEqual(before, after)
        export.export_model(model, self.folder / "t", {"kind": "text"}, LABELS)
        with self.assertRaisesRegex(ValueError, "expected an image model"):
            export.write_pictures(self.folder / "t", self.folder / "p", fit="pad")

    def test_schedules_have_rounds_and_blocks_of_their_own(self):
        model = trained(reference.vit_record())
        export.export_model(model, self.folder / "m", {"kind": "any"}, LABELS)

        def anneal(name):
            architecture = tensor_file.read(self.folder / name)[1]["architecture"]
            return json.loads(architecture)["attention"]["anneal"]

        block = {"sweeps": 2, "restarts": 4, "t_start": 1.2, "t_end": 0.1, "start": "random"}
        export.write_schedule(self.folder / "m", self.folder / "l", layers=[block, block], rounds=9,
                              round_sweeps=5,
                              t_round=1.0, start="mixed")
        self.assertEqual(anneal("l")["layers"], [block, block])
        self.assertEqual(anneal("l")["rounds"], 9)
        # One solver serves all blocks of the Python model: it takes the schedule that stands for
        # them all.
        architecture = tensor_file.read(self.folder / "l")[1]["architecture"]
        solver = export.anneal_solver(json.loads(architecture))
        self.assertEqual((solver.options.rounds, solver.options.round_sweeps, solver.options.start),
                         (9, 5, 2))
        export.write_schedule(self.folder / "l", self.folder / "n", sweeps=3)
        self.assertNotIn("layers", anneal("n"))

    def records(self):
        for normalisation in ("none", "instance", "batch"):
            for energy_norm in ("none", "layer", "batch"):
                attention = reference.qama_attention(normalisation, energy_norm)
                yield reference.vit_record(attention=attention)
        yield reference.vit_record(attention={"kind": "softmax"}, token_pool=[2, 4])
        yield reference.text_record()
        yield reference.text_record(attention={"kind": "softmax"})

    def inputs(self, record):
        if record["kind"] == "text_transformer":
            tokens = torch.tensor([[2, 3, 4, 5, 6, 0, 0, 0, 0, 0],
                                   [7, 8, 2, 3, 4, 5, 9, 10, 11, 1]])
            return (tokens.int(), torch.tensor([5, 10], dtype=torch.int32))
        return (torch.randn(2, 1, 8, 8),)

    def test_a_model_file_gives_the_same_logits_for_the_same_spins(self):
        for record in self.records():
            with self.subTest(kind=record["kind"], attention=record["attention"]):
                model, path = trained(record), self.folder / "m.safetensors"
                text = record["kind"] == "text_transformer"
                words = [f"w{number}" for number in range(12)] if text else None
                export.export_model(model, path, {"kind": "any"}, LABELS, {"epochs": 1}, words)
                loaded, metadata, vocabulary = export.import_model(path)
                self.assertEqual(metadata["architecture"], record)
                self.assertEqual(metadata["labels"], LABELS)
                self.assertEqual(vocabulary, words)
                inputs = self.inputs(record)
                tokens = 10 if text else 16
                spins = [(torch.rand(2, record["heads"], tokens) < 0.5) for _ in range(2)]
                if text:
                    spins = [s & (torch.arange(10) < inputs[1][:, None])[:, None] for s in spins]
                with torch.no_grad():
                    torch.testing.assert_close(loaded(*inputs, spins=spins),
                                               model(*inputs, spins=spins),
                                               rtol=1e-5, atol=1e-5)

    def test_tensor_names_and_shapes_are_the_agreed_ones(self):
        tensors = export.model_tensors(trained(reference.vit_record()))
        expected = {"patch.norm1.weight": (4,), "patch.norm1.bias": (4,),
                    "patch.linear.weight": (16, 4),
                    "patch.linear.bias": (16,), "patch.norm2.weight": (16,),
                    "patch.norm2.bias": (16,),
                    "position": (16, 16), "norm.weight": (16,), "norm.bias": (16,),
                    "head.weight": (3, 16),
                    "head.bias": (3,)}
        for block in range(2):
            for name, shape in {"attn.norm.weight": (16,), "attn.norm.bias": (16,),
                                "attn.qkv.weight": (24, 16), "attn.out.weight": (16, 8),
                                "attn.w_eps": (1, 4), "attn.coupling.scale": (2,),
                                "attn.coupling.shift": (2,), "attn.field.scale": (2,),
                                "attn.field.shift": (2,), "attn.energy.scale": (2,),
                                "attn.energy.shift": (2,), "mlp.norm.weight": (16,),
                                "mlp.norm.bias": (16,),
                                "mlp.fc1.weight": (24, 16), "mlp.fc1.bias": (24,),
                                "mlp.fc2.weight": (16, 24), "mlp.fc2.bias": (16,)}.items():
                expected[f"blocks.{block}.{name}"] = shape
        self.assertEqual({name: value.shape for name, value in tensors.items()}, expected)
        text = export.model_tensors(trained(reference.text_record()), ["x"] * 12)
        self.assertEqual({name: text[name].shape for name in ("embed.weight", "embed.proj.weight",
                                                              "embed.proj.bias", "position",
                                                              "vocabulary")},
                         {"embed.weight": (12, 6), "embed.proj.weight": (8, 6),
                          "embed.proj.bias": (8,), "position": (10, 8), "vocabulary": (23,)})

    def test_a_golden_holds_every_intermediate_and_the_spins_explain_it(self):
        record = reference.vit_record()
        model, path = trained(record), self.folder / "g.safetensors"

        class Checkerboard:
            def solve(self, couplings, field, penalty, count=None):
                return (torch.arange(field.numel()) % 2).view(field.shape).to(torch.uint8)

        model.set_solver(Checkerboard())
        inputs = self.inputs(record)
        export.write_golden(model, path, "abc", inputs, [0, 2])
        tensors, metadata = tensor_file.read(path)
        self.assertEqual(metadata["format"], "qama-golden")
        self.assertEqual(metadata["model_sha256"], "abc")
        shapes = {"input": (2, 1, 8, 8), "labels": (2,), "embed": (2, 16, 16), "norm": (2, 16, 16),
                  "pooled": (2, 16), "logits": (2, 3)}
        for block in range(2):
            shapes.update({f"block.{block}.attn_norm": (2, 16, 16),
                           f"block.{block}.spins": (2, 2, 16),
                           f"block.{block}.energies": (2, 2, 16),
                           f"block.{block}.attn_out": (2, 16, 16),
                           f"block.{block}.out": (2, 16, 16)})
        self.assertEqual({name: value.shape for name, value in tensors.items()}, shapes)
        self.assertEqual(tensors["block.0.spins"].dtype, np.uint8)
        spins = [torch.from_numpy(tensors[f"block.{block}.spins"]) for block in range(2)]
        with torch.no_grad():
            again = model(torch.from_numpy(tensors["input"]), spins=spins)
        np.testing.assert_allclose(again.numpy(), tensors["logits"], rtol=1e-6, atol=1e-6)


if __name__ == "__main__":
    unittest.main()
