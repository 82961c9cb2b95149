"""QAMAttention as a layer of somebody's network: shapes, gradients, padding, copies, training."""
import copy
import io
import itertools
import unittest


try:
    import torch
    from torch import nn
except ImportError as error:
    raise unittest.SkipTest(f"SKIPPED: no torch: {error}") from error

import qama
from qama.torch import QAMAttention, Solver


def layer(**options):
    torch.manual_seed(1)
    return QAMAttention(dim=24, heads=4, dim_head=6, **options)


class Layer(unittest.TestCase):
    def test_it_maps_tokens_to_tokens_and_has_gradients(self):
        for options in ({}, {"normalisation": "instance", "energy_norm": "layer"},
                        {"normalisation": "none", "energy_norm": "none"}):
            attention = layer(**options)
            x = torch.randn(3, 17, 24, requires_grad=True)
            out = attention(x)
            self.assertEqual(out.shape, x.shape)
            out.square().sum().backward()
            self.assertTrue(torch.isfinite(x.grad).all())
            for name, weight in attention.named_parameters():
                self.assertIsNotNone(weight.grad, name)

    def test_its_spins_are_the_best(self):
        class Recording(Solver):
            def solve(self, *problem):
                self.problem = problem
                return super().solve(*problem)

        attention = layer(solver=Recording(sweeps=200, restarts=16)).eval()
        trace = {}
        attention(torch.randn(1, 3, 24), trace=trace)
        couplings, field, penalty, _ = attention.solver.problem
        upper = torch.triu(couplings[0], 1)

        def energy(s):  # Eq. 3
            shared = s.sum(0)
            return (-torch.einsum("ti,tij,tj", s, upper, s) - (field[0] * s).sum()
                    + penalty * (shared * (shared - 1) / 2).sum()).item()

        states = (torch.tensor(bits).float().view(4, 3)
                  for bits in itertools.product((0, 1), repeat=12))
        self.assertAlmostEqual(energy(trace["spins"][0].float()), min(map(energy, states)),
                               places=2)

    def test_padding_changes_nothing(self):
        attention = layer(solver=Solver(sweeps=100, restarts=8)).eval()
        x = torch.randn(1, 6, 24)
        padded = torch.cat([x, torch.randn(1, 3, 24)], 1)
        mask = (torch.arange(9) < 6).float()[None]
        spins = torch.randint(0, 2, (1, 4, 6), dtype=torch.uint8)
        more = torch.cat([spins, torch.zeros(1, 4, 3, dtype=torch.uint8)], 2)
        alone = attention(x, spins=spins)
        beside = attention(padded, mask=mask, count=torch.tensor([6]), spins=more)
        torch.testing.assert_close(beside[:, :6], alone, atol=1e-5, rtol=1e-4)
        self.assertEqual(beside[:, 6:].abs().max(), 0)

    def test_copies_and_saved_layers_answer_the_same(self):
        attention = layer().eval()
        x = torch.randn(2, 17, 24)
        first = attention(x)
        clone = copy.deepcopy(attention)
        stored = io.BytesIO()
        torch.save(attention, stored)
        stored.seek(0)
        for other in (clone, torch.load(stored)):
            self.assertEqual(other.solver.handles, {})
            other.solver.reset()
            torch.testing.assert_close(other(x), first)

    def test_a_network_with_it_learns(self):
        torch.manual_seed(2)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.attention, self.read = layer(), nn.Linear(24, 2)

            def forward(self, x):
                return self.read((x + self.attention(x)).mean(1))

        x = torch.randn(64, 9, 24)
        y = (x[:, :, 0].mean(1) > 0).long()
        net = Net()
        steps = torch.optim.Adam(net.parameters(), 0.01)
        losses = []
        for _ in range(30):
            loss = nn.functional.cross_entropy(net(x), y)
            steps.zero_grad()
            loss.backward()
            steps.step()
            losses.append(loss.item())
        self.assertLess(losses[-1], 0.7 * losses[0])

    def test_training_uses_this_layer(self):
        import pathlib
        import sys
        sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "weights" / "export"))
        from qama_export import models
        self.assertIs(models.QAMAttention, QAMAttention)

    def test_it_is_not_traced(self):
        with self.assertRaisesRegex(RuntimeError, "a QAMA layer in torch.jit.trace"):
            torch.jit.trace(QAMAttention(16, 2, 8).eval(), torch.zeros(1, 5, 16))

    def test_bad_sizes(self):
        with self.assertRaisesRegex(ValueError, "normalisation 'group'"):
            layer(normalisation="group")
        with self.assertRaises(qama.QamaError):
            layer(solver=Solver(uri="nothing:"))(torch.zeros(1, 3, 24))


if __name__ == "__main__":
    unittest.main()
