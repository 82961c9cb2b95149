"""The QAMA operators for training: Eq. 3-6 and 10 of the paper, with the normalisations of the
model file, and the operator that the authors' published code computes (RULES has both).

Nothing of size N x N is kept for the backward pass: energies need Q^T s, or Q^T s and K^T s, only.
J itself, or its factors, is built once without gradient, for the solver. The spins are constants of
the differentiation (Eq. 6).
"""
import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from . import onnx
from .small_products import multiply, product
from .solver import Solver

NORMALISATIONS = ("none", "instance", "batch")
ENERGY_NORMS = ("none", "layer", "batch")
# From this many tokens a head the solver is given factors instead of N x N couplings: below, one
# large matrix product here is faster than the same on the library's side [measured at 512: 1
# against 10 ms].
FACTOR_TOKENS = 1024


class HeadNorm(nn.Module):
    """Normalisation of one quantity per head as y = scale x + shift, from its two moments.

    kind "batch": statistics of the batch while training, running statistics afterwards (so that a
    model file can fold them into two numbers a head); "instance": statistics of each sample,
    always; "none": scale 1, shift 0. `weight` and `bias` are the learnable affine part.
    """

    def __init__(self, heads, kind, eps, momentum=0.1):
        super().__init__()
        self.kind, self.eps, self.momentum = kind, eps, momentum
        if kind != "none":
            self.weight = nn.Parameter(torch.ones(heads))
            self.bias = nn.Parameter(torch.zeros(heads))
        if kind == "batch":
            self.register_buffer("running_mean", torch.zeros(heads))
            self.register_buffer("running_var", torch.ones(heads))
        self.register_buffer("unit", torch.ones(1, heads), persistent=False)
        self.unfolding = None
        self.fixed = False  # "batch": the running statistics serve in training, too

    def forward(self, moments, count):
        """moments: function -> (sum, sum of squares), each [B,H]; count [B] or number: values in a
        sum.

        Returns (scale, shift), each [1,H] or [B,H]. The moments are not asked for where they are
        not used.
        """
        if self.kind == "none":
            return self.folded()
        known = self.fixed or not self.training
        if self.kind == "batch" and known and self.unfolding is None:
            return self.folded()
        total, squares = (m.double() for m in moments())
        if len(total) == 0:
            return self.folded()  # no sample, no statistics
        if self.kind == "batch":
            values = count * total.shape[0] if not torch.is_tensor(count) else count.double().sum()
            values = max(values, 1) if not torch.is_tensor(values) else values.clamp(min=1)
            total, squares = total.sum(0, keepdim=True), squares.sum(0, keepdim=True)
        else:
            values = (count.double().clamp(min=1)[:, None] if torch.is_tensor(count) else
                      max(count, 1))
        mean = total / values
        variance = (squares / values - mean * mean).clamp(min=0)
        if self.unfolding is not None:
            self.unfolding.append((mean[0], variance[0]))
            return self.folded()
        if self.kind == "batch":
            with torch.no_grad():
                self.running_mean.lerp_(mean[0].to(self.running_mean.dtype), self.momentum)
                self.running_var.lerp_(variance[0].to(self.running_var.dtype), self.momentum)
        scale = self.weight.double() / (variance + self.eps).sqrt()
        kind = self.weight.dtype
        return scale.to(kind), (self.bias.double() - mean * scale).to(kind)

    def unfold(self):
        """After a model file was read and some batches were seen with `unfolding` set to []: the
        affine part is what it was before the statistics were folded into it."""
        scale, shift = (part[0].detach().clone() for part in self.folded())
        mean, variance = (torch.stack(part).mean(0).to(scale.dtype)
                          for part in zip(*self.unfolding))
        self.unfolding = None
        with torch.no_grad():
            self.running_mean.copy_(mean)
            self.running_var.copy_(variance)
            self.weight.copy_(scale * (variance + self.eps).sqrt())
            self.bias.copy_(shift + mean * scale)

    def folded(self):
        """(scale, shift), each [1,H], of kinds without statistics of the sample: what a file
        stores."""
        if self.kind == "batch":
            scale = self.weight / (self.running_var + self.eps).sqrt()
            return scale[None], (self.bias - self.running_mean * scale)[None]
        if self.kind == "instance":
            return self.weight[None], self.bias[None]
        return self.unit, torch.zeros_like(self.unit)


