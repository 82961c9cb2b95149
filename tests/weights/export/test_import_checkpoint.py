"""The importer of checkpoints against implementations of its own: vit-pytorch's SimpleViT
(vit_package.py) and the models of the authors' published code (published.py)."""
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
import published
import scripts
import torch
import vit_package
from qama_export import export, import_checkpoint, tensor_file


def package_model():
    torch.manual_seed(6)
    model = vit_package.SimpleViT(8, 16, patch=4, classes=5, dim=24, depth=2, heads=3, hidden=40,
                                  dim_head=6)
    return shaken(model)


def shaken(model):
    """The model with numbers that are not those of a fresh one."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def changed(state, change):
    """A state_dict with other tensors; None: without one."""
    state = {name: value for name, value in state.items() if change.get(name, value) is not None}
    state.update((name, value) for name, value in change.items() if value is not None)
    return state


class PublishedTexts(unittest.TestCase):
    """Their text models, on features of a language model."""

    @staticmethod
    def model(attention, width=13, dim=24, heads=3):
        torch.manual_seed(6)
        return shaken(published.TextModel(width, classes=2, dim=dim, heads=heads, depth=2,
                                          hidden=40, attention=attention))

    def test_it_computes_what_their_code_computes(self):
        for attention, heads in (("qama", None), ("softmax", 3)):
            theirs = self.model(attention).double()
            ours = import_checkpoint.import_state(theirs.state_dict(), heads=heads,
                                                  tokens=10).double()
            self.assertEqual(ours.record["features"], {"tokens": 10, "width": 13})
            features = torch.randn(2, 10, 13, dtype=torch.float64)
            spins = [torch.randint(0, 2, (2, 3, 10), dtype=torch.uint8) for _ in range(2)]
            with torch.no_grad():
                torch.testing.assert_close(ours(features, spins=spins), theirs(features, spins),
                                           rtol=1e-6, atol=1e-6)

    def test_what_is_missing_or_wrong_is_one_sentence(self):
        layer = "transformer.layers.1.0."
        for change, sentence in (
                ({"down_embedding.weight": None}, "'down_embedding.weight' missing, .* text model"),
                ({"down_embedding.bias": None}, "'down_embedding.bias' missing"),
                ({"down_embedding.weight": torch.zeros(24)}, "has shape .24., expected a matrix"),
                ({"cls_head.0.weight": None}, "'cls_head.0.weight' missing"),
                ({"cls_head.0.bias": torch.zeros(3)}, "'cls_head.0.bias' has shape .3., expected "
                 ".2."),
                ({"transformer.norm.bias": None}, "'transformer.norm.bias' missing"),
                ({"transformer.layers.0.1.net.1.weight": None}, "'transformer.layers.0.1.net.1.wei"
                 "ght' missing"),
                ({layer + "norm_k.weight": None}, f"'{layer}norm_k.weight' missing"),
                ({layer + "E2V": None}, f"'{layer}E2V' missing"),
                ({layer + "E2V": torch.zeros(7, 1)}, f"'{layer}E2V' has shape .1, 7., expected "
                 ".1, 8."),
                ({f"{layer}{part}.weight": torch.zeros(7, 7) for part in ("Wq", "Wk", "Wv")},
                 f"'{layer}Wq.weight' has shape"),
                ({layer + "E2V": torch.full((8, 1), float("nan"))}, "'.*E2V' is empty or holds"),
                ({layer + "E2V": torch.zeros(0, 1)}, "'.*E2V' is empty or holds"),
                # One vector a head is another operator, and no vector of one wide head.
                ({layer + "E2V": torch.zeros(3, 8)}, "'.*E2V' has shape .3, 8., expected one vec"),
                ({"cls_head.0.weight": torch.full((2, 24), 1e39, dtype=torch.double)},
                 "'cls_head.0.weight' is empty or holds a number that is not finite"),
                ({"cls_head.0.weight": torch.zeros(2, 24, dtype=torch.cfloat)},
                 "'cls_head.0.weight' has complex numbers"),
                ({"linear_head.weight": torch.zeros(2, 24)}, "'linear_head.weight', which the "
                 "authors' text model has not"),
                ({"pos_embedding": torch.zeros(2, 24)}, "'pos_embedding', which")):
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                import_checkpoint.import_state(changed(self.model("qama").state_dict(), change),
                                               tokens=10)
        state = self.model("softmax").state_dict()
        for tokens, sentence in ((None, "give --tokens, 512"), (0, "expected 1 or more")):
            with self.assertRaisesRegex(ValueError, sentence):
                import_checkpoint.import_state(state, tokens=tokens)
        with self.assertRaisesRegex(ValueError, "24 wide, which does not say how many heads"):
            import_checkpoint.import_state(state, tokens=10)

    def run_script(self, folder, *arguments):
        status, text = scripts.call(import_checkpoint, folder, arguments)
        return (status or 0), text

    def test_own_samples_find_the_heads(self):
        theirs = self.model("softmax")
        features = torch.randn(3, 10, 13)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            torch.save(theirs.state_dict(), folder / "text.pt")
            with torch.no_grad():
                torch.save({"input": features, "logits": theirs(features)}, folder / "samples.pt")
            out = ("text.pt", "--tokens", 10, "--samples", "samples.pt", "--out", "m.safetensors")
            status, text = self.run_script(folder, *out, "--golden", "g.safetensors")
            self.assertEqual(status, 0, text)
            model, metadata, _ = export.import_model(folder / "m.safetensors")
            self.assertEqual(model.record["heads"], 3)
            self.assertEqual(metadata["preprocess"], {"kind": "features"})
            golden, _ = tensor_file.read(folder / "g.safetensors")
            np.testing.assert_array_equal(golden["input"], features.numpy())
            for sentence, arguments in {
                    "inputs of .10, 13., expected .11, 13.: tokens, width": (*out[:2], 11,
                                                                             *out[3:]),
                    "give --tokens": ("text.pt", "--heads", 3, "--out", "m"),
                    "--image-size is for another kind of model": (*out, "--image-size", 8),
                    "--mean is for another kind of model": (*out, "--mean", 0.5)}.items():
                with self.subTest(sentence):
                    status, text = self.run_script(folder, *arguments)
                    self.assertNotEqual(status, 0)
                    self.assertRegex(text, sentence)

    @unittest.skipUnless(os.environ.get("QAMA_PROGRAM"), "the program qama is not built")
    def test_the_program_computes_the_same(self):
        """The paper's size, 512 tokens of 768 numbers, where a layer of one head is solved on
        factors; and sizes that are solved as a matrix."""
        for attention, tokens, width, heads, factors in (
                ("qama", 512, 768, 1, True), ("qama", 24, 40, 4, False),
                ("softmax", 512, 768, 1, None)):
            with self.subTest(attention=attention, tokens=tokens), \
                    tempfile.TemporaryDirectory() as name:
                self.check_program(Path(name), attention, tokens, width, heads, factors)

    def check_program(self, folder, attention, tokens, width, heads, factors):
        dim = 64
        theirs = self.model(attention, width=width, dim=dim, heads=heads)
        torch.save(theirs.state_dict(), folder / "text.pt")
        status, text = self.run_script(folder, "text.pt", "--tokens", tokens, "--heads", heads,
                                       "--labels", "negative", "positive", "--out",
                                       "m.safetensors", "--golden", "g.safetensors")
        self.assertEqual(status, 0, text)
        # In place of the exporter's logits, those of their class with the golden's spins.
        golden, metadata = tensor_file.read(folder / "g.safetensors")
        spins = [torch.from_numpy(golden[f"block.{block}.spins"].copy()) if attention == "qama"
                 else None for block in range(2)]
        features = torch.from_numpy(golden["input"].copy())
        with torch.no_grad():
            logits = theirs.double()(features.double(), spins)
        golden["logits"] = logits.float().numpy()
        golden["labels"] = logits.argmax(1).int().numpy()
        tensor_file.write(folder / "g.safetensors", golden, metadata)
        report = self.program(folder, "verify", "m.safetensors", "g.safetensors")
        self.assertLessEqual(report["logits_max_abs"], 1e-4)
        self.assertEqual(report["argmax_agreement"], 1)
        if attention == "qama":
            self.assertEqual(report["own_spins"]["argmax_agreement"], 1)
        # The same samples as NumPy's files, one by one and by a labelled table.
        np.save(folder / "all.npy", features.numpy())
        np.save(folder / "one.npy", features[1].numpy())
        labels = ["negative", "positive"]
        for file in ("all.npy:1", "one.npy"):
            found = self.program(folder, "classify", "-m", "m.safetensors", file)
            self.assertEqual(found["label"], labels[logits[1].argmax()])
            if attention == "qama":
                self.assertEqual("factors" in found["solved_by"], factors, found["solved_by"])
        rows = [f"all.npy:{index},{labels[row.argmax()]}" for index, row in enumerate(logits)]
        (folder / "all.csv").write_text("\n".join(["file,label", *rows]) + "\n")
        found = self.program(folder, "eval", "-m", "m.safetensors", "--data", "all.csv")
        self.assertEqual((found["n"], found["accuracy"]), (2, 1))

    def program(self, folder, *arguments):
        result = subprocess.run([os.environ["QAMA_PROGRAM"], *map(str, arguments), "--json"],
                                cwd=folder, capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)


class Published(unittest.TestCase):
    """Image models of the authors' published code, whose blocks have other attention."""

    @staticmethod
    def model(attention):
        torch.manual_seed(6)
        model = published.ImageModel(8, 16, patch=4, channels=3, classes=5, dim=24, heads=3,
                                     depth=2, hidden=40, attention=attention)
        return shaken(model).double()

    def test_it_computes_what_their_code_computes(self):
        for attention, heads in (("qama", None), ("softmax", 3)):
            theirs = self.model(attention)
            ours = import_checkpoint.import_state(theirs.state_dict(), (8, 16),
                                                  heads=heads).double()
            self.assertEqual((ours.record["heads"], ours.record["dim_head"]), (3, 8))
            images = torch.randn(2, 3, 8, 16, dtype=torch.float64)
            spins = [torch.randint(0, 2, (2, 3, 8), dtype=torch.uint8) for _ in range(2)]
            with torch.no_grad():
                torch.testing.assert_close(ours(images, spins=spins), theirs(images, spins),
                                           rtol=1e-6, atol=1e-6)

    def test_what_is_missing_or_wrong_is_one_sentence(self):
        layer = "transformer.layers.1.0."
        for change, sentence in (
                ({layer + "norm_k.weight": None}, f"'{layer}norm_k.weight' missing"),
                ({layer + "Wv.weight": None}, "Wq', 'Wk' and 'Wv': expected three square"),
                ({layer + "Wv.weight": torch.zeros(24, 23)}, "expected three square"),
                ({layer + "E2V": torch.zeros(7, 1)}, f"'{layer}E2V' has shape"),
                ({layer.replace("1", "0") + "E2V": torch.zeros(7, 1)},
                 "layers.0.0.E2V' has 7 numbers, as wide as a head, expected a divisor of 24"),
                ({layer + "E3V": torch.zeros(8)}, "'transformer.layers.1.0.E3V', which"),
                ({"linear_head.weight": None}, "'linear_head.weight' missing")):
            with self.assertRaisesRegex(ValueError, sentence):
                import_checkpoint.import_state(changed(self.model("qama").state_dict(), change),
                                               (8, 16))
        with self.assertRaisesRegex(ValueError, "3 heads of 8: expected no other --heads"):
            import_checkpoint.import_state(self.model("qama").state_dict(), (8, 16), heads=4)
        with self.assertRaisesRegex(ValueError, "expected no --samples"):
            import_checkpoint.import_checked(self.model("qama").state_dict(), None, (8, 16))


