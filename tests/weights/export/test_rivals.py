"""The rival attention kinds against plain loops over tokens, written from their papers'
definitions."""
import math
import tempfile
import unittest
from pathlib import Path

import reference
import torch
from qama_export import datasets, export, rivals
from qama_export.models import build

from qama import library

OPTIONS = {"longformer": {"window": 2, "global_tokens": 1},
           "bigbird": {"block": 3, "window_blocks": 1, "global_blocks": 1, "random_blocks": 1},
           "linformer": {"rank": 5}, "performer": {"features": 7},
           "reformer": {"hashes": 3, "buckets": 4, "chunk": 4}}


def layer_of(kind, **options):
    torch.manual_seed(4)
    attention = {"kind": kind, **OPTIONS[kind], **options}
    return build(reference.vit_record(attention=attention)).double().eval().blocks[0].attn


def softmax_of(pairs, width):
    """Weighted mean of the values of [(score, value)], and the logarithm of the weights' sum."""
    top = max(score for score, _ in pairs)
    total = sum(math.exp(score - top) for score, _ in pairs)
    out = [sum(math.exp(score - top) * float(value[d]) for score, value in pairs) / total
           for d in range(width)]
    return torch.tensor(out, dtype=torch.float64), top + math.log(total)


class Sparse(unittest.TestCase):
    def check(self, layer, sees):
        q, k, v = torch.randn(3, 1, 2, 16, 4, dtype=torch.float64).unbind(0)
        valid = torch.arange(16)[None] < 13
        found = layer.mix(q, k, v, valid)
        for head in range(2):
            for i in range(13):
                pairs = [(float(q[0, head, i] @ k[0, head, j]) / 2.0, v[0, head, j])
                         for j in range(13) if sees(i, j)]
                expected, _ = softmax_of(pairs, 4)
                torch.testing.assert_close(found[0, head, i], expected)

    def test_longformer_sees_its_window_and_the_global_tokens(self):
        self.check(layer_of("longformer"), lambda i, j: abs(i - j) <= 2 or i < 1 or j < 1)

    def test_bigbird_sees_window_global_and_random_blocks(self):
        layer = layer_of("bigbird")
        drawn = layer.random_blocks.tolist()
        self.assertEqual(len(drawn), 6)
        for row, chosen in enumerate(drawn):
            self.assertTrue(all(b >= 1 and abs(b - row) > 1 for b in chosen), drawn)
        self.check(layer, lambda i, j: (abs(i // 3 - j // 3) <= 1 or i < 3 or j < 3
                                        or j // 3 in drawn[i // 3]))


class Linformer(unittest.TestCase):
    def test_keys_and_values_are_projected_along_the_tokens(self):
        layer = layer_of("linformer")
        q, k, v = torch.randn(3, 1, 2, 16, 4, dtype=torch.float64).unbind(0)
        found = layer.mix(q, k, v, torch.arange(16)[None] < 13)
        for head in range(2):
            short_k = layer.proj_k[:, :13] @ k[0, head, :13]
            short_v = layer.proj_v[:, :13] @ v[0, head, :13]
            for i in range(13):
                expected, _ = softmax_of([(float(q[0, head, i] @ short_k[r]) / 2.0, short_v[r])
                                          for r in range(5)], 4)
                torch.testing.assert_close(found[0, head, i], expected)


class Performer(unittest.TestCase):
    def test_features_estimate_the_softmax_kernel(self):
        layer = layer_of("performer", features=4000)
        q, k, v = torch.randn(3, 1, 2, 16, 4, dtype=torch.float64).unbind(0)
        found = layer.mix(q, k, v, torch.ones(1, 16, dtype=torch.bool))
        exact = (q @ k.transpose(2, 3) / 2.0).softmax(-1) @ v
        self.assertLess(float((found - exact).abs().mean()), 0.05)

    def test_it_is_a_quotient_of_feature_products(self):
        layer = layer_of("performer")
        q, k, v = torch.randn(3, 1, 2, 16, 4, dtype=torch.float64).unbind(0)
        found = layer.mix(q, k, v, torch.arange(16)[None] < 13)
        scale = 4 ** -0.25
        for head in range(2):
            products = [[float(w @ k[0, head, j]) * scale for w in layer.features]
                        for j in range(13)]
            largest = max(max(row) for row in products)
            keys = [[math.exp(p - float(k[0, head, j] @ k[0, head, j]) / 4 - largest) + 1e-4
                     for p in products[j]] for j in range(13)]
            for i in range(13):
                own = [float(w @ q[0, head, i]) * scale for w in layer.features]
                query = [math.exp(p - float(q[0, head, i] @ q[0, head, i]) / 4 - max(own)) + 1e-4
                         for p in own]
                weights = [sum(a * b for a, b in zip(query, key)) for key in keys]
                expected = sum(w * v[0, head, j] for j, w in enumerate(weights)) / sum(weights)
                torch.testing.assert_close(found[0, head, i], expected)

    def test_rows_of_a_group_are_orthogonal(self):
        rows = rivals.orthogonal_rows(10, 4)
        self.assertEqual(rows.shape, (10, 4))
        gram = rows[:4] @ rows[:4].t()
        self.assertLess(float((gram - gram.diagonal().diag()).abs().max()), 1e-5)


class Reformer(unittest.TestCase):
    def check(self, tokens, count):
        layer = layer_of("reformer")
        q, v = torch.randn(2, 1, 2, tokens, 4, dtype=torch.float64).unbind(0)
        found = layer.mix(q, v, torch.arange(tokens)[None] < count)
        for head in range(2):
            rounds = []
            for rotation in layer.rotations:
                def bucket(i):
                    turned = (q[0, head, i] @ rotation).tolist()
                    values = turned + [-x for x in turned]
                    return values.index(max(values))
                order = sorted(range(count), key=lambda i: (bucket(i), i))
                chunks = [order[at:at + 4] for at in range(0, count, 4)]
                outputs = {}
                for number, chunk in enumerate(chunks):
                    seen = set(chunk) | set(chunks[number - 1])
                    for i in chunk:
                        keys = sorted(seen - {i}) or [i]
                        pairs = [(float(q[0, head, i] @ q[0, head, j] / q[0, head, j].norm()) / 2.0,
                                  v[0, head, j]) for j in keys]
                        outputs[i] = softmax_of(pairs, 4)
                rounds.append(outputs)
            for i in range(count):
                weights = torch.tensor([r[i][1] for r in rounds], dtype=torch.float64).softmax(0)
                expected = sum(w * r[i][0] for w, r in zip(weights, rounds))
                torch.testing.assert_close(found[0, head, i], expected)

    def test_tokens_see_their_chunk_and_the_one_before(self):
        for tokens, count in ((16, 16), (16, 13), (16, 6), (16, 3), (4, 1)):
            with self.subTest(tokens=tokens, count=count):
                self.check(tokens, count)


class Training(unittest.TestCase):
    def test_gradients_reach_every_parameter_and_are_finite(self):
        for kind, options in OPTIONS.items():
            with self.subTest(kind=kind):
                model = build(reference.text_record(attention={"kind": kind, **options}))
                tokens = torch.tensor([[3, 4, 5, 0, 0, 0, 0, 0, 0, 0],
                                       [3, 4, 5, 6, 7, 8, 9, 1, 1, 2]])
                model(tokens, torch.tensor([3, 10])).square().sum().backward()
                for name, parameter in model.named_parameters():
                    self.assertTrue(torch.isfinite(parameter.grad).all(), name)
                    self.assertGreater(float(parameter.grad.abs().max()), 0, name)

    def test_padding_does_not_change_the_logits(self):
        for kind, options in OPTIONS.items():
            with self.subTest(kind=kind):
                record = reference.text_record(attention={"kind": kind, **options})
                model = build(record).double().eval()
                tokens = torch.tensor([[3, 4, 5, 9, 2, 0, 0, 0, 0, 0]])
                with torch.no_grad():
                    padded, alone = model(tokens, torch.tensor([5])), model(tokens[:, :5],
                                                                            torch.tensor([5]))
                torch.testing.assert_close(padded, alone)

    def test_random_parts_are_in_the_model_file(self):
        names = {"bigbird": "random_blocks", "performer": "features", "reformer": "rotations",
                 "linformer": "proj_k"}
        for kind, name in names.items():
            model = build(reference.vit_record(attention={"kind": kind, **OPTIONS[kind]}))
            self.assertIn(f"blocks.1.attn.{name}", export.model_tensors(model))

    @unittest.skipUnless(library.find(), "libqama.so is not built")
    def test_bigbird_without_random_blocks_is_a_model_file(self):
        attention = {"kind": "bigbird", **OPTIONS["bigbird"], "random_blocks": 0}
        model = build(reference.vit_record(attention=attention))
        preprocess = {**datasets.preprocess_record("mnist"), "fit": "stretch"}
        del preprocess["margin"], preprocess["centre"]
        labels = [str(n) for n in range(model.record["classes"])]
        library.load().qama_model_close(export.opened(model, preprocess, labels))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "m.safetensors"
            export.export_model(model, path, preprocess, labels)
            images = torch.randn(2, *(model.record["image"][key]
                                      for key in ("channels", "height", "width")))
            with torch.no_grad():
                torch.testing.assert_close(export.import_model(path)[0](images),
                                           model.eval()(images))


if __name__ == "__main__":
    unittest.main()
