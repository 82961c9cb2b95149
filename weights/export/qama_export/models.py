"""SimpleViT (the public vit-pytorch architecture), the text transformer and the one on features of
another network, for every attention kind.

Module names are the tensor names of the model file. A model is built from its architecture record
alone (build); a new attention kind is a class here or in a file of its own and one line in
make_attention.
"""
import torch
from qama.torch.attention import RULES, QAMAttention
from qama.torch.small_products import by_torch, product
from torch import nn
from torch.nn import functional

from . import rivals
from .attend import Attend
from .qama_v1 import QamaV1Attention


def sincos_2d(rows, columns, dim, temperature=10000.0):
    """Position table [rows*columns, dim] of SimpleViT."""
    if dim < 4 or dim % 4:
        raise ValueError(f"dim {dim}, expected a multiple of 4, since positions are sines and "
                         "cosines of rows and columns")
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    omega = torch.arange(dim // 4) / max(dim // 4 - 1, 1)
    omega = 1.0 / temperature ** omega
    y, x = y.flatten()[:, None] * omega, x.flatten()[:, None] * omega
    return torch.cat((x.sin(), x.cos(), y.sin(), y.cos()), 1).float()


def sincos_1d(tokens, dim, temperature=10000.0):
    """Position table [tokens, dim] of the first transformer, for text."""
    if dim < 2 or dim % 2:
        raise ValueError(f"dim {dim}, expected a multiple of 2, since positions are sines and "
                         "cosines")
    angle = torch.arange(tokens)[:, None] / temperature ** (torch.arange(0, dim, 2) / dim)
    return torch.stack((angle.sin(), angle.cos()), -1).reshape(tokens, dim).float()


class SoftmaxAttention(nn.Module):
    """Pre-norm multi-head attention, scale 1/sqrt(D); padded keys are masked; with a projection
    behind the heads or without. Same interface as QAMA's."""

    def __init__(self, dim, heads, dim_head, eps=1e-5, projection=True):
        super().__init__()
        self.heads, self.dim_head = heads, dim_head
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.qkv = nn.Linear(dim, 3 * heads * dim_head, bias=False)
        self.projection = projection
        if projection:
            self.out = nn.Linear(heads * dim_head, dim, bias=False)
        elif heads * dim_head != dim:
            raise ValueError(f"{heads} heads of {dim_head}, expected {dim} dimensions of all "
                             "heads, since there is no output projection")

    def forward(self, x, mask=None, count=None, trace=None, spins=None):
        normed = self.norm(x)
        batch, tokens, _ = x.shape
        qkv = self.qkv(normed).view(batch, tokens, 3, self.heads, self.dim_head)
        if mask is None and not by_torch(qkv):
            heads = Attend.apply(qkv)
        else:
            q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
            score = product(q, k.transpose(2, 3)) * self.dim_head ** -0.5
            if mask is not None:
                score = score.masked_fill(mask[:, None, None, :] == 0, float("-inf"))
            heads = product(score.softmax(-1), v).transpose(1, 2).reshape(batch, tokens, -1)
        if trace is not None:
            trace.update(attn_norm=normed)
        result = self.out(heads) if self.projection else heads
        return result if mask is None else result * mask[..., None]


class NormBehind(nn.LayerNorm):
    """The norm of a layer that stands behind the sum with what the layer adds; the layer itself
    reads its input as it is."""

    def forward(self, x):
        return x

    def behind(self, x):
        return super().forward(x)


def attention_of(record, block):
    """The attention record of a block."""
    other = record.get("other_attention", {})
    return other if block in other.get("blocks", ()) else record["attention"]


def make_attention(record, block):
    """The attention module that an architecture record asks for in a block, with the biases and
    the norm."""
    attention = make_kind({**record, "attention": attention_of(record, block)})
    for name in ("qkv", "out"):
        if record.get(f"{name}_bias"):
            plain = getattr(attention, name)
            biased = nn.Linear(plain.in_features, plain.out_features)
            biased.weight = plain.weight
            setattr(attention, name, biased)
    if record.get("norm") == "post":
        attention.norm = NormBehind(record["dim"], record["norm_eps"])
    return attention


def make_kind(record):
    dim, heads, dim_head, eps = (record[key] for key in ("dim", "heads", "dim_head", "norm_eps"))
    attention = record["attention"]
    if attention["kind"] == "softmax":
        return SoftmaxAttention(dim, heads, dim_head, eps, attention.get("projection", True))
    if attention["kind"] in RULES:
        return QAMAttention(dim, heads, dim_head, eps, attention.get("normalisation", "none"),
                            attention.get("energy_norm", "none"), attention["rho0"],
                            attention["gamma0"], kind=attention["kind"])
    if attention["kind"] == "qama_v1":
        return QamaV1Attention(dim, heads, dim_head, eps, attention["bits"], attention["quadratic"],
                               attention["linear"], attention["penalty"])
    if attention["kind"] in rivals.KINDS:
        return rivals.KINDS[attention["kind"]](record)
    raise ValueError(f"attention kind '{attention['kind']}', expected softmax, qama_v1, "
                     f"{', '.join([*RULES, *rivals.KINDS])}")


class Mlp(nn.Module):
    def __init__(self, record, dropout):
        super().__init__()
        norm = NormBehind if record.get("norm") == "post" else nn.LayerNorm
        self.norm = norm(record["dim"], eps=record["norm_eps"])
        self.fc1 = nn.Linear(record["dim"], record["mlp"])
        self.fc2 = nn.Linear(record["mlp"], record["dim"])
        self.gelu = {"erf": "none", "tanh": "tanh"}[record["gelu"]]
        self.dropout = dropout

    def forward(self, x):
        hidden = functional.gelu(self.fc1(self.norm(x)), approximate=self.gelu)
        return self.fc2(functional.dropout(hidden, self.dropout, self.training))


class Block(nn.Module):
    """Block number `index`, or the first of those that share these tensors."""

    def __init__(self, record, dropout, index):
        super().__init__()
        self.attn = make_attention(record, index)
        self.mlp = Mlp(record, dropout)
        self.dropout, self.post = dropout, record.get("norm") == "post"

    def forward(self, x, mask=None, count=None, trace=None, spins=None):
        attended = self.attn(x, mask, count, trace, spins)
        x = x + functional.dropout(attended, self.dropout, self.training)
        if self.post:
            x = self.attn.norm.behind(x)
        x = x + functional.dropout(self.mlp(x), self.dropout, self.training)
        if self.post:
            x = self.mlp.norm.behind(x)
        if trace is not None:
            if self.post:
                trace.pop("attn_norm", None)
            trace.update(attn_out=attended, out=x)
        return x


class Patch(nn.Module):
    """Patches of the image as rows (p1 p2 c), normalised, projected, normalised; or projected
    alone."""

    def __init__(self, record):
        super().__init__()
        self.size = record["patch"]
        patch_dim = self.size ** 2 * record["image"]["channels"]
        self.norms = record.get("patch_norms", True)
        if self.norms:
            self.norm1 = nn.LayerNorm(patch_dim, eps=record.get("patch_norm_eps",
                                                                record["norm_eps"]))
        self.linear = nn.Linear(patch_dim, record["dim"])
        if self.norms:
            self.norm2 = nn.LayerNorm(record["dim"], eps=record["norm_eps"])

    def forward(self, image):
        rows = self.rows(image)
        return self.norm2(self.linear(self.norm1(rows))) if self.norms else self.linear(rows)

    def rows(self, image):
        """[B,C,H,W] -> [B,N,P], the values of each patch."""
        batch, channels, height, width = image.shape
        p = self.size
        rows = image.view(batch, channels, height // p, p, width // p, p).permute(0, 2, 4, 3, 5, 1)
        return rows.reshape(batch, (height // p) * (width // p), p * p * channels)

    def numbers(self, image):
        """[B,C,H,W] -> [B,N,P+1], what pooled() takes: a patch's values with mean 0 and variance 1,
        and a 1. No tensor of the model is in it."""
        rows = self.rows(image)
        normed = functional.layer_norm(rows, rows.shape[-1:], eps=self.norm1.eps)
        return torch.cat([normed, torch.ones_like(normed[..., :1])], -1)

    def pooled(self, numbers, grid, pool):
        """The same as forward() and an average over pool[0] x pool[1] tokens of `grid`, from
        numbers(). With A the projection, less its mean over the features, and the shift behind it,
        a patch's variance is that of z A^T, z A^T A z^T / dim. So nothing as wide as the model is
        made of what is averaged."""
        weight = self.linear.weight
        bias = weight @ self.norm1.bias + self.linear.bias
        weight = torch.cat([weight * self.norm1.weight, bias[:, None]], 1)
        weight = weight - weight.mean(0)
        square = weight.t() @ weight / len(weight)
        variance = ((numbers @ square) * numbers).sum(-1, keepdim=True).clamp(min=0)
        normed = numbers * (variance + self.norm2.eps).rsqrt()
        if pool != (1, 1):
            rows, columns = (side // part for side, part in zip(grid, pool))
            normed = normed.view(len(normed), rows, pool[0], columns, pool[1], -1).mean((2, 4))
            normed = normed.flatten(1, 2)
        return functional.linear(normed, weight * self.norm2.weight[:, None], self.norm2.bias)


class Encoder(nn.Module):
    """What all models share: blocks, final norm, pooling over the tokens, classifier."""

    def __init__(self, record, dropout):
        super().__init__()
        self.record, self.dropout = record, dropout
        self.depth = record["depth"]
        groups = record.get("layer_groups", self.depth)
        self.blocks = nn.ModuleList(Block(record, dropout, group * (self.depth // groups))
                                    for group in range(groups))
        if record.get("norm") != "post":
            self.norm = nn.LayerNorm(record["dim"], eps=record["norm_eps"])
        self.first = record.get("class_tokens", 0) or 1
        width = record["dim"] * (self.first if record["pool"] == "class" else 1)
        hidden = record.get("head_hidden")
        self.head = nn.Linear(hidden["width"] if hidden else width, record["classes"])
        if hidden:
            self.head.add_module("hidden", nn.Linear(width, hidden["width"]))
            self.activation = {"tanh": torch.tanh, "relu": torch.relu}[hidden["activation"]]

    def set_solver(self, solver):
        """Gives every QAMA layer its solver; softmax layers need none."""
        for block in self.blocks:
            if isinstance(block.attn, (QAMAttention, QamaV1Attention)):
                block.attn.solver = solver

    def encode(self, x, mask, count, trace, spins):
        x = functional.dropout(x, self.dropout, self.training)
        if trace is not None:
            trace["embed"] = x
        for index in range(self.depth):
            block = self.blocks[index // (self.depth // len(self.blocks))]
            inner = None if trace is None else {}
            x = block(x, mask, count, inner, None if spins is None else spins[index])
            if trace is not None:
                trace.update({f"block.{index}.{name}": value for name, value in inner.items()})
        if hasattr(self, "norm"):
            x = self.norm(x)
        if mask is not None:
            x = x * mask[..., None]
        pooled = self.pooled(x, mask, count)
        hidden = getattr(self.head, "hidden", None)
        logits = self.head(pooled if hidden is None else self.activation(hidden(pooled)))
        if trace is not None:
            trace.update(norm=x, pooled=pooled, logits=logits)
        return logits

    def pooled(self, x, mask, count):
        """[B,N,dim] -> [B,dim]: mean or maximum over the tokens that are there; or the class
        tokens, one behind the other."""
        if self.record["pool"] == "class":
            return x[:, :self.first].flatten(1)
        if self.record["pool"] == "max":
            return (x if mask is None else x.masked_fill(mask[..., None] == 0,
                                                         float("-inf"))).amax(1)
        return x.mean(1) if mask is None else x.sum(1) / count[:, None].to(x.dtype)


def parts(whole, size, what):
    """(rows, columns) of parts of that size in something; ValueError where they do not fit."""
    if min(size) < 1 or whole[0] % size[0] or whole[1] % size[1]:
        raise ValueError(f"{what} of {size[0]}x{size[1]} in {whole[0]}x{whole[1]}, expected a size "
                         "that divides them")
    return whole[0] // size[0], whole[1] // size[1]


class SimpleViT(Encoder):
    """images [B,C,H,W] (normalised), or their Patch.numbers() -> logits [B,classes]."""

    def __init__(self, record, dropout=0.0):
        super().__init__(record, dropout)
        image, patch = record["image"], record["patch"]
        self.grid = parts((image["height"], image["width"]), (patch, patch), "patches")
        self.pool = tuple(record["token_pool"])
        parts(self.grid, self.pool, "a token pool")
        self.patch = Patch(record)
        position = sincos_2d(*self.grid, record["dim"])
        first = record.get("class_tokens", 0)
        if first:
            self.class_token = nn.Parameter(torch.randn(first, record["dim"]) * 0.02)
            position = functional.pad(position, (0, 0, first, 0))
        self.register_buffer("position", position)

    def forward(self, image, trace=None, spins=None):
        if image.dim() == 3:
            x = self.patch.pooled(image, self.grid, self.pool)
            return self.encode(x + self.average(self.position[None]), None, None, trace, spins)
        x = self.patch(image)
        if hasattr(self, "class_token"):
            x = torch.cat((self.class_token.expand(len(x), -1, -1), x), 1)
        return self.encode(self.average(x + self.position), None, None, trace, spins)

    def average(self, x):
        """[B,N,dim] -> [B,tokens,dim], over `pool` of the grid."""
        if self.pool == (1, 1):
            return x
        grid = x.transpose(1, 2).reshape(x.shape[0], -1, *self.grid)
        return functional.avg_pool2d(grid, self.pool).flatten(2).transpose(1, 2)


def ngram_hashes(tokens, longest):
    """tokens int64 [B,T] -> [B,T] for n-grams of 1 to `longest` words: the hash of the one that
    ends with a token, as in ops/token_embedding.h. What is before the text has id 0."""
    hashes = torch.zeros_like(tokens)
    for back in range(longest):
        ids = functional.pad(tokens, (back, 0))[:, :tokens.shape[1]]
        # Products wrap around in 64 bits, which leaves the lower 32 as they are.
        hashes = (hashes * 0x9E3779B1 + ids) & 0xFFFFFFFF
        hashes = ((hashes ^ (hashes >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
        hashes = ((hashes ^ (hashes >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
        hashes = hashes ^ (hashes >> 16)
        yield hashes


def ngram_scores(tokens, table, longest):
    """tokens int64 [B,T], table [rows,1] -> [B,T], the sum of the scores of the n-grams that end
    with a token; none begins before the text."""
    total = 0
    for back, hashes in enumerate(ngram_hashes(tokens, longest)):
        found = table[hashes % len(table), 0]
        total = total + torch.cat((torch.zeros_like(found[:, :back]), found[:, back:]), 1)
    return total


class Embedding(nn.Module):
    """Token table (row 0 is padding) and a projection, of a token's vector or also its neighbours'
    and a score of its n-grams, to the model's width."""

    def __init__(self, record):
        super().__init__()
        sequence = record["sequence"]
        self.weight = nn.Parameter(torch.randn(sequence["vocabulary"], sequence["embedding"]) * 0.1)
        nn.init.zeros_(self.weight[:1])
        self.neighbours = sequence.get("neighbours", 0)
        self.longest = sequence.get("ngrams", 0)
        if self.longest:  # ngrams.py makes them; training leaves them as they are
            self.register_buffer("ngrams", torch.zeros(sequence["ngram_rows"], 1))
        if sequence.get("norm"):
            self.norm = nn.LayerNorm(sequence["embedding"], eps=record["norm_eps"])
        if sequence.get("projection", True):
            self.proj = nn.Linear(sequence["embedding"] * (2 * self.neighbours + 1)
                                  + (self.longest > 0), record["dim"])

    def forward(self, tokens, scores=None, position=0):
        """scores [B,T]: those of the n-grams, in place of the table's; position [T,embedding or
        dim]."""
        vectors = functional.embedding(tokens, self.weight, padding_idx=0)
        if self.neighbours:
            # Padding is a neighbour of zeros, as is what lies outside of the batch.
            vectors = vectors * (tokens > 0)[..., None]
            wide = functional.pad(vectors, (0, 0, self.neighbours, self.neighbours))
            vectors = torch.cat([wide[:, begin:begin + tokens.shape[1]]
                                 for begin in range(2 * self.neighbours + 1)], -1)
        if self.longest:
            if scores is None:
                scores = ngram_scores(tokens, self.ngrams, self.longest)
            vectors = torch.cat((vectors, scores[..., None].to(vectors.dtype)), -1)
        if hasattr(self, "norm"):
            vectors = self.norm(vectors + position)
        projected = self.proj(vectors) if hasattr(self, "proj") else vectors
        return projected if hasattr(self, "norm") else projected + position


class TextTransformer(Encoder):
    """tokens int [B,T] (0 = padding behind the text), lengths [B] -> logits [B,classes].

    T may be smaller than max_tokens: a batch is as long as its longest text. scores: as those of
    Embedding.
    """

    def __init__(self, record, dropout=0.0):
        super().__init__(record, dropout)
        self.embed = Embedding(record)
        sequence = record["sequence"]
        width = sequence["embedding"] if sequence.get("norm") else record["dim"]
        self.register_buffer("position", sincos_1d(sequence["max_tokens"], width))

    def forward(self, tokens, lengths, scores=None, trace=None, spins=None):
        x = self.embed(tokens.long(), scores, self.position[:tokens.shape[1]])
        mask = (torch.arange(tokens.shape[1], device=tokens.device)[None]
                < lengths[:, None]).to(x.dtype)
        return self.encode(x * mask[..., None], mask, lengths, trace, spins)


class FeatureTransformer(Encoder):
    """features [B,N,width] of another network, all N tokens -> logits [B,classes]."""

    def __init__(self, record, dropout=0.0):
        super().__init__(record, dropout)
        self.embed = nn.ModuleDict({"proj": nn.Linear(record["features"]["width"], record["dim"])})

    def forward(self, features, trace=None, spins=None):
        return self.encode(self.embed["proj"](features), None, None, trace, spins)


def build(record, dropout=0.0):
    """The model of an architecture record, with fresh weights."""
    kinds = {"simple_vit": SimpleViT, "text_transformer": TextTransformer,
             "feature_transformer": FeatureTransformer}
    if record["kind"] not in kinds:
        raise ValueError(f"architecture kind '{record['kind']}', expected one of {sorted(kinds)}")
    return kinds[record["kind"]](record, dropout)