class Import(unittest.TestCase):
    def test_it_computes_what_the_package_computes(self):
        model = package_model()
        ours = import_checkpoint.import_state(model.state_dict(), (8, 16), dim_head=6)
        self.assertEqual(ours.record["heads"], 3)
        self.assertEqual(ours.record["patch"], 4)
        images = torch.randn(3, 3, 8, 16)
        with torch.no_grad():
            torch.testing.assert_close(ours(images), model(images), rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(ours.double()(images.double()),
                                       model.double()(images.double()),
                                       rtol=1e-6, atol=1e-6)

    def test_a_checkpoint_becomes_a_model_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "checkpoint.pt"
            state = {f"module.{name}": value
                     for name, value in package_model().state_dict().items()}
            torch.save({"model": state, "epoch": 3}, path)
            found = import_checkpoint.import_state(import_checkpoint.read_checkpoint(path),
                                                   (8, 16), dim_head=6)
            preprocess = {"kind": "image", "mean": [0.5] * 3, "std": [0.5] * 3}
            export.export_model(found, Path(folder) / "m.safetensors", preprocess, list("abcde"))
            again, _, _ = export.import_model(Path(folder) / "m.safetensors")
        images = torch.randn(2, 3, 8, 16)
        with torch.no_grad():
            torch.testing.assert_close(again(images), package_model()(images), rtol=1e-5, atol=1e-5)

    def test_what_is_no_such_model_is_refused_in_one_sentence(self):
        state = package_model().state_dict()
        cases = {"'extra'": {**state, "extra": torch.zeros(1)},
                 "'linear_head.bias'": changed(state, {"linear_head.bias": None}),
                 "'linear_head.weight'": changed(state, {"linear_head.weight": None}),
                 "1.2.2": {**state, "linear_head.1.weight": torch.zeros(5, 24)},
                 "1.0.0": {**state, "to_patch_embedding.1.weight": torch.zeros(24, 48)},
                 "'transformer.layers.1.0.to_out.weight' has shape":
                     {**state, "transformer.layers.1.0.to_out.weight": torch.zeros(24, 12)}}
        for sentence, broken in cases.items():
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                import_checkpoint.import_state(broken, (8, 16), dim_head=6)
        with self.assertRaisesRegex(ValueError, "multiples of the patch"):
            import_checkpoint.import_state(state, (9, 16), dim_head=6)
        with self.assertRaisesRegex(ValueError, "--dim-head, 5"):
            import_checkpoint.import_state(state, (8, 16), dim_head=5)
        with self.assertRaisesRegex(ValueError, "9 x 6"):
            import_checkpoint.import_state(state, (8, 16), dim_head=6, heads=9)

    def test_heads_are_never_guessed(self):
        state = package_model().state_dict()
        with self.assertRaisesRegex(ValueError, "18 wide, which does not say how many heads"):
            import_checkpoint.import_state(state, (8, 16))
        model = import_checkpoint.import_state(state, (8, 16), heads=3)
        self.assertEqual(model.record["dim_head"], 6)


class Script(unittest.TestCase):
    """The importer as a user calls it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        model = package_model()
        torch.save(model.state_dict(), self.folder / "vit.pt")
        self.inputs = torch.randn(3, 3, 8, 16)
        with torch.no_grad():
            self.logits = model(self.inputs)

    def run_script(self, *arguments):
        return scripts.call(import_checkpoint, self.folder, arguments)

    def check_refused(self, sentence, *arguments):
        status, text = self.run_script(*arguments)
        self.assertEqual(status, 1, text)
        self.assertEqual(text.count("\n"), 1, text)
        self.assertRegex(text, sentence)

    def test_own_samples_find_the_heads_and_become_the_golden(self):
        torch.save({"input": self.inputs, "logits": self.logits}, self.folder / "samples.pt")
        status, text = self.run_script("vit.pt", "--image-size", 8, 16, "--samples", "samples.pt",
                                       "--out", "m.safetensors", "--golden", "g.safetensors")
        self.assertEqual(status, 0, text)
        model, _, _ = export.import_model(self.folder / "m.safetensors")
        self.assertEqual(model.record["heads"], 3)
        golden, _ = tensor_file.read(self.folder / "g.safetensors")
        np.testing.assert_array_equal(golden["input"], self.inputs.numpy())
        np.testing.assert_array_equal(golden["logits"], self.logits.numpy())
        # The same as arrays of NumPy; with heads that do not fit; of another model.
        np.savez(self.folder / "samples.npz", input=self.inputs.numpy(),
                 logits=self.logits.numpy())
        self.check_refused("samples.npz: the imported model's logits differ .* with 9 heads",
                           "vit.pt", "--image-size", 8, 16, "--samples", "samples.npz", "--heads",
                           9, "--out", "x")
        torch.save({"input": self.inputs, "logits": self.logits + 1}, self.folder / "other.pt")
        self.check_refused("other.pt: the imported model's logits differ", "vit.pt",
                           "--image-size", 8, 16, "--samples", "other.pt", "--out", "x")
        self.assertFalse((self.folder / "x").exists())

    def test_every_error_is_one_sentence(self):
        (self.folder / "text.pt").write_text("no checkpoint")
        (self.folder / "cut.pt").write_bytes((self.folder / "vit.pt").read_bytes()[:500])
        torch.save(package_model(), self.folder / "whole.pt")
        torch.save([1, 2], self.folder / "list.pt")
        torch.save({"input": torch.zeros(1)}, self.folder / "half.pt")
        before = (self.folder / "vit.pt").read_bytes()
        out = ("--image-size", 8, 16, "--out", "m.safetensors")
        for sentence, arguments in {
                "missing.pt: No such file": ("missing.pt", *out),
                "text.pt: no file of torch.save": ("text.pt", *out),
                "cut.pt: no file of torch.save": ("cut.pt", *out),
                "whole.pt: no file of torch.save": ("whole.pt", *out),
                "list.pt: no state_dict": ("list.pt", *out),
                "vit.pt: attention 18 wide, which does not say": ("vit.pt", *out),
                "multiples of the patch": ("vit.pt", *out, "--heads", 3, "--image-size", 9),
                "half.pt: expected the tensors": ("vit.pt", *out, "--samples", "half.pt"),
                "folder .*no/such does not exist": ("vit.pt", *out, "--heads", 3, "--out",
                                                    "no/such/m"),
                "--out vit.pt is the file of the checkpoint": ("vit.pt", *out, "--out", "vit.pt"),
                "--golden m is the file of --out": ("vit.pt", "--image-size", 8, "--out", "m",
                                                    "--golden", "m")}.items():
            with self.subTest(sentence):
                self.check_refused(sentence, *arguments)
        self.assertEqual((self.folder / "vit.pt").read_bytes(), before)


if __name__ == "__main__":
    unittest.main()
