"""The QAMA operator against the paper's equations, its gradient against finite differences."""
import itertools
import unittest

import numpy as np
import reference
import torch
from published import PublishedAttention
from qama_export.models import QAMAttention

from qama import library
from qama.torch import Solver
from qama.torch.attention import HeadNorm


class RecordingSolver:
    """Keeps the problem it was given and answers with fixed spins: what is solved, not how, is
    tested."""

    def __init__(self, spins):
        self.spins = spins

    def solve(self, couplings, field, penalty, count=None):
        self.couplings, self.field, self.penalty, self.count = couplings, field, penalty, count
        return self.spins


def make(heads=2, dim_head=3, normalisation="batch", energy_norm="batch", **changes):
    torch.manual_seed(3)
    layer = QAMAttention(6, heads, dim_head, normalisation=normalisation, energy_norm=energy_norm,
                         **changes).double()
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "coupling" in name or "field" in name or "energy" in name:
                parameter.add_(torch.randn_like(parameter) * 0.3)
        for name, buffer in layer.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
            elif name.endswith("running_mean"):
                buffer.normal_()
    return layer


def heads_of(layer, x, sample):
    """q, k, v [H,N,D] of one sample as numpy."""
    normed = layer.norm(x)[sample]
    q, k, v = (layer.qkv(normed).view(-1, 3, layer.heads, layer.dim_head).permute(1, 2, 0, 3)
               .detach().numpy())
    return q, k, v


def expected_problem(layer, x, sample, tokens):
    """J' [H,n,n] and rho h' [H,n] of one sample in eval mode, from the definitions."""
    q, k, v = (part[:, :tokens] for part in heads_of(layer, x, sample))
    w = np.broadcast_to(layer.w_eps.detach().numpy(), (layer.heads, layer.dim_head))
    j_all, field_all = [], []
    for t in range(layer.heads):
        j = reference.couplings(q[t], k[t])
        h = v[t] @ w[t]
        scaled = []
        for norm, values, statistics in ((layer.coupling, j, reference.off_diagonal(j)),
                                         (layer.field, h, h)):
            if norm.kind == "none":
                scaled.append(values)
                continue
            weight, bias = norm.weight[t].item(), norm.bias[t].item()
            if norm.kind == "batch":
                mean, var = norm.running_mean[t].item(), norm.running_var[t].item()
            else:
                mean, var = statistics.mean(), statistics.var()
            scaled.append((values - mean) / np.sqrt(var + norm.eps) * weight + bias)
        np.fill_diagonal(scaled[0], 0.0)
        j_all.append(scaled[0])
        field_all.append(tokens * layer.rho0 * scaled[1])
    return np.stack(j_all), np.stack(field_all)


