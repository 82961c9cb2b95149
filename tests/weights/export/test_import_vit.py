"""The importer of vit-pytorch's SimpleViT against an implementation of its own (vit_package.py)."""
import tempfile
import unittest
from pathlib import Path

import numpy as np
import published
import scripts
import torch
import vit_package
from qama_export import export, import_vit, tensor_file


def package_model():
    torch.manual_seed(6)
    model = vit_package.SimpleViT(8, 16, patch=4, classes=5, dim=24, depth=2, heads=3, hidden=40,
                                  dim_head=6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


class Published(unittest.TestCase):
    """Models of the authors' published code, whose blocks have other attention."""

    @staticmethod
    def model(attention):
        torch.manual_seed(6)
        model = published.ImageModel(8, 16, patch=4, channels=3, classes=5, dim=24, heads=3,
                                     depth=2, hidden=40, attention=attention)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
        return model.eval().double()

    def test_it_computes_what_their_code_computes(self):
        for attention, heads in (("qama", None), ("softmax", 3)):
            theirs = self.model(attention)
            ours = import_vit.import_state(theirs.state_dict(), (8, 16), heads=heads).double()
            self.assertEqual((ours.record["heads"], ours.record["dim_head"]), (3, 8))
            images = torch.randn(2, 3, 8, 16, dtype=torch.float64)
            spins = [torch.randint(0, 2, (2, 3, 8), dtype=torch.uint8) for _ in range(2)]
            with torch.no_grad():
                torch.testing.assert_close(ours(images, spins=spins), theirs(images, spins),
                                           rtol=1e-6, atol=1e-6)

    def test_what_is_missing_or_wrong_is_one_sentence(self):
        layer = "transformer.layers.1.0."
        for change, sentence in (
                ({layer + "norm_k.weight": None}, "'blocks.1.attn.norm_k.weight' missing"),
                ({layer + "Wv.weight": None}, "Wq', 'Wk' and 'Wv': expected three square"),
                ({layer + "Wv.weight": torch.zeros(24, 23)}, "expected three square"),
                ({layer + "E2V": torch.zeros(7, 1)}, "shapes do not fit each other"),
                ({layer + "E3V": torch.zeros(8)}, "'transformer.layers.1.0.E3V', which"),
                ({"linear_head.weight": None}, "'head.weight' missing")):
            state = {name: value for name, value in self.model("qama").state_dict().items()
                     if change.get(name, value) is not None}
            state.update((name, value) for name, value in change.items() if value is not None)
            with self.assertRaisesRegex(ValueError, sentence):
                import_vit.import_state(state, (8, 16))
        with self.assertRaisesRegex(ValueError, "3 heads of 8: expected no other --heads"):
            import_vit.import_state(self.model("qama").state_dict(), (8, 16), heads=4)
        with self.assertRaisesRegex(ValueError, "expected no --samples"):
            import_vit.import_checked(self.model("qama").state_dict(), (8, 16), None)


class Import(unittest.TestCase):
    def test_it_computes_what_the_package_computes(self):
        model = package_model()
        ours = import_vit.import_state(model.state_dict(), (8, 16), dim_head=6)
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
            found = import_vit.import_state(import_vit.read_checkpoint(path), (8, 16), dim_head=6)
            preprocess = {"kind": "image", "mean": [0.5] * 3, "std": [0.5] * 3}
            export.export_model(found, Path(folder) / "m.safetensors", preprocess, list("abcde"))
            again, _, _ = export.import_model(Path(folder) / "m.safetensors")
        images = torch.randn(2, 3, 8, 16)
        with torch.no_grad():
            torch.testing.assert_close(again(images), package_model()(images), rtol=1e-5, atol=1e-5)

    def test_what_is_no_such_model_is_refused_in_one_sentence(self):
        state = package_model().state_dict()
        cases = {"'extra'": {**state, "extra": torch.zeros(1)},
                 "'linear_head.bias'": state,
                 "'linear_head.weight'": state,
                 "1.2.2": {**state, "linear_head.1.weight": torch.zeros(5, 24)},
                 "1.0.0": {**state, "to_patch_embedding.1.weight": torch.zeros(24, 48)},
                 "size mismatch": {**state,
                                   "transformer.layers.1.0.to_out.weight": torch.zeros(24, 12)}}
        for sentence, broken in cases.items():
            broken = {name: value for name, value in broken.items() if sentence != f"'{name}'"
                      or name == "extra"}
            if sentence == "'linear_head.bias'":
                sentence = "head.bias"
            elif sentence == "'linear_head.weight'":
                sentence = "head.weight"
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                import_vit.import_state(broken, (8, 16), dim_head=6)
        with self.assertRaisesRegex(ValueError, "multiples of the patch"):
            import_vit.import_state(state, (9, 16), dim_head=6)
        with self.assertRaisesRegex(ValueError, "--dim-head, 5"):
            import_vit.import_state(state, (8, 16), dim_head=5)
        with self.assertRaisesRegex(ValueError, "9 x 6"):
            import_vit.import_state(state, (8, 16), dim_head=6, heads=9)

    def test_heads_are_never_guessed(self):
        state = package_model().state_dict()
        with self.assertRaisesRegex(ValueError, "18 wide, which does not say how many heads"):
            import_vit.import_state(state, (8, 16))
        self.assertEqual(import_vit.import_state(state, (8, 16), heads=3).record["dim_head"], 6)


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
        return scripts.call(import_vit, self.folder, arguments)

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