class GramCouplings:
    """J = Q K^T K Q^T / (2D), Eq. 4, of all heads: with M = K^T K / (2D) and G = Q M, J = G Q^T.

    qk [B,N,2 H D]. Mean and variance of J come from Gram matrices.
    """

    def __init__(self, qk, layer):
        q, k = qk.chunk(2, -1)
        self.q, self.layer = q, layer
        # All heads' M at once, as blocks of one matrix: many small products are slower than one
        # large one of which the blocks outside the diagonal are thrown away.
        self.m = k.transpose(1, 2) @ k * (layer.block * (0.5 / layer.dim_head))
        self.g = q @ self.m
        self.diagonal = layer.by_head(self.g * q).sum(-1)

    def moments(self):
        """Sums of J and J^2 over the off-diagonal entries, without J: 1^T J 1 and tr(M C M C), C =
        Q^T Q."""
        q, m, diagonal, width = self.q, self.m, self.diagonal, self.layer.dim_head
        split = len(q), self.layer.heads, width
        ones = q.sum(1, keepdim=True)
        total = ((ones @ m) * ones).view(split).sum(-1) - diagonal.sum(1)
        mc = m @ (q.transpose(1, 2) @ q)
        squares = (mc * mc.transpose(1, 2) * self.layer.block).view(
            *split[:2], q.shape[2] * width).sum(-1)
        return total, squares - (diagonal * diagonal).sum(1)

    def inner(self, s):
        """sum_{j != i} J_ij s_j as [B,N,H]; s [B,H,N]."""
        picked = (s @ self.q) * self.layer.head_columns
        return self.g @ picked.transpose(1, 2) - self.diagonal * s.transpose(1, 2)

    def dense(self, scale, shift):
        """a J + c [B,H,N,N], the diagonal too, which nobody reads; scale, shift [1,H] or [B,H]."""
        # The shift rides along as one more column: J' = [a G, c] [Q, 1]^T.
        q, g = (self.layer.by_head(part).transpose(1, 2) for part in (self.q, self.g))
        ones = torch.ones_like(q[..., :1])
        left = torch.cat([g * scale[..., None, None], ones * shift[..., None, None]], -1)
        return product(left, torch.cat([q, ones], -1).transpose(2, 3))

    def factors(self, scale, shift):
        """J' = a F F^T + c 1 1^T as factors [B,H,N,D+1] and signs [H,D+1]; scale, shift [1,H]."""
        q, width = self.layer.by_head(self.q).transpose(1, 2), self.layer.dim_head
        batch, heads, tokens, _ = q.shape
        m = self.m.view(batch, heads, width, heads, width)
        m = m.diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2)
        # The jitter keeps a rank-deficient Gram matrix positive definite in float; it is below what
        # the solver's integers resolve.
        trace = m.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
        eye = torch.eye(width, dtype=m.dtype, device=m.device)
        root = torch.linalg.cholesky((m + eye * (3e-6 * trace + 1e-20)).double()).to(m.dtype)
        factor = q @ root * scale.abs().sqrt()[..., None, None]
        column = shift.abs().sqrt()[..., None, None].expand(batch, -1, tokens, 1)
        sign = torch.where(torch.stack([scale[0], shift[0]], -1) < 0, -1.0, 1.0)
        signs = torch.cat([sign[:, :1].expand(-1, width), sign[:, 1:]], -1)
        return torch.cat([factor, column], -1), signs


class BilinearCouplings:
    """J = (Q K^T + K Q^T) / (2 sqrt D) of all heads; qk [B,N,2 H D], all queries before all
    keys."""

    def __init__(self, qk, layer):
        self.qk, self.layer = qk, layer
        self.unit = 0.5 * layer.dim_head ** -0.5

    def inner(self, s):
        """sum_{j != i} J_ij s_j as [B,N,H]; s [B,H,N]."""
        return BilinearSums.apply(self.qk, s, self.layer.head_columns, self.unit)

    def dense(self, scale, _):
        """a J [B,H,N,N], the diagonal too, which nobody reads; scale [1,H] or [B,H]. No layer of
        this rule has a shift."""
        q, k = (self.layer.by_head(part).transpose(1, 2) for part in self.qk.chunk(2, -1))
        batch, heads, tokens, width = q.shape
        # With a head's rows on the left one behind the other, and its columns on the right, a
        # product of 49 x 16 takes half of the time [measured].
        left = q.new_empty(batch, heads, tokens, 2 * width)
        right = q.new_empty(batch, heads, 2 * width, tokens)
        for at, own, other in ((slice(width), q, k), (slice(width, None), k, q)):
            left[..., at] = own
            right[:, :, at] = other.transpose(2, 3)
        left *= (scale * self.unit)[..., None, None]
        return product(left, right)

    def factors(self, scale, _):
        """J' = a (P P^T - M M^T) with P, M = (Q +- K) / (2 D^1/4): factors [B,H,N,2D] and signs
        [H,2D]."""
        q, k = (self.layer.by_head(part).transpose(1, 2) for part in self.qk.chunk(2, -1))
        unit = (0.5 * self.unit * scale.abs()).sqrt()[..., None, None]
        sign = torch.where(scale[0] < 0, -1.0, 1.0)[:, None].expand(-1, self.layer.dim_head)
        return torch.cat([(q + k) * unit, (q - k) * unit], -1), torch.cat([sign, -sign], -1)


