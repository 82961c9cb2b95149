"""Softmax attention as one function of the differentiation, for CPUs.

What is N x N is worked on for some samples at a time, in the cache.
"""
import numpy as np
import torch
from torch.autograd.function import once_differentiable

# Numbers N x N that are worked on at a time: 1 MiB of floats.
CHUNK = 2 ** 18
# exp() of scores up to here needs no largest one taken away: sums and gradients stay far from the
# ends of the float range.
SAFE = 30.0
FAR = -1e30  # a score that exp() makes 0; infinity's difference and gradient would be NaN


class Attend(torch.autograd.Function):
    """qkv [B,N,3,H,D] -> [B,N,H D], softmax(q k^T D^-1/2) v of each head; on the CPU, floats or
    doubles. keep [N,N]: 1 where a query may see a key, 0 elsewhere; None: everything. Queries that
    see nothing get 0."""

    @staticmethod
    def forward(context, qkv, keep=None):
        batch, tokens, _, heads, dim_head = qkv.shape
        _, k, v = by_head(qkv)
        q = (qkv.detach()[:, :, 0] * dim_head ** -0.5).transpose(1, 2).numpy()
        keep = None if keep is None else keep.to(qkv.dtype)
        out = torch.empty(batch, tokens, heads, dim_head, dtype=qkv.dtype)
        sums = torch.empty(batch, heads, tokens, dtype=qkv.dtype)
        of_head = out.transpose(1, 2).numpy()
        weights = torch.empty(batch, heads, tokens, tokens, dtype=qkv.dtype)
        for part in chunks(batch, heads * tokens * tokens):
            exponentials(q[part], k[part], keep, weights[part])
            torch.sum(weights[part], -1, out=sums[part])
            np.matmul(weights[part].numpy(), v[part], out=of_head[part])
        inverse = 1 / sums.transpose(1, 2).clamp(min=1e-30)
        out *= inverse[..., None]
        context.save_for_backward(qkv, out, inverse, weights)
        context.q = q
        return out.view(batch, tokens, -1)

    @staticmethod
    @once_differentiable
    def backward(context, gradient):
        qkv, out, inverse, weights = context.saved_tensors
        batch, tokens, _, heads, dim_head = qkv.shape
        # With weights E, each query's divided by their sum: dL/dscore = E (g v - g o), where g is
        # dL/do divided by that sum.
        g = gradient.reshape(out.shape) * inverse[..., None]
        mean = (g * out).sum(-1).transpose(1, 2)[..., None]
        g = g.transpose(1, 2).numpy()
        _, k, v = by_head(qkv)
        of_qkv = torch.empty(qkv.shape, dtype=qkv.dtype)
        of_q, of_k, of_v = by_head(of_qkv)
        for part in chunks(batch, heads * tokens * tokens):
            of_score = np.matmul(g[part], v[part].swapaxes(2, 3))
            torch.from_numpy(of_score).sub_(mean[part]).mul_(weights[part])
            np.matmul(weights[part].numpy().swapaxes(2, 3), g[part], out=of_v[part])
            np.matmul(of_score, k[part], out=of_q[part])
            np.matmul(of_score.swapaxes(2, 3), context.q[part], out=of_k[part])
        of_qkv[:, :, 0] *= dim_head ** -0.5
        return of_qkv, None


def by_head(qkv):
    """[B,N,3,H,D] as q, k and v [B,H,N,D], numpy's views."""
    return qkv.detach().permute(2, 0, 3, 1, 4).numpy()


def chunks(batch, each):
    """Slices of a batch whose samples have `each` numbers."""
    step = max(1, CHUNK // each)
    return [slice(begin, begin + step) for begin in range(0, batch, step)]


def exponentials(q, k, keep, into):
    """exp(q k^T - c) [B,H,N,N], c a number of each query, or 0; 0 where `keep` is."""
    scores = np.matmul(q, k.swapaxes(2, 3), out=into.numpy())
    if max(scores.max(), -scores.min()) > SAFE:
        if keep is not None:
            into.masked_fill_(keep == 0, FAR)
        into -= into.amax(-1, keepdim=True)
    into.exp_()
    if keep is not None:
        into *= keep
