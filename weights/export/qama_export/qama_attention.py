"""The QAMA operator for training: Eq. 3-6 and 10 of the paper, with the normalisations of the model
file.

Nothing of size N x N is kept for the backward pass. With M = K^T K / (2D) and G = Q M,
J = G Q^T (Eq. 4), so energies need Q^T s only, and mean and variance of J come from Gram matrices;
J itself (or its factor F = Q chol(M)) is built once without gradient, for the solver. The spins are
constants of the differentiation (Eq. 6).
"""
import math

import torch
from torch import nn

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

    def forward(self, moments, count):
        """moments: function -> (sum, sum of squares), each [B,H]; count [B] or number: values in a
        sum.

        Returns (scale, shift), each [1,H] or [B,H]. The moments are not asked for where they are
        not used.
        """
        if self.kind == "none":
            return self.folded()
        if self.kind == "batch" and not self.training and self.unfolding is None:
            return self.folded()
        total, squares = (m.double() for m in moments())
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


class QamaAttention(nn.Module):
    """Pre-norm QAMA attention: x [B,N,dim] -> [B,N,dim], the residual is the caller's.

    `solver`: anything with solve() and solve_factors() of solver.Solver; set it before the first
    forward. `mask` [B,N] of 0/1 floats and `count` [B] describe padded text; padded positions are
    no spins and their output is 0, and the penalty is that of the sample's own tokens.
    """

    def __init__(self, dim, heads, dim_head, eps=1e-5, normalisation="batch", energy_norm="batch",
                 rho0=0.16, gamma0=0.8, shared_w_eps=True):
        super().__init__()
        if normalisation not in NORMALISATIONS or energy_norm not in ENERGY_NORMS:
            raise ValueError(f"normalisation '{normalisation}', energy norm '{energy_norm}': "
                             "expected one of "
                             f"{NORMALISATIONS} and of {ENERGY_NORMS}")
        inner = heads * dim_head
        self.heads, self.dim_head, self.rho0, self.gamma0 = heads, dim_head, rho0, gamma0
        self.normalisation, self.energy_norm = normalisation, energy_norm
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.qkv = nn.Linear(dim, 3 * inner, bias=False)
        self.out = nn.Linear(inner, dim, bias=False)
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
        self.solver = None

    def forward(self, x, mask=None, count=None, trace=None, spins=None):
        """`trace`: dictionary that receives attn_norm, spins, energies; `spins`: given instead of
        solved."""
        normed = self.norm(x)
        batch, tokens, _ = x.shape
        split = (batch, tokens, self.heads, self.dim_head)
        qkv = self.qkv(normed)
        if mask is None:
            length, pairs = tokens, float(tokens * (tokens - 1))
        else:
            qkv = qkv * mask[..., None]
            length = count.to(x.dtype)
            pairs = length * (length - 1)
        q, k, v = qkv.chunk(3, -1)

        # All heads' M at once, as blocks of one matrix: many small products are slower than one
        # large one of which the blocks outside the diagonal are thrown away.
        m = k.transpose(1, 2) @ k * (self.block * (0.5 / self.dim_head))
        g = q @ m
        diagonal = (g * q).view(split).sum(-1)
        scale, shift = self.coupling(lambda: self._coupling_moments(q, m, diagonal), pairs)
        # One value a token and head; padded positions are 0 and stay out of the sums.
        h = (v.reshape(split) * self.w_eps).sum(-1)
        h_scale, h_shift = self.field(lambda: (h.sum(1), (h * h).sum(1)), length)
        h = h * h_scale[:, None] + h_shift[:, None]
        if mask is not None:
            h = h * mask[..., None]
        field = h * (length * self.rho0 if mask is None else (length * self.rho0)[:, None, None])
        if spins is None:
            with torch.no_grad():
                spins = self._solve(q, m, g, scale, shift, field.detach().transpose(1, 2),
                                    count)
        s = spins.to(x.dtype)

        picked = (s @ q) * self.head_columns
        s = s.transpose(1, 2)
        in_head = g @ picked.transpose(1, 2) - diagonal * s
        in_head = scale[:, None] * in_head + shift[:, None] * (s.sum(1, keepdim=True) - s)
        energies = -s * (in_head + field)
        if trace is not None:
            trace.update(attn_norm=normed, spins=spins, energies=energies.transpose(1, 2))
        if self.energy_norm == "batch":
            e_scale, e_shift = self.energy(lambda: (energies.sum(1), (energies * energies).sum(1)),
                                           length)
            energies = energies * e_scale[:, None] + e_shift[:, None]
        heads = (energies[..., None] * self.w_eps).flatten(2)
        if self.energy_norm == "layer":
            heads = self.energy(heads)
        result = self.out(heads)
        return result if mask is None else result * mask[..., None]

    def penalty(self, tokens):
        """lambda of Eq. 3 after Eq. 10."""
        if self.heads == 1:
            return 0.0
        return tokens * math.sqrt(2.0 / math.pi) / (self.heads - 1) * self.gamma0

    def _coupling_moments(self, q, m, diagonal):
        """Sums of J and J^2 over the off-diagonal entries, without J: 1^T J 1 and tr(M C M C), C =
        Q^T Q."""
        batch = q.shape[0]
        ones = q.sum(1, keepdim=True)
        total = ((ones @ m) * ones).view(batch, self.heads, -1).sum(-1) - diagonal.sum(1)
        mc = m @ (q.transpose(1, 2) @ q)
        squares = (mc * mc.transpose(1, 2) * self.block).view(batch, self.heads, -1).sum(-1)
        return total, squares - (diagonal * diagonal).sum(1)

    def _solve(self, q, m, g, scale, shift, field, count):
        if self.solver is None:
            raise RuntimeError("QamaAttention: no solver set (model.set_solver)")
        batch, tokens, _ = q.shape
        penalty = self.penalty(tokens)
        if count is not None and self.heads > 1:
            # The solver takes one penalty for all samples. A problem times a number has the same
            # answer, so each sample's other terms grow by what its own penalty, which goes with its
            # tokens, is smaller.
            times = (tokens / count.clamp(min=1)).to(q.dtype)
            scale, shift = scale * times[:, None], shift * times[:, None]
            field = field * times[:, None, None]
        by_head = (batch, tokens, self.heads, self.dim_head)
        q = q.reshape(by_head).transpose(1, 2)
        if tokens < FACTOR_TOKENS or self.normalisation == "instance":
            # The shift rides along as one more column: J' = [a G, c] [Q, 1]^T.
            g = g.view(by_head).transpose(1, 2)
            ones = torch.ones_like(q[..., :1])
            left = torch.cat([g * scale[..., None, None], ones * shift[..., None, None]], -1)
            couplings = left @ torch.cat([q, ones], -1).transpose(2, 3)
            return self.solver.solve(couplings, field, penalty, count)
        factors, signs = self.factors(q, m, scale, shift)
        return self.solver.solve_factors(factors, signs, field, penalty, count)

    def factors(self, q, m, scale, shift):
        """J' = a F F^T + c 1 1^T as factors [B,H,N,D+1] and signs [H,D+1].

        q [B,H,N,D]; m [B,HD,HD] with one block a head; scale, shift [1,H].
        """
        batch, heads, tokens, width = q.shape
        m = m.view(batch, heads, width, heads, width).diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2)
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
