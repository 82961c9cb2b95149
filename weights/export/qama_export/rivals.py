"""The attention kinds that the paper compares QAMA with (Table VII), for training and export.

Each class says what is computed, by its own paper, in dense matrices: that is quickest at the 64
tokens that are trained, and short. The runtime's operators (ops/attention) compute the same with
the memory that the method promises. Random parts (BigBird's blocks, Performer's features,
Reformer's rotations) are drawn once and stored in the model file, so that a model always gives the
same answer.

A new kind is a class derived from Mixing and a line in KINDS; its keys of the architecture record
are `options`, its tensors the names of its parameters and buffers.
"""
import torch
from qama.torch.small_products import by_torch, product
from torch import nn

from .attend import FAR, Attend


class Mixing(nn.Module):
    """Pre-norm attention whose heads mix values: norm, projection, mix(), output projection.

    A class gives `options` (keys of the attention record with the defaults of train.py), `parts`
    (how many projections qkv makes) and mix(). Padded positions are keys of nobody and their output
    is 0.
    """
    options, parts = {}, 3

    def __init__(self, record):
        super().__init__()
        self.dim, self.heads, self.dim_head = record["dim"], record["heads"], record["dim_head"]
        self.tokens = tokens_of(record)
        for name in self.options:
            setattr(self, name, record["attention"][name])
        inner = self.heads * self.dim_head
        self.norm = nn.LayerNorm(self.dim, eps=record["norm_eps"])
        self.qkv = nn.Linear(self.dim, self.parts * inner, bias=False)
        self.out = nn.Linear(inner, self.dim, bias=False)

    def forward(self, x, mask=None, count=None, trace=None, spins=None):
        normed = self.norm(x)
        batch, tokens, _ = x.shape
        projected = self.qkv(normed).view(batch, tokens, self.parts, self.heads, self.dim_head)
        heads = self.mixed(projected, mask)
        if trace is not None:
            trace.update(attn_norm=normed)
        result = self.out(heads)
        return result if mask is None else result * mask[..., None]

    def mixed(self, projected, mask):
        """[B,N,parts,H,D] and mask [B,N], or None, -> [B,N,H D]."""
        batch, tokens = projected.shape[:2]
        if mask is None:
            valid = torch.ones(batch, tokens, dtype=torch.bool, device=projected.device)
        else:
            valid = mask > 0
        heads = self.mix(*projected.permute(2, 0, 3, 1, 4).unbind(0), valid)
        return heads.transpose(1, 2).reshape(batch, tokens, -1)

    def mix(self, *parts):
        """The parts, each [B,H,N,D], and valid [B,N] -> [B,H,N,D]."""
        raise NotImplementedError


def tokens_of(record):
    """N of an architecture record: the tokens that the blocks see (text: at most)."""
    if record["kind"] == "text_transformer":
        return record["sequence"]["max_tokens"]
    if record["kind"] == "feature_transformer":
        return record["features"]["tokens"]
    image, patch, pool = record["image"], record["patch"], record["token_pool"]
    return (image["height"] // patch) * (image["width"] // patch) // (pool[0] * pool[1])


class Sparse(Mixing):
    """Softmax attention over the pairs of tokens that allowed() names; tokens without a key get
    0."""

    def allowed(self, tokens, device):
        """bool [N,N]: whether a query (row) sees a key."""
        raise NotImplementedError

    def mixed(self, projected, mask):
        if mask is not None or by_torch(projected):
            return super().mixed(projected, mask)
        return Attend.apply(projected, self.allowed(projected.shape[1], projected.device))

    def mix(self, q, k, v, valid):
        allowed = self.allowed(q.shape[2], q.device) & valid[:, None, None]
        score = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).masked_fill(~allowed, FAR)
        return score.softmax(-1).masked_fill(~allowed, 0.0) @ v


class Longformer(Sparse):
    """Beltagy et al. 2020: a token sees `window` tokens on either side and the first
    `global_tokens` tokens, which see everything. One set of projections serves both.
    """
    options = {"window": 8, "global_tokens": 2}

    def allowed(self, tokens, device):
        position = torch.arange(tokens, device=device)
        near = (position[:, None] - position).abs() <= self.window
        first = position < self.global_tokens
        return near | first | first[:, None]