class Operator(unittest.TestCase):
    def test_problem_energies_and_output_follow_the_paper(self):
        for normalisation, energy_norm, shared in itertools.product(
                ("none", "instance", "batch"), ("none", "layer", "batch"), (True, False)):
            with self.subTest(normalisation=normalisation, energy_norm=energy_norm, shared=shared):
                layer = make(normalisation=normalisation, energy_norm=energy_norm,
                             shared_w_eps=shared).eval()
                x = torch.randn(2, 5, 6, dtype=torch.float64)
                spins = (torch.rand(2, 2, 5) < 0.5).to(torch.uint8)
                layer.solver = RecordingSolver(spins)
                trace = {}
                out = layer(x, trace=trace)
                self.assertAlmostEqual(layer.solver.penalty, reference.penalty(5, 2, 0.8),
                                       places=12)
                for sample in range(2):
                    j, field = expected_problem(layer, x, sample, 5)
                    solved = layer.solver.couplings[sample].numpy().copy()
                    for head in solved:
                        np.fill_diagonal(head, 0.0)
                    np.testing.assert_allclose(solved, j, rtol=1e-8, atol=1e-8)
                    np.testing.assert_allclose(layer.solver.field[sample].numpy(), field, rtol=1e-8)
                    s = spins[sample].numpy().astype(float)
                    e = np.stack([reference.energies(j[t], field[t], 1.0, s[t]) for t in range(2)])
                    np.testing.assert_allclose(trace["energies"][sample].detach().numpy(), e,
                                               rtol=1e-8, atol=1e-8)
                    w = np.broadcast_to(layer.w_eps.detach().numpy(), (2, 3))
                    if energy_norm == "batch":
                        scale, shift = (part[0].detach().numpy() for part in layer.energy.folded())
                        e = e * scale[:, None] + shift[:, None]
                    columns = np.concatenate([e[t][:, None] * w[t] for t in range(2)], 1)
                    if energy_norm == "layer":
                        mean, var = columns.mean(1, keepdims=True), columns.var(1, keepdims=True)
                        columns = ((columns - mean) / np.sqrt(var + 1e-5)
                                   * layer.energy.weight.detach().numpy()
                                   + layer.energy.bias.detach().numpy())
                    np.testing.assert_allclose(out[sample].detach().numpy(),
                                               columns @ layer.out.weight.detach().numpy().T,
                                               rtol=1e-7, atol=1e-9)

    def test_padding_changes_nothing(self):
        for normalisation in ("none", "instance", "batch"):
            layer = make(heads=1, normalisation=normalisation).eval()
            x = torch.randn(1, 7, 6, dtype=torch.float64)
            spins = torch.tensor([[[1, 0, 1, 1, 0, 0, 0]]], dtype=torch.uint8)
            mask = (torch.arange(7) < 5).double()[None]
            padded = layer(x, mask, torch.tensor([5]), spins=spins)
            alone = layer(x[:, :5], spins=spins[:, :, :5])
            torch.testing.assert_close(padded[:, :5], alone)
            self.assertEqual(padded[:, 5:].abs().max().item(), 0.0)

    def test_padded_samples_are_the_problem_that_they_are_alone(self):
        layer = make(heads=2, normalisation="instance").eval()
        x = torch.randn(2, 7, 6, dtype=torch.float64)
        count = torch.tensor([5, 7])
        mask = (torch.arange(7)[None] < count[:, None]).double()
        layer.solver = RecordingSolver(torch.ones(2, 2, 7, dtype=torch.uint8))
        layer(x, mask, count)
        together = layer.solver
        for sample, length in enumerate((5, 7)):
            layer.solver = RecordingSolver(torch.ones(1, 2, length, dtype=torch.uint8))
            layer(x[sample:sample + 1, :length])
            alone = layer.solver
            # The same but for one positive number, which the answer does not depend on.
            times = together.penalty / alone.penalty
            torch.testing.assert_close(together.couplings[sample, :, :length, :length],
                                       times * alone.couplings[0])
            torch.testing.assert_close(together.field[sample, :, :length], times * alone.field[0])

    def test_padding_stays_out_of_the_batch_statistics(self):
        x = torch.randn(1, 7, 6, dtype=torch.float64)
        spins = torch.tensor([[[1, 0, 1, 1, 0, 0, 0]]], dtype=torch.uint8)
        statistics = []
        for length, given in ((7, True), (5, False)):
            layer = make(heads=1)
            if given:
                layer(x, (torch.arange(7) < 5).double()[None], torch.tensor([5]), spins=spins)
            else:
                layer(x[:, :length], spins=spins[:, :, :length])
            statistics.append([b for n, b in layer.named_buffers() if "running" in n])
        for one, other in zip(*statistics):
            torch.testing.assert_close(one, other)

    def test_batch_statistics_are_those_of_the_off_diagonal_couplings(self):
        layer = make()
        x = torch.randn(3, 5, 6, dtype=torch.float64)
        before = layer.coupling.running_mean.clone(), layer.coupling.running_var.clone()
        layer(x, spins=torch.ones(3, 2, 5, dtype=torch.uint8))
        for t in range(2):
            values = np.concatenate([reference.off_diagonal(reference.couplings(q[t], k[t]))
                                     for q, k, _ in (heads_of(layer, x, b) for b in range(3))])
            for running, old, new in ((layer.coupling.running_mean, before[0], values.mean()),
                                      (layer.coupling.running_var, before[1], values.var())):
                self.assertAlmostEqual(running[t].item(), 0.9 * old[t].item() + 0.1 * new,
                                       places=10)

    def test_factors_equal_couplings(self):
        layer = make(heads=2).eval()
        with torch.no_grad():
            layer.coupling.weight[0] = -0.7  # a negative scale and, below, both signs of the shift
            layer.coupling.running_mean.copy_(torch.tensor([2.0, -2.0]))
        x = torch.randn(2, 5, 6, dtype=torch.float64)
        layer.solver = RecordingSolver(torch.zeros(2, 2, 5, dtype=torch.uint8))
        layer(x)
        couplings = layer.rule.couplings(layer.project(x, None)[1], layer)
        factors, signs = couplings.factors(*layer.coupling.folded())
        self.assertEqual(sorted(set(signs.flatten().tolist())), [-1.0, 1.0])
        built = torch.einsum("bhnd,hd,bhmd->bhnm", factors, signs.double(), factors)
        off = ~torch.eye(5, dtype=torch.bool)
        torch.testing.assert_close(built[..., off], layer.solver.couplings[..., off], rtol=1e-4,
                                   atol=1e-4)


