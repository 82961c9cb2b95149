"""The first-version operator against the equations in plain loops, and its problem against brute
force."""
import itertools
import math
import unittest

import reference
import torch
from qama_export.models import build
from qama_export.qama_v1 import QamaV1Attention


def attention(**changes):
    record = {"kind": "qama_v1", "bits": 2, "quadratic": 0.7, "linear": 1.3, "penalty": 2.0,
              "anneal": reference.qama_attention()["anneal"]}
    return {**record, **changes}


def layer_of(heads=2, bits=2):
    torch.manual_seed(9)
    layer = QamaV1Attention(8, heads, 3, bits=bits, quadratic=0.7, linear=1.3,
                            penalty=2.0).double().eval()
    with torch.no_grad():
        for norm in (layer.coupling, layer.field, layer.energy):
            for value in (norm.weight, norm.bias, norm.running_mean):
                value.normal_()
            norm.running_var.uniform_(0.5, 2.0)
    return layer


def bits_of_log(p):
    return p * math.log2(p) if p > 0 else 0.0


class Operator(unittest.TestCase):
    def test_couplings_are_jensen_shannon_divergences_in_bits(self):
        q, k = torch.randn(2, 1, 1, 4, 3, dtype=torch.float64).unbind(0)
        found = QamaV1Attention.divergence(q, k)
        for i, j in itertools.product(range(4), repeat=2):
            p, r = q[0, 0, i].softmax(0).tolist(), k[0, 0, j].softmax(0).tolist()
            expected = 0.0
            for a, b in zip(p, r):
                m = (a + b) / 2
                expected += 0.5 * a * math.log2(a / m) + 0.5 * b * math.log2(b / m)
            self.assertAlmostEqual(float(found[0, 0, i, j]), expected, places=12)
        itself = QamaV1Attention.divergence(q, q).diagonal(dim1=2, dim2=3)
        self.assertAlmostEqual(float(itself.abs().max()), 0)

    def test_a_layer_is_what_the_equations_say(self):
        layer, x = layer_of(), torch.randn(1, 5, 8, dtype=torch.float64)
        spins = (torch.rand(1, 2, 10) < 0.5).to(torch.uint8)
        trace = {}
        found = layer(x, trace=trace, spins=spins)
        q, k, v = layer.qkv(layer.norm(x))[0].view(5, 3, 2, 3).permute(1, 2, 0, 3).unbind(0)
        outputs = torch.zeros(5, 2, 3, dtype=torch.float64)
        for t in range(2):
            c_scale, c_shift = (float(n[0, t]) for n in layer.coupling.folded())
            f_scale, f_shift = (float(n[0, t]) for n in layer.field.folded())
            e_scale, e_shift = (float(n[0, t]) for n in layer.energy.folded())
            j = QamaV1Attention.divergence(q[None, None, t], k[None, None, t])[0, 0].tolist()
            w = [(int(spins[0, t, 2 * i]) + 2 * int(spins[0, t, 2 * i + 1])) / 3 for i in range(5)]
            for i in range(5):
                total = float(v[t, i].sum()) + 1e-6
                shares = [min(max(float(value) / total, 1e-6), 1.0) for value in v[t, i]]
                entropies = [-bits_of_log(share) for share in shares]
                h = f_scale * sum(entropies) + f_shift
                energy = -1.3 * h * w[i]
                for other in range(5):
                    coupling = j[i][other] if other == i else c_scale * j[i][other] + c_shift
                    energy -= 0.7 * coupling * w[i] * w[other]
                self.assertAlmostEqual(float(trace["energies"][0, t, i]), energy, places=9)
                outputs[i, t] = torch.tensor([e_scale * -energy * u / h + e_shift
                                              for u in entropies])
        torch.testing.assert_close(found[0], outputs.flatten(1) @ layer.out.weight.T)

    def test_the_authors_batch_norms_are_taken_over(self):
        layer = layer_of()
        theirs = torch.nn.ModuleDict({"J_bn": torch.nn.BatchNorm1d(2),
                                      "h_bn": torch.nn.BatchNorm1d(2),
                                      "H_bn": torch.nn.BatchNorm2d(2)}).double().eval()
        for norm in theirs.values():
            for value in (norm.weight.data, norm.bias.data, norm.running_mean):
                value.normal_()
            norm.running_var.uniform_(0.5, 2.0)
        layer.adopt(theirs.state_dict())
        for ours, name, shape in ((layer.coupling, "J_bn", (4, 2, 6)),
                                  (layer.field, "h_bn", (4, 2, 5)),
                                  (layer.energy, "H_bn", (4, 2, 5, 3))):
            x = torch.randn(shape, dtype=torch.float64)
            scale, shift = (value.view(1, 2, *[1] * (x.dim() - 2)) for value in ours.folded())
            torch.testing.assert_close(x * scale + shift, theirs[name](x))

    def test_the_problem_of_the_bits_has_the_objectives_values(self):
        layer = layer_of()
        couplings, field = torch.randn(1, 2, 2, 2).double(), torch.randn(1, 2, 2).double()
        bits, fields, penalty = layer.problem(couplings, field)
        for chosen in itertools.product((0, 1), repeat=8):
            x = torch.tensor(chosen, dtype=torch.float64).view(2, 2, 2)
            w = (x * torch.tensor([1.0, 2.0]).double()).sum(-1) / 3
            expected = 2.0 * float((x[0] * x[1]).sum())
            for t in range(2):
                expected -= 1.3 * float((field[0, t] * w[t]).sum())
                for i, j in itertools.product(range(2), repeat=2):
                    expected -= 0.7 * float(couplings[0, t, i, j] * w[t, i] * w[t, j])
            s = x.view(2, 4)
            found = penalty * float((s[0] * s[1]).sum())
            for t in range(2):
                found -= float((fields[0, t] * s[t]).sum())
                for a, b in itertools.combinations(range(4), 2):
                    found -= float(bits[0, t, a, b] * s[t, a] * s[t, b])
            self.assertAlmostEqual(found, expected, places=12)

    def test_padding_changes_nothing_and_gradients_are_finite(self):
        model = build(reference.text_record(attention=attention(), heads=2, dim_head=4))
        spins = [(torch.rand(1, 2, 20) < 0.5) & (torch.arange(20) < 6) for _ in range(2)]
        tokens = torch.tensor([[3, 4, 5, 0, 0, 0, 0, 0, 0, 0]])
        model(tokens, torch.tensor([3]), spins=spins).square().sum().backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                self.assertTrue(torch.isfinite(parameter.grad).all(), name)
        model.double().eval()
        with torch.no_grad():
            padded = model(tokens, torch.tensor([3]), spins=spins)
            alone = model(tokens[:, :3], torch.tensor([3]), spins=[s[:, :, :6] for s in spins])
        torch.testing.assert_close(padded, alone)


if __name__ == "__main__":
    unittest.main()