class BilinearSums(torch.autograd.Function):
    """qk [B,N,2 H D] and s [B,H,N] -> sum_{j != i} J_ij s_j [B,N,H], J = unit (Q K^T + K Q^T).

    columns [H,H D]: 1 in a head's own. All heads are one product, of which what is outside a
    head's columns is thrown away."""

    @staticmethod
    def forward(context, qk, s, columns, unit):
        q, k = qk.chunk(2, -1)
        picked = swapped_sums(s, qk, columns * unit)
        itself = ((q * k) @ (2 * unit * columns.t())).mul_(s.transpose(1, 2))
        context.save_for_backward(qk, s, columns, picked)
        context.unit = unit
        return multiply(qk, picked.transpose(1, 2)).sub_(itself)

    @staticmethod
    @once_differentiable
    def backward(context, gradient):
        """With a = dL/dsum: token i gets a_i times what the s_j pick, and s_i times what the a_j
        pick, each without itself."""
        qk, s, columns, picked = context.saved_tensors
        across = gradient.transpose(1, 2)
        rows = torch.cat([picked, swapped_sums(across, qk, columns * context.unit)], 1)
        of_qk = multiply(torch.cat([across, s], 1).transpose(1, 2), rows)
        itself = (gradient * s.transpose(1, 2)) @ (-2 * context.unit * columns)
        for part, other in zip(of_qk.chunk(2, -1), qk.chunk(2, -1)[::-1]):
            part.addcmul_(itself, other)
        return of_qk, None, None, None


def swapped_sums(s, qk, columns):
    """sum_i s_ti k_i, then the same of q, in a head's own columns, [B,H,2 H D]."""
    return torch.cat([part * columns for part in multiply(s, qk).chunk(2, -1)[::-1]], -1)


def autocasts(x):
    """Whether torch.autocast is active on the device of x."""
    return torch.is_autocast_enabled() if x.is_cuda else torch.is_autocast_cpu_enabled()


def check_padding(x, mask, count):
    """ValueError unless `mask` says of x [B,N,dim] what `count` says, which the solver is given."""
    if mask is None and count is None:
        return
    if mask is None or count is None:
        raise ValueError(f"a {'count' if mask is None else 'mask'} alone, expected mask and count, "
                         "or none of both")
    real = torch.arange(x.shape[1], device=mask.device)[None] < count.to(mask.device)[:, None]
    if mask.shape != x.shape[:2] or not torch.equal(mask.to(torch.bool), real):
        raise ValueError(f"mask {list(mask.shape)} of x {list(x.shape)}: expected 1 for the first "
                         "`count` tokens of each sample and 0 behind them")


@dataclass(frozen=True)
class Rule:
    """What the kinds of QAMA differ in."""
    couplings: type
    pair: int = 1  # times that the energy counts J_ij of a pair i < j
    norms: str = "one"  # of q, k and v: "one" together, or "each" its own
    field: str = "sum"  # h_ti = v_ti . w_eps, or its "mean" over the dimensions
    output_rho: bool = True  # the output's energies have rho h, else h
    projection: bool = True  # a linear map behind the heads
    normalises: bool = True  # the model file has scales and shifts of J and h


# "qama_bilinear" is what the authors' published code computes, which has neither normalisation.
RULES = {"qama": Rule(GramCouplings),
         "qama_bilinear": Rule(BilinearCouplings, pair=2, norms="each", field="mean",
                               output_rho=False, projection=False, normalises=False)}


