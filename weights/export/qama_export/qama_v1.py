"""The first version of QAMA, as the authors' published code computes it, for training and
carried-over models.

    J_tij = JSD(softmax q_ti, softmax k_tj) in bits, every pair of tokens; off the diagonal batch
            norm a head
    v' = clamp(v / (sum v + EPS), EPS, 1),  u_tid = -v' log2 v',  h_ti = sum_d u_tid, batch norm
            a head
    w_ti = x_ti / (2^b - 1), x_ti of b bits (soft selection), minimises
        - quadratic sum_t sum_ij J_tij w_ti w_tj - linear sum_ti h_ti w_ti
        + penalty / (H (H-1) / 2) sum_{t1<t2} sum_i sum_bits x_t1i x_t2i
    e_ti = - quadratic sum_j J_tij w_ti w_tj - linear h_ti w_ti
    out_tid = batch norm a head of - e_ti u_tid / h_ti
Spins are bits: spin i b + k of a head is bit k of token i.
"""
import math

import torch
from qama.torch.attention import HeadNorm
from torch import nn


class QamaV1Attention(nn.Module):
    """Pre-norm first-version QAMA: x [B,N,dim] -> [B,N,dim]; the interface of QAMAttention."""
    EPS = 1e-6
    # Where training starts: the output is divided by h, which a batch norm around 0 would bring
    # near 0. Entropies have a long tail downwards (a token with one large share), hence the small
    # weight.
    FIELD_BIAS, FIELD_WEIGHT = 4.0, 0.5
    # v' divides by the sum of v and is cut at EPS: around 0 it has no gradient to speak of. Rows of
    # v start at this mean, 2.6 of their standard deviations.
    VALUE_BIAS = 1.5

    def __init__(self, dim, heads, dim_head, eps=1e-5, bits=4, quadratic=1.0, linear=1.0,
                 penalty=2.0):
        super().__init__()
        inner = heads * dim_head
        self.heads, self.dim_head, self.bits = heads, dim_head, bits
        self.quadratic, self.linear, self.penalty = quadratic, linear, penalty
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.qkv = nn.Linear(dim, 3 * inner, bias=False)
        self.out = nn.Linear(inner, dim, bias=False)
        self.coupling = HeadNorm(heads, "batch", eps)
        self.field = HeadNorm(heads, "batch", eps)
        self.energy = HeadNorm(heads, "batch", eps)
        self.energy_norm = "batch"
        with torch.no_grad():
            self.field.bias.fill_(self.FIELD_BIAS)
            self.field.weight.fill_(self.FIELD_WEIGHT)
            # A normalised row sums to zero: a constant behind the norm reaches v through this
            # alone.
            self.norm.bias.fill_(self.VALUE_BIAS)
            self.qkv.weight[2 * inner:] += 1 / dim
        self.solver = None

    def forward(self, x, mask=None, count=None, trace=None, spins=None):
        """`trace`: receives attn_norm, spins [B,H,N b], energies [B,H,N]; `spins`: given, not
        solved."""
        normed = self.norm(x)
        batch, tokens, _ = x.shape
        qkv = self.qkv(normed).view(batch, tokens, 3, self.heads, self.dim_head)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        valid = torch.ones(batch, tokens, dtype=x.dtype, device=x.device) if mask is None else mask
        length = tokens if mask is None else count.to(x.dtype)
        row = valid[:, None, :]
        pairs = row[..., None] * row[..., None, :]
        itself = torch.eye(tokens, dtype=x.dtype, device=x.device)
        off = pairs * (1 - itself)

        couplings = self.divergence(q, k)
        scale, shift = self.coupling(lambda: ((couplings * off).sum((2, 3)),
                                              (couplings ** 2 * off).sum((2, 3))),
                                     length * (length - 1))
        couplings = (couplings * scale[..., None, None]
                     + shift[..., None, None]) * off + couplings * itself * pairs
        share = (v / (v.sum(-1, keepdim=True) + self.EPS)).clamp(self.EPS, 1.0)
        entropies = -share * share.log2()
        field = entropies.sum(-1)
        scale, shift = self.field(lambda: ((field * row).sum(2), (field ** 2 * row).sum(2)), length)
        field = field * scale[..., None] + shift[..., None]

        if spins is None:
            with torch.no_grad():
                spins = self._solve(couplings, field * row, count)
        bits = spins.view(batch, self.heads, tokens, self.bits).to(x.dtype)
        w = (bits * self.places(x)).sum(-1) * row
        energies = (-self.quadratic * w * (couplings @ w[..., None])[..., 0] -
                    self.linear * field * w)
        if trace is not None:
            trace.update(attn_norm=normed, spins=spins, energies=energies)
        heads = -(energies / field)[..., None] * entropies * row[..., None]
        scale, shift = self.energy(lambda: (heads.sum((2, 3)), (heads ** 2).sum((2, 3))),
                                   length * self.dim_head)
        heads = heads * scale[..., None, None] + shift[..., None, None]
        result = self.out(heads.transpose(1, 2).flatten(2))
        return result if mask is None else result * mask[..., None]

    def adopt(self, state):
        """Takes over the batch norms of the authors' published layer: J_bn, h_bn and H_bn of its
        state_dict.

        The projections stay the caller's: qkv.weight is their W_q, W_k and W_v one below the other,
        out.weight what follows their attention.
        """
        with torch.no_grad():
            for theirs, ours in (("J_bn", self.coupling), ("h_bn", self.field),
                                 ("H_bn", self.energy)):
                for leaf in ("weight", "bias", "running_mean", "running_var"):
                    getattr(ours, leaf).copy_(state[f"{theirs}.{leaf}"])

    def places(self, like):
        """What a bit is worth in w, [b], of the dtype and on the device of `like`."""
        return 2 ** torch.arange(self.bits, dtype=like.dtype,
                                 device=like.device) / (2 ** self.bits - 1)

    @staticmethod
    def divergence(q, k):
        """Jensen-Shannon divergence in bits of softmax(q_i) and softmax(k_j), [B,H,N,N]."""
        p, r = q.softmax(-1), k.softmax(-1)
        middle = (p[:, :, :, None] + r[:, :, None]) / 2
        own = [torch.xlogy(s, s).sum(-1) for s in (p, r)]
        mixed = torch.xlogy(middle, middle).sum(-1)
        return ((own[0][..., None] + own[1][..., None, :]) / 2 - mixed) / math.log(2.0)

    def problem(self, couplings, field):
        """(couplings [B,H,Nb,Nb], field [B,H,Nb], penalty) of the bits: what the solver is
        given."""
        place = self.places(couplings)
        both = self.quadratic * (couplings + couplings.transpose(2, 3))
        bits = torch.einsum("bhij,k,l->bhikjl", both, place, place).flatten(4).flatten(2, 3)
        # A pair of bits of one token meets in w_i^2 twice, which `both` already holds; a bit meets
        # itself once.
        diagonal = couplings.diagonal(dim1=2, dim2=3)
        fields = (self.quadratic * diagonal[..., None] * place ** 2 +
                  self.linear * field[..., None] * place)
        heads = self.heads
        penalty = self.penalty * 2 / (heads * (heads - 1)) if heads > 1 else 0.0
        return bits, fields.flatten(2), penalty

    def _solve(self, couplings, field, count):
        if self.solver is None:
            raise RuntimeError("QamaV1Attention: no solver set (model.set_solver)")
        bits, fields, penalty = self.problem(couplings, field)
        return self.solver.solve(bits, fields, penalty, None if count is None
                                 else count * self.bits)