class Published(unittest.TestCase):
    """Kind qama_bilinear against a class of its own, written from the description."""

    @staticmethod
    def pair(heads=2, dim_head=3):
        torch.manual_seed(5)
        theirs = PublishedAttention(heads * dim_head, heads).double()
        ours = QAMAttention(heads * dim_head, heads, dim_head, normalisation="none",
                            energy_norm="none", kind="qama_bilinear").double()
        with torch.no_grad():
            for part in ("norm_q", "norm_k", "norm_v"):
                for leaf in ("weight", "bias"):
                    value = getattr(getattr(theirs, part), leaf)
                    value.add_(torch.randn_like(value) * 0.3)
                    getattr(getattr(ours, part), leaf).copy_(value)
            ours.qkv.weight.copy_(torch.cat([theirs.Wq.weight, theirs.Wk.weight,
                                             theirs.Wv.weight]))
            ours.w_eps.copy_(theirs.E2V.t())
        return theirs, ours

    def test_output_and_gradients_are_theirs(self):
        for heads in (1, 2):
            theirs, ours = self.pair(heads)
            x = torch.randn(2, 5, heads * 3, dtype=torch.float64)
            spins = (torch.rand(2, heads, 5) < 0.5).to(torch.uint8)
            results = []
            for layer in (theirs, ours):
                given = x.clone().requires_grad_()
                out = layer(given, spins=spins)
                (out * torch.arange(out.numel()).view_as(out)).sum().backward()
                results.append((out, given.grad, layer.norm_q.weight.grad, layer.norm_v.bias.grad))
            for mine, expected in zip(*results):
                torch.testing.assert_close(mine, expected)
            torch.testing.assert_close(ours.qkv.weight.grad, torch.cat(
                [theirs.Wq.weight.grad, theirs.Wk.weight.grad, theirs.Wv.weight.grad]))
            torch.testing.assert_close(ours.w_eps.grad, theirs.E2V.grad.t())

    def test_the_problem_is_theirs_dense_and_by_factors(self):
        theirs, ours = self.pair()
        x = torch.randn(2, 5, 6, dtype=torch.float64)
        ours.solver = RecordingSolver(torch.ones(2, 2, 5, dtype=torch.uint8))
        ours(x)
        j, h = (part.detach() for part in theirs.problem(x))
        one = torch.ones(1, 2, dtype=torch.float64)
        couplings = ours.rule.couplings(ours.project(x, None)[1], ours)
        factors, signs = couplings.factors(2 * one, None)
        self.assertEqual(tuple(factors.shape), (2, 2, 5, 6))
        built = torch.einsum("bhnd,hd,bhmd->bhnm", factors, signs.double(), factors)
        off = ~torch.eye(5, dtype=torch.bool)
        torch.testing.assert_close(ours.solver.couplings[..., off], 2 * j[..., off])
        torch.testing.assert_close(built[..., off].detach(), 2 * j[..., off])
        torch.testing.assert_close(ours.solver.field, 5 * 0.16 * h)
        # The energy in this project's convention is theirs.
        for sample in range(2):
            s = torch.tensor([[1, 0, 1, 1, 0], [1, 1, 0, 1, 0]])
            self.assertAlmostEqual(
                reference.layer_energy(ours.solver.couplings[sample].numpy(),
                                       ours.solver.field[sample].numpy(),
                                       ours.solver.penalty, s.numpy()),
                theirs.energy(j[sample], h[sample], s))

    def test_padding_changes_nothing(self):
        _, layer = self.pair(heads=1)
        x = torch.randn(1, 7, 3, dtype=torch.float64)
        spins = torch.tensor([[[1, 0, 1, 1, 0, 0, 0]]], dtype=torch.uint8)
        mask = (torch.arange(7) < 5).double()[None]
        padded = layer(x, mask, torch.tensor([5]), spins=spins)
        torch.testing.assert_close(padded[:, :5], layer(x[:, :5], spins=spins[:, :, :5]))
        self.assertEqual(padded[:, 5:].abs().max().item(), 0.0)

    def test_without_a_projection_heads_are_as_wide_as_the_model(self):
        with self.assertRaisesRegex(ValueError, "2 heads of 3, expected 8 dimensions"):
            QAMAttention(8, 2, 3, kind="qama_bilinear")

    def test_a_normalisation_that_the_kind_has_not_is_refused(self):
        with self.assertRaisesRegex(ValueError, "qama_bilinear has no normalisations"):
            QAMAttention(8, 2, 4, kind="qama_bilinear")