class QAMAttention(nn.Module):
    """Pre-norm QAMA attention: x [B,N,dim] -> [B,N,dim], the residual is the caller's.

    normalisation: of J and h, as the model file has it: "batch" learns statistics, "instance" takes
    each sample's, "none"; energy_norm likewise: "batch", "layer", "none". rho0, gamma0: of Eq. 10.
    `solver`: anything with solve() and solve_factors() of Solver; None: Solver() with its defaults,
    opened at the first forward. `mask` [B,N] of 0/1 floats and `count` [B] describe padded text,
    both or none: a sample's first `count` tokens are real, of which there is at least one. Padded
    positions are no spins and their output is 0, and the penalty is that of the sample's own
    tokens.

    Under torch.autocast the layer computes in the type of its weights, since couplings decide which
    spins are best. The solver draws anew at every call: torch.utils.checkpoint, which runs a
    forward pass twice, would see two answers. There is no second derivative of `qama_bilinear`.

    torch.onnx.export makes one node of a layer (onnx.py). For it the network's forward may set
    `seed` and `index`, int64 tensors [1]: the solver's seed and the index of the batch's first
    sample; None: the solver's own, and 0. `number`: which layer of the network this is, so that
    layers have random numbers of their own.
    """

    seed = index = None
    number = 0

    def __init__(self, dim, heads, dim_head, eps=1e-5, normalisation="batch", energy_norm="batch",
                 rho0=0.16, gamma0=0.8, shared_w_eps=True, kind="qama", solver=None):
        super().__init__()
        if normalisation not in NORMALISATIONS or energy_norm not in ENERGY_NORMS:
            raise ValueError(f"normalisation '{normalisation}', energy norm '{energy_norm}': "
                             "expected one of "
                             f"{NORMALISATIONS} and of {ENERGY_NORMS}")
        inner = heads * dim_head
        self.heads, self.dim_head, self.rho0, self.gamma0 = heads, dim_head, rho0, gamma0
        self.normalisation, self.energy_norm = normalisation, energy_norm
        self.eps, self.kind, self.rule = eps, kind, RULES[kind]
        for name in ("norm",) if self.rule.norms == "one" else ("norm_q", "norm_k", "norm_v"):
            setattr(self, name, nn.LayerNorm(dim, eps=eps))
        self.qkv = nn.Linear(dim, 3 * inner, bias=False)
        if self.rule.projection:
            self.out = nn.Linear(inner, dim, bias=False)
        elif inner != dim:
            raise ValueError(f"{heads} heads of {dim_head}, expected {dim} dimensions of all "
                             f"heads, since {kind} has no output projection")
        if not self.rule.normalises and (normalisation, energy_norm) != ("none", "none"):
            raise ValueError(f"normalisation '{normalisation}', energy norm '{energy_norm}': "
                             f"expected none of both, since {kind} has no normalisations")
        self.w_eps = nn.Parameter(torch.randn(1 if shared_w_eps else heads, dim_head))
        self.coupling = HeadNorm(heads, normalisation, eps)
        self.field = HeadNorm(heads, normalisation, eps)
        if energy_norm == "batch":
            self.energy = HeadNorm(heads, "batch", eps)
        elif energy_norm == "layer":
            self.energy = nn.LayerNorm(inner, eps=eps)
        # Heads side by side in one matrix: 1 inside a head's D x D block (D columns), 0 outside.
        columns = torch.arange(inner) // dim_head
        self.register_buffer("block", (columns[:, None] == columns).float(), persistent=False)
        self.register_buffer("head_columns", (torch.arange(heads)[:, None] == columns).float(),
                             persistent=False)
        self.solver = solver

    def by_head(self, x):
        """[B,N,H D] as [B,N,H,D]."""
        return x.view(*x.shape[:2], self.heads, self.dim_head)

    def forward(self, x, mask=None, count=None, trace=None, spins=None):
        """`trace`: dictionary that receives attn_norm, spins, energies; `spins`: given instead of
        solved."""
        if torch.onnx.is_in_onnx_export():
            if mask is not None:
                raise ValueError("padded texts in a QAMA layer that is exported to ONNX: expected "
                                 "samples without a mask")
            return onnx.node(self, x)
        if torch.jit.is_tracing():
            raise RuntimeError("a QAMA layer in torch.jit.trace, which would keep this sample's "
                               "spins for all others: expected torch.onnx.export or "
                               "qama_export.export")
        if autocasts(x):
            with torch.autocast(x.device.type, enabled=False):
                return self.forward(x.to(self.qkv.weight.dtype), mask, count, trace, spins)
        check_padding(x, mask, count)
        batch, tokens, _ = x.shape
        normed, qk, h = self.project(x, mask)
        if mask is None:
            length, pairs = tokens, float(tokens * (tokens - 1))
        else:
            length = count.to(x.dtype)
            pairs = length * (length - 1)
        couplings = self.rule.couplings(qk, self)
        scale, shift = self.coupling(lambda: couplings.moments(), pairs)
        h_scale, h_shift = self.field(lambda: (h.sum(1), (h * h).sum(1)), length)
        if self.normalisation != "none":
            h = h * h_scale[:, None] + h_shift[:, None]
        if mask is not None:
            h = h * mask[..., None]
        field = h * (length * self.rho0 if mask is None else (length * self.rho0)[:, None, None])
        if spins is None:
            with torch.no_grad():
                spins = self._solve(couplings, scale, shift, field.detach().transpose(1, 2),
                                    count)
        spun = spins.to(x.dtype)
        s = spun.transpose(1, 2)

        in_head = couplings.inner(spun)
        if self.normalisation != "none":
            in_head = scale[:, None] * in_head + shift[:, None] * (s.sum(1, keepdim=True) - s)
        energies = -s * (in_head + (field if self.rule.output_rho else h))
        if trace is not None:
            trace.update(attn_norm=normed, spins=spins, energies=energies.transpose(1, 2))
        if self.energy_norm == "batch":
            e_scale, e_shift = self.energy(lambda: (energies.sum(1), (energies * energies).sum(1)),
                                           length)
            energies = energies * e_scale[:, None] + e_shift[:, None]
        heads = (energies.reshape(-1, self.heads) @ self.read()).view(
            batch, tokens, self.heads * self.dim_head)
        if self.energy_norm == "layer":
            heads = self.energy(heads)
        result = self.out(heads) if self.rule.projection else heads
        return result if mask is None else result * mask[..., None]

    def read(self):
        """w_eps of each head beside the others' zeros, [H, H D]."""
        split = self.head_columns.view(self.heads, self.heads, self.dim_head)
        return (self.w_eps * split).flatten(1)

    def project(self, x, mask):
        """The norm of x, q and k [B,N,2 H D] and h [B,N,H] before it is normalised."""
        if self.rule.norms == "one":
            normed = self.norm(x)
            qkv = self.qkv(normed)
            if mask is not None:
                qkv = qkv * mask[..., None]
            qk, v = qkv.split([2 * self.heads * self.dim_head, self.heads * self.dim_head], -1)
            # One value a token and head; padded positions are 0 and stay out of the sums.
            return normed, qk, (self.by_head(v) * self.w_eps).sum(-1)
        # Three norms of one row differ in scale and shift only, which go into the weights: one
        # product in place of three, with a column a head for h.
        normed = functional.layer_norm(x, x.shape[-1:], eps=self.eps)
        weight = self.qkv.weight.view(3, -1, x.shape[-1])
        norms = (self.norm_q, self.norm_k, self.norm_v)
        biases = torch.einsum("pic,pc->pi", weight, torch.stack([norm.bias for norm in norms]))
        if self.qkv.bias is not None:
            biases = biases + self.qkv.bias.view(3, -1)
        weight = weight * torch.stack([norm.weight for norm in norms])[:, None]
        read = self.read()
        if self.rule.field == "mean":
            read = read / self.dim_head
        weight = torch.cat([weight[0], weight[1], read @ weight[2]])
        qkh = functional.linear(normed, weight, torch.cat([biases[0], biases[1],
                                                           read @ biases[2]]))
        if mask is not None:
            qkh = qkh * mask[..., None]
        return normed, *qkh.split([2 * self.heads * self.dim_head, self.heads], -1)

    def penalty(self, tokens):
        """lambda of Eq. 3 after Eq. 10."""
        if self.heads == 1:
            return 0.0
        return tokens * math.sqrt(2.0 / math.pi) / (self.heads - 1) * self.gamma0

    def _solve(self, couplings, scale, shift, field, count):
        if self.solver is None:
            self.solver = Solver()
        batch, _, tokens = field.shape
        penalty = self.penalty(tokens)
        if self.rule.pair != 1:
            scale, shift = scale * self.rule.pair, shift * self.rule.pair
        if count is not None and self.heads > 1:
            # The solver takes one penalty for all samples. A problem times a number has the same
            # answer, so each sample's other terms grow by what its own penalty, which goes with its
            # tokens, is smaller.
            times = (tokens / count.clamp(min=1)).to(field.dtype)
            scale, shift = scale * times[:, None], shift * times[:, None]
            field = field * times[:, None, None]
        if tokens < FACTOR_TOKENS or self.normalisation == "instance":
            return self.solver.solve(couplings.dense(scale, shift), field, penalty, count)
        factors, signs = couplings.factors(scale, shift)
        return self.solver.solve_factors(factors, signs, field, penalty, count)
