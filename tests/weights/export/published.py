"""The operator and the models of the authors' published code, in plain loops and PyTorch.

Written from the description of what their code computes, with their names of tensors, sharing no
code with weights/export: what the package and its importer compute is held against it.
"""
import math

import vit_package
import torch
from torch import nn


class PublishedAttention(nn.Module):
    """x [B,N,C] -> [B,N,C]; solve(j, h, penalty) -> spins [H,N] of one sample, or spins [B,H,N]."""

    def __init__(self, dim, heads, rho0=0.16, gamma0=0.8):
        super().__init__()
        self.heads, self.width, self.rho0, self.gamma0 = heads, dim // heads, rho0, gamma0
        self.norm_q, self.norm_k, self.norm_v = (nn.LayerNorm(dim) for _ in range(3))
        self.norm_h = nn.LayerNorm(dim)  # nobody uses it
        self.Wq, self.Wk, self.Wv = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.E2V = nn.Parameter(torch.randn(self.width, 1))

    def problem(self, x):
        """J [B,H,N,N] with a zero diagonal, and h [B,H,N]."""
        split = (*x.shape[:2], self.heads, self.width)
        q = self.Wq(self.norm_q(x)).view(split)
        k = self.Wk(self.norm_k(x)).view(split)
        v = self.Wv(self.norm_v(x)).view(split)
        score = torch.einsum("bitd,bjtd->btij", q, k)
        j = (score + score.transpose(2, 3)) / (2 * math.sqrt(self.width))
        j = j * (1 - torch.eye(x.shape[1], dtype=x.dtype))
        return j, (v * self.E2V[:, 0]).mean(-1).transpose(1, 2)

    def penalty(self, tokens):
        if self.heads == 1:
            return 0.0
        return self.gamma0 * tokens * math.sqrt(2 / math.pi) / (self.heads - 1)

    def energy(self, j, h, s):
        """What is minimised, of one sample: every ordered pair i != j counts."""
        heads, tokens = s.shape
        total = 0.0
        for t in range(heads):
            for a in range(tokens):
                total -= self.rho0 * tokens * float(h[t, a] * s[t, a])
                for b in range(tokens):
                    if a != b:
                        total -= float(j[t, a, b] * s[t, a] * s[t, b])
        for one in range(heads):
            for other in range(one + 1, heads):
                total += self.penalty(tokens) * float((s[one] * s[other]).sum())
        return total

    def forward(self, x, spins):
        j, h = self.problem(x)
        s = spins.to(x.dtype)
        e = -s * ((j @ s[..., None])[..., 0] + h)
        return torch.cat([e[:, t, :, None] * self.E2V[:, 0] for t in range(self.heads)], -1)


class PublishedSoftmax(nn.Module):
    """Their other kind: softmax attention without to_out."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)

    def forward(self, x, _):
        split = (*x.shape[:2], self.heads, -1)
        q, k, v = (part.view(split) for part in self.to_qkv(self.norm(x)).chunk(3, -1))
        score = torch.einsum("bitd,bjtd->btij", q, k) / math.sqrt(q.shape[-1])
        return torch.einsum("btij,bjtd->bitd", score.softmax(-1), v).flatten(2)


class ImageModel(nn.Module):
    """Their image model: vit-pytorch's SimpleViT with one of the two in place of its attention."""

    def __init__(self, height, width, patch, channels, classes, dim, heads, depth, hidden,
                 attention):
        super().__init__()
        self.around = [vit_package.SimpleViT(height, width, patch=patch, classes=classes, dim=dim,
                                             depth=depth, heads=1, hidden=hidden, dim_head=1,
                                             channels=channels)]
        for name in ("to_patch_embedding", "transformer", "linear_head"):
            setattr(self, name, getattr(self.around[0], name))
        kind = {"qama": PublishedAttention, "softmax": PublishedSoftmax}[attention]
        for layer in self.transformer.layers:
            layer[0] = kind(dim, heads)

    def forward(self, images, spins=None):
        x = self.to_patch_embedding(images) + self.around[0].positions.to(images.dtype)
        for block, (attend, feed) in enumerate(self.transformer.layers):
            x = x + attend(x, spins and spins[block])
            x = x + feed(x)
        return self.linear_head(self.transformer.norm(x).mean(1))


class TextModel(nn.Module):
    """Their text model on features [B,N,width] of a language model, padding included: a linear map,
    the blocks, a norm, the mean over all positions, a linear map; no positions are added."""

    def __init__(self, width, classes, dim, heads, depth, hidden, attention):
        super().__init__()
        self.down_embedding = nn.Linear(width, dim)
        kind = {"qama": PublishedAttention, "softmax": PublishedSoftmax}[attention]
        self.transformer = nn.Module()
        self.transformer.layers = nn.ModuleList(
            nn.ModuleList([kind(dim, heads), vit_package.FeedForward(dim, hidden)])
            for _ in range(depth))
        self.transformer.norm = nn.LayerNorm(dim)
        self.cls_head = nn.Sequential(nn.Linear(dim, classes), nn.Softmax(-1))

    def forward(self, features, spins=None):
        """The logits: what their softmax gets."""
        x = self.down_embedding(features)
        for block, (attend, feed) in enumerate(self.transformer.layers):
            x = x + attend(x, spins and spins[block])
            x = x + feed(x)
        return self.cls_head[0](self.transformer.norm(x).mean(1))