class BigBird(Sparse):
    """Zaheer et al. 2020, by blocks of `block` tokens: a block sees `window_blocks` blocks on
    either side, the first `global_blocks` blocks, which see everything, and `random_blocks` blocks
    drawn once.
    """
    options = {"block": 8, "window_blocks": 1, "global_blocks": 1, "random_blocks": 2}

    def __init__(self, record):
        random_blocks = record["attention"]["random_blocks"]
        super().__init__(record)
        del self.random_blocks
        blocks = -(-self.tokens // self.block)
        drawn = torch.zeros(blocks, random_blocks, dtype=torch.int32)
        for row in range(blocks):
            others = [b for b in range(self.global_blocks, blocks) if abs(b - row)
                      > self.window_blocks]
            chosen = torch.randperm(len(others))[:random_blocks].tolist()
            # Where there are not enough others the block's own number fills the row: it is in the
            # window.
            row_blocks = [others[i] for i in chosen] + [row] * (random_blocks - len(chosen))
            drawn[row] = torch.tensor(row_blocks, dtype=torch.int32)
        self.register_buffer("random_blocks", drawn)

    def allowed(self, tokens, device):
        blocks = len(self.random_blocks)
        number = torch.arange(blocks, device=device)
        sees = (number[:, None] - number).abs() <= self.window_blocks
        first = number < self.global_blocks
        sees = sees | first | first[:, None]
        sees = sees.scatter(1, self.random_blocks.long(), True)
        of_token = torch.arange(tokens, device=device) // self.block
        return sees[of_token][:, of_token]


class Linformer(Mixing):
    """Wang et al. 2020: keys and values of all tokens are projected to `rank` rows, one projection
    for keys and one for values in a layer, shared by its heads.
    """
    options = {"rank": 32}

    def __init__(self, record):
        super().__init__(record)
        self.proj_k = nn.Parameter(torch.randn(self.rank, self.tokens) * self.tokens ** -0.5)
        self.proj_v = nn.Parameter(torch.randn(self.rank, self.tokens) * self.tokens ** -0.5)

    def mix(self, q, k, v, valid):
        kept = valid[:, None, :, None].to(q.dtype)
        tokens = q.shape[2]
        batch, heads = k.shape[:2]
        k, v = (product(proj[:, :tokens].expand(batch, heads, -1, -1), x * kept)
                for proj, x in ((self.proj_k, k), (self.proj_v, v)))
        scores = product(q * self.dim_head ** -0.5, k.transpose(2, 3))
        return product(scores.softmax(-1), v)


class Performer(Mixing):
    """Choromanski et al. 2021, FAVOR+: softmax kernel through `features` positive orthogonal random
    features,
        phi(x) = m^-1/2 (exp(w y - |y|^2 / 2 - c) + EPS),  y = x D^-1/4,
    with c the largest w y of a query, or of all keys of a head.
    """
    options = {"features": 64}
    EPS = 1e-4

    def __init__(self, record):
        super().__init__(record)
        count, self.feature_count = self.features, self.features
        del self.features
        self.register_buffer("features", orthogonal_rows(count, self.dim_head))

    def mix(self, q, k, v, valid):
        kept = valid[:, None, :, None]
        queries, q_norms = self.projected(q)
        keys, k_norms = self.projected(k)
        queries = (queries - q_norms - queries.detach().amax(-1, keepdim=True)).exp() + self.EPS
        largest = keys.detach().masked_fill(~kept, FAR).amax((2, 3), keepdim=True)
        keys = ((keys - k_norms - largest).exp() + self.EPS) * kept.to(k.dtype)
        # The factor m^-1/2 of both cancels.
        total = product(queries, keys.sum(2).unsqueeze(-1))
        return product(queries, product(keys.transpose(2, 3), v)) / total

    def projected(self, x):
        x = x * self.dim_head ** -0.25
        return x @ self.features.t(), x.square().sum(-1, keepdim=True) / 2


def orthogonal_rows(count, width):
    """Gaussian rows [count, width], orthogonal in groups of `width`."""
    groups = []
    for _ in range(-(-count // width)):
        basis, _ = torch.linalg.qr(torch.randn(width, width))
        groups.append(basis.t() * torch.randn(width, width).norm(dim=1, keepdim=True))
    return torch.cat(groups)[:count].contiguous()


class Reformer(Mixing):
    """Kitaev et al. 2020, LSH attention: queries are keys (keys of unit length). In each of
    `hashes` rounds tokens are sorted by bucket, argmax [y R, -y R] of `buckets`, then position, and
    cut into chunks of `chunk` tokens; a token sees its chunk and the one before (the first: the
    last), but itself only where it is alone. Rounds are averaged with the weights of their softmax
    sums.
    """
    options, parts = {"hashes": 2, "buckets": 4, "chunk": 16}, 2
    SHORTEST = 1e-6

    def __init__(self, record):
        super().__init__(record)
        self.register_buffer("rotations", torch.randn(self.hashes, self.dim_head,
                                                      self.buckets // 2))

    def mix(self, q, v, valid):
        k = q / q.norm(dim=-1, keepdim=True).clamp(min=self.SHORTEST)
        score = product(q * self.dim_head ** -0.5, k.transpose(2, 3))
        # A round's weight is its softmax sum, so the average over rounds is one softmax in which a
        # pair counts as often as it meets.
        meets = sum(self.neighbours(q.detach() @ rotation, valid).to(q.dtype)
                    for rotation in self.rotations)
        top = score.detach().masked_fill(meets == 0, FAR).amax(-1, keepdim=True)
        weights = (score - top).clamp(max=0).exp() * meets
        return product(weights, v) / weights.sum(-1, keepdim=True).clamp(min=1e-30)

    def neighbours(self, rotated, valid):
        """Who sees whom [B,H,N,N], from y R [B,H,N,buckets/2]; padded tokens sort behind the
        others."""
        tokens = rotated.shape[2]
        bucket = torch.cat([rotated, -rotated], -1).argmax(-1)
        bucket = bucket.masked_fill(~valid[:, None], self.buckets)
        position = torch.arange(tokens, device=rotated.device)
        order = (bucket * tokens + position).argsort(-1)
        rank = torch.empty_like(order).scatter_(-1, order, position.expand_as(order))
        chunk = rank // self.chunk
        chunks = ((valid.sum(1) + self.chunk - 1) // self.chunk).clamp(min=1)[:, None, None]
        before = torch.where(chunk == 0, chunks - 1, chunk - 1)
        seen = chunk[..., None, :]
        allowed = ((chunk[..., None] == seen) | (before[..., None] == seen)) & valid[:, None, None]
        itself = torch.eye(tokens, dtype=torch.bool, device=rotated.device)
        others = allowed & ~itself
        return others | (itself & ~others.any(-1, keepdim=True))


KINDS = {"longformer": Longformer, "bigbird": BigBird, "linformer": Linformer,
         "performer": Performer,
         "reformer": Reformer}
