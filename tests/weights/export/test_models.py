"""The architectures: patch order, positions, pooling and masks against straightforward
computations."""
import unittest

import reference
import torch
from qama_export.models import build, sincos_2d

from qama.torch import small_products

SOFTMAX = {"kind": "softmax"}


class SimpleViT(unittest.TestCase):
    def test_patches_are_rows_of_pixels_with_channels_last(self):
        record = reference.vit_record(image={"height": 4, "width": 4, "channels": 3}, patch=2,
                                      attention=SOFTMAX)
        model = build(record).double().eval()
        image = torch.randn(1, 3, 4, 4).double()
        rows = []
        for row in range(2):
            for column in range(2):
                rows.append([image[0, c, 2 * row + y, 2 * column + x] for y in range(2)
                             for x in range(2) for c in range(3)])
        patch = model.patch
        expected = patch.norm2(patch.linear(patch.norm1(torch.tensor(rows).double())))
        torch.testing.assert_close(patch(image)[0], expected)

    def test_positions_are_those_of_simple_vit(self):
        table = sincos_2d(2, 3, 8)
        x, y = 2.0, 1.0  # the last of 2 x 3 positions; the second frequency is 1/10000
        angles = torch.tensor([x, x / 1e4, x, x / 1e4, y, y / 1e4, y, y / 1e4])
        expected = torch.cat([angles[:2].sin(), angles[2:4].cos(), angles[4:6].sin(),
                              angles[6:].cos()])
        torch.testing.assert_close(table[5], expected)

    def test_token_pool_averages_neighbours_of_the_grid(self):
        model = build(reference.vit_record(token_pool=[2, 4], attention=SOFTMAX)).eval()
        image, trace = torch.randn(1, 1, 8, 8), {}
        with torch.no_grad():
            model(image, trace=trace)
            before = (model.patch(image) + model.position)[0].view(4, 4, 16)
        self.assertEqual(trace["embed"].shape, (1, 2, 16))
        torch.testing.assert_close(trace["embed"][0, 1], before[2:].mean((0, 1)))


class SmallProducts(unittest.TestCase):
    def test_products_and_their_gradients_are_pytorch_s(self):
        torch.manual_seed(4)
        given = torch.randn(2, 3, 4, 5).double(), torch.randn(2, 3, 6, 5).double()
        results = []
        for multiply in (small_products.Product.apply, torch.matmul):
            a, b = (x.clone().requires_grad_() for x in given)
            found = multiply(a, b.transpose(2, 3))
            (found * torch.arange(found.numel()).view_as(found)).sum().backward()
            results.append((found, a.grad, b.grad))
        for mine, expected in zip(*results):
            torch.testing.assert_close(mine, expected)


class Traced(unittest.TestCase):
    def test_a_trace_answers_for_other_images_too(self):
        torch.manual_seed(5)
        for attention in (SOFTMAX, {"kind": "longformer", "window": 3, "global_tokens": 1}):
            model = build(reference.vit_record(attention=attention)).eval()
            images = torch.randn(2, 2, 1, 8, 8)
            with torch.no_grad():
                traced = torch.jit.trace(model, images[0])
                torch.testing.assert_close(traced(images[1]), model(images[1]))


class TextTransformer(unittest.TestCase):
    def test_padding_does_not_change_the_logits(self):
        torch.manual_seed(2)
        for attention, neighbours, pool in ((SOFTMAX, 0, "mean"), (SOFTMAX, 2, "max"),
                                            (reference.qama_attention(), 0, "mean")):
            record = {**reference.text_record(attention=attention), "pool": pool}
            record["sequence"] = {**record["sequence"], "neighbours": neighbours}
            model = build(record).eval()
            tokens = torch.tensor([[3, 4, 5, 0, 0, 0]])
            spins = [torch.tensor([[[1, 0, 1, 0, 0, 0]]], dtype=torch.uint8)] * 2
            with torch.no_grad():
                padded = model(tokens, torch.tensor([3]), spins=spins)
                alone = model(tokens[:, :3], torch.tensor([3]), spins=[s[:, :, :3] for s in spins])
            torch.testing.assert_close(padded, alone)

    def test_an_embedding_sees_its_neighbours_in_their_order(self):
        record = reference.text_record(attention=SOFTMAX)
        record["sequence"] = {**record["sequence"], "neighbours": 1}
        embed = build(record).embed
        a, b, c = embed.weight[torch.tensor([3, 4, 5])]
        nothing = torch.zeros_like(a)
        expected = torch.stack([torch.cat(row) for row in ((nothing, a, b), (a, b, c),
                                                           (b, c, nothing))])
        torch.testing.assert_close(embed(torch.tensor([[3, 4, 5]]))[0], embed.proj(expected))

    def test_a_token_has_the_score_of_the_ngrams_that_end_with_it(self):
        record = reference.text_record(attention=SOFTMAX)
        record["sequence"] = {**record["sequence"], "ngrams": 2, "ngram_rows": 11}
        embed = build(record).embed
        embed.ngrams.normal_()

        def score(*ids):  # from the last word to the first
            h = 0
            for number in ids:
                h = (h * 2654435761 + number) % 2 ** 32
                h = (h ^ h >> 16) * 2246822507 % 2 ** 32
                h = (h ^ h >> 13) * 3266489909 % 2 ** 32
                h = h ^ h >> 16
            return float(embed.ngrams[h % 11])
        ids = [3, 4, 3]
        scores = torch.tensor([score(3), score(4) + score(4, 3), score(3) + score(3, 4)])
        expected = embed.proj(torch.cat((embed.weight[ids], scores[:, None]), 1))
        torch.testing.assert_close(embed(torch.tensor([ids]))[0], expected)
        torch.testing.assert_close(embed(torch.tensor([ids]), scores[None])[0], expected)


class Softmax(unittest.TestCase):
    def test_without_a_projection_the_heads_are_the_output(self):
        attention = {**SOFTMAX, "projection": False}
        with self.assertRaisesRegex(ValueError, "2 heads of 4, expected 16"):
            build(reference.vit_record(attention=attention))
        torch.manual_seed(4)
        layer = build(reference.vit_record(attention=attention, dim_head=8)).blocks[0].attn.double()
        x = torch.randn(2, 5, 16).double()
        q, k, v = (part.view(2, 5, 2, 8).transpose(1, 2)
                   for part in layer.qkv(layer.norm(x)).chunk(3, -1))
        expected = (q @ k.transpose(2, 3) / 8 ** 0.5).softmax(-1) @ v
        torch.testing.assert_close(layer(x), expected.transpose(1, 2).flatten(2))

    def test_attention_is_the_usual_one(self):
        torch.manual_seed(1)
        model = build(reference.vit_record(attention=SOFTMAX)).double().eval()
        layer, x = model.blocks[0].attn, torch.randn(1, 5, 16).double()
        normed = layer.norm(x)[0]
        q, k, v = (part.view(5, 2, 4) for part in layer.qkv(normed).chunk(3, -1))
        heads = []
        for head in range(2):
            weights = ((q[:, head] @ k[:, head].T) / 2.0).softmax(-1)
            heads.append(weights @ v[:, head])
        torch.testing.assert_close(layer(x)[0], torch.cat(heads, 1) @ layer.out.weight.T)


if __name__ == "__main__":
    unittest.main()