class Gradient(unittest.TestCase):
    def test_gradient_with_fixed_spins_is_the_finite_difference(self):
        """Eq. 6: s is a constant, everything else differentiates; training mode, so statistics
        too."""
        for normalisation, energy_norm in (("batch", "batch"), ("instance", "layer"),
                                           ("none", "none")):
            with self.subTest(normalisation=normalisation, energy_norm=energy_norm):
                layer = make(normalisation=normalisation, energy_norm=energy_norm)
                x = torch.randn(2, 4, 6, dtype=torch.float64, requires_grad=True)
                spins = torch.tensor([[[1, 1, 0, 1], [0, 1, 1, 1]], [[1, 0, 1, 1], [1, 1, 1, 0]]],
                                     dtype=torch.uint8)
                weights = torch.randn(2, 4, 6, dtype=torch.float64)

                def loss():
                    return (layer(x, spins=spins) * weights).sum()

                loss().backward()
                checked = 0
                for tensor in (x, layer.qkv.weight, layer.w_eps, layer.norm.weight):
                    flat, step = tensor.detach().view(-1), 1e-6
                    for index in range(0, flat.numel(), 7):
                        old = flat[index].item()
                        flat[index] = old + step
                        above = loss().item()
                        flat[index] = old - step
                        below = loss().item()
                        flat[index] = old
                        numeric = (above - below) / (2 * step)
                        self.assertAlmostEqual(tensor.grad.view(-1)[index].item(), numeric,
                                               delta=1e-5 * max(1.0, abs(numeric)))
                        checked += 1
                self.assertGreater(checked, 20)

    def test_halves_and_autocast_are_computed(self):
        x = torch.randn(2, 4, 6)
        for kind in ({}, {"kind": "qama_bilinear", "normalisation": "none", "energy_norm": "none"}):
            layer = make(**kind).float()
            layer.solver = RecordingSolver(torch.ones(2, 2, 4, dtype=torch.uint8))
            expected = layer(x)
            with torch.autocast("cpu", torch.bfloat16):
                # What comes before the layer is in bfloat16, the layer itself is not.
                found = layer(x.bfloat16().float().requires_grad_())
            self.assertEqual(found.dtype, torch.float32)
            torch.testing.assert_close(found, layer(x.bfloat16().float()))
            found.sum().backward()
            half = layer.bfloat16()(x.bfloat16().requires_grad_())
            self.assertEqual(half.dtype, torch.bfloat16)
            torch.testing.assert_close(half.float(), expected, rtol=0.2, atol=0.2)
            half.sum().backward()

    @unittest.skipUnless(library.find(), "libqama.so is not built")
    def test_an_empty_batch_is_none_and_leaves_the_statistics(self):
        for kind in ({}, {"energy_norm": "layer"}, {"normalisation": "instance"},
                     {"kind": "qama_bilinear", "normalisation": "none", "energy_norm": "none"}):
            layer = make(**kind)
            layer.solver = Solver()
            before = {name: value.clone() for name, value in layer.state_dict().items()}
            x = torch.randn(0, 4, 6).double().requires_grad_()
            layer(x).sum().backward()
            self.assertEqual(layer.eval()(x, torch.ones(0, 4), torch.ones(0)).shape, (0, 4, 6))
            for name, value in layer.state_dict().items():
                self.assertTrue(torch.equal(value, before[name]), name)

    def test_a_mask_that_is_not_the_count_is_refused(self):
        layer, x = make(), torch.randn(2, 4, 6).double()
        mask, count = torch.tensor([[1.0, 1, 0, 0], [1, 1, 1, 1]]), torch.tensor([2, 4])
        layer.solver = RecordingSolver(torch.ones(2, 2, 4, dtype=torch.uint8))
        layer(x, mask, count)
        for other in ((mask, None), (None, count), (mask.flip(1), count), (mask, count.flip(0)),
                      (mask[:, :3], count)):
            with self.assertRaisesRegex(ValueError, "mask"):
                layer(x, *other)

    def test_a_second_derivative_is_none_rather_than_a_wrong_one(self):
        layer = make(kind="qama_bilinear", normalisation="none", energy_norm="none")
        layer.solver = RecordingSolver(torch.ones(1, 2, 4, dtype=torch.uint8))
        x = torch.randn(1, 4, 6).double().requires_grad_()
        first, = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
        with self.assertRaisesRegex(RuntimeError, "once_differentiable"):
            first.sum().backward()

    def test_nothing_flows_through_the_solver(self):
        layer = make()
        seen = {}

        class Watching(RecordingSolver):
            def solve(self, couplings, field, penalty, count=None):
                seen["needs_grad"] = couplings.requires_grad
                return super().solve(couplings, field, penalty, count)

        layer.solver = Watching(torch.ones(1, 2, 4, dtype=torch.uint8))
        layer(torch.randn(1, 4, 6).double()).sum().backward()
        self.assertFalse(seen["needs_grad"])
        self.assertGreater(layer.qkv.weight.grad.abs().sum().item(), 0.0)


