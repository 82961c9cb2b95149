"""The importer of vit-pytorch's SimpleViT against an implementation of its own (vit_package.py)."""
import tempfile
import unittest
from pathlib import Path

import torch
import vit_package
from qama_export import export, import_vit


def package_model():
    torch.manual_seed(6)
    model = vit_package.SimpleViT(8, 16, patch=4, classes=5, dim=24, depth=2, heads=3, hidden=40,
                                  dim_head=6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


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
        with self.assertRaisesRegex(ValueError, "--dim-head, 64"):
            import_vit.import_state(state, (8, 16))


if __name__ == "__main__":
    unittest.main()
