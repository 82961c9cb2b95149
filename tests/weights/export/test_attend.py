"""What computes a layer in fewer steps against the same written out: values and gradients."""
import unittest
from unittest import mock

import reference
import torch
from qama_export import attend, rivals
from qama_export.models import build

from qama.torch.attention import BilinearSums


def values_and_gradients(function, *given):
    """What a function puts out, and the gradients of a weighted sum of it."""
    given = [x.clone().requires_grad_() for x in given]
    out = function(*given)
    weights = torch.arange(out.numel(), dtype=out.dtype).view_as(out).sin()
    return out.detach(), *torch.autograd.grad((out * weights).sum(), given)


def softmax_of(qkv, keep):
    """The heads of qkv [B,N,3,H,D] in three steps."""
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    score = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5
    if keep is not None:
        score = score.masked_fill(~keep, rivals.FAR)
    weights = score.softmax(-1)
    if keep is not None:
        weights = weights.masked_fill(~keep, 0.0)
    return (weights @ v).transpose(1, 2).flatten(2)


class Attend(unittest.TestCase):
    def test_it_is_softmax_between_two_products(self):
        torch.manual_seed(6)
        some = torch.rand(7, 7) < 0.5
        some[3] = False  # a query that sees nothing
        # Scores of thousands have their largest one taken away.
        for scale in (1.0, 100.0):
            for keep in (None, some):
                for chunk in (attend.CHUNK, 200):  # all samples, or two at a time
                    with self.subTest(scale=scale, keep=keep is not None, chunk=chunk), \
                            mock.patch.object(attend, "CHUNK", chunk):
                        qkv = torch.randn(5, 7, 3, 2, 4, dtype=torch.float64) * scale
                        mine = values_and_gradients(lambda x: attend.Attend.apply(x, keep), qkv)
                        plain = values_and_gradients(lambda x: softmax_of(x, keep), qkv)
                        for one, other in zip(mine, plain):
                            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)

    def test_sparse_kinds_are_the_same_with_a_mask_of_ones(self):
        for kind in ("longformer", "bigbird"):
            torch.manual_seed(7)
            options = {"longformer": {"window": 1, "global_tokens": 1},
                       "bigbird": {"block": 2, "window_blocks": 0, "global_blocks": 1,
                                   "random_blocks": 1}}[kind]
            record = reference.vit_record(attention={"kind": kind, **options})
            layer = build(record).double().blocks[0].attn
            x = torch.randn(3, layer.tokens, layer.dim, dtype=torch.float64)
            ones = torch.ones(3, layer.tokens, dtype=torch.float64)
            for one, other in zip(values_and_gradients(layer, x),
                                  values_and_gradients(lambda y: layer(y, ones), x)):
                torch.testing.assert_close(one, other)


class Bilinear(unittest.TestCase):
    def test_sums_are_those_of_the_couplings(self):
        torch.manual_seed(8)
        heads, dim_head, unit = 2, 3, 0.4
        qk = torch.randn(2, 5, 2 * heads * dim_head, dtype=torch.float64)
        s = (torch.rand(2, heads, 5) < 0.5).double()
        columns = torch.eye(heads).double().repeat_interleave(dim_head, -1)

        def mine(x):
            return BilinearSums.apply(x, s, columns, unit)

        def plain(x):
            q, k = x.view(2, 5, 2, heads, dim_head).permute(2, 0, 3, 1, 4)
            j = unit * (q @ k.transpose(2, 3) + k @ q.transpose(2, 3))
            j = j * (1 - torch.eye(5, dtype=j.dtype))
            return (j @ s[..., None])[..., 0].transpose(1, 2)

        for one, other in zip(values_and_gradients(mine, qk), values_and_gradients(plain, qk)):
            torch.testing.assert_close(one, other)


class Patches(unittest.TestCase):
    def test_logits_from_numbers_are_those_of_the_image(self):
        for pool, patch, kind in (([1, 1], 4, torch.float64), ([2, 4], 1, torch.float64),
                                  ([2, 1], 2, torch.float32)):
            torch.manual_seed(9)
            model = build(reference.vit_record(image={"height": 8, "width": 8, "channels": 3},
                                               patch=patch, token_pool=pool,
                                               attention={"kind": "softmax"})).to(kind)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(torch.randn_like(parameter) * 0.3)
            image = torch.randn(4, 3, 8, 8, dtype=kind)
            image[0, :, :4, :4] = 0.5  # patches without anything in them
            results = []
            for given in (image, model.patch.numbers(image)):
                model.zero_grad()
                logits = model(given)
                (logits * torch.arange(logits.numel()).view_as(logits)).sum().backward()
                results.append([logits.detach(), *(p.grad for p in model.parameters())])
            for one, other in zip(*results):
                scale = one.abs().max().item()
                torch.testing.assert_close(other, one, rtol=1e-5,
                                           atol=1e-5 * scale if kind == torch.float32 else 1e-9)


if __name__ == "__main__":
    unittest.main()