class Folding(unittest.TestCase):
    def test_fixed_statistics_serve_in_training(self):
        norm = HeadNorm(2, "batch", 1e-5).train()
        norm.running_mean.fill_(3.0)
        norm.fixed = True
        scale, shift = norm(lambda: self.fail("the batch was looked at"), 5)
        torch.testing.assert_close(shift, -3.0 * scale)
        self.assertTrue(scale.requires_grad)
        self.assertTrue(torch.equal(norm.running_mean, torch.full((2,), 3.0)))

    def test_folded_statistics_come_back_as_they_were(self):
        torch.manual_seed(4)
        values = torch.randn(6, 2, 500).double() * torch.tensor([3.0, 0.2])[None, :, None] + 5

        def moments():
            return values.sum(2), (values * values).sum(2)

        trained = HeadNorm(2, "batch", 1e-5, momentum=1.0).double()
        with torch.no_grad():
            trained.weight.copy_(torch.tensor([0.7, -1.5]))
            trained.bias.copy_(torch.tensor([0.3, -0.4]))
        expected = trained(moments, 500)
        # What a reader of a model file has: scale and shift over mean 0 and variance 1 - eps.
        read = HeadNorm(2, "batch", 1e-5).double().eval()
        scale, shift = trained.eval().folded()
        with torch.no_grad():
            read.weight.copy_(scale[0])
            read.bias.copy_(shift[0])
            read.running_var.fill_(1 - 1e-5)
        read.unfolding = []
        read(moments, 500)
        read.unfold()
        for name in ("weight", "bias", "running_mean", "running_var"):
            torch.testing.assert_close(getattr(read, name), getattr(trained, name))
        for mine, theirs in zip(read.train()(moments, 500), expected):
            torch.testing.assert_close(mine, theirs)

    def test_folded_numbers_are_the_batch_norm_of_eval_mode(self):
        norm = HeadNorm(2, "batch", 1e-5).double().eval()
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([2.0, -1.0]))
            norm.bias.copy_(torch.tensor([0.5, 0.25]))
            norm.running_mean.copy_(torch.tensor([3.0, -4.0]))
            norm.running_var.copy_(torch.tensor([4.0, 0.25]))
        scale, shift = norm.folded()
        x = torch.randn(2, 2).double()
        expected = torch.nn.functional.batch_norm(x, norm.running_mean, norm.running_var,
                                                  norm.weight,
                                                  norm.bias, eps=1e-5)
        torch.testing.assert_close(x * scale + shift, expected)


if __name__ == "__main__":
    unittest.main()
