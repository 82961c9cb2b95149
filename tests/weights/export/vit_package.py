"""SimpleViT as the vit-pytorch package lays it out: its module names, its forward pass, in plain
torch.

Written from the architecture's description, shares nothing with weights/export: what the importer
makes of a state_dict is held against it.
"""
import torch
from torch import nn


class Patches(nn.Module):
    """b c (h p) (w p) -> b (h w) (p p c)"""

    def __init__(self, patch):
        super().__init__()
        self.patch = patch

    def forward(self, image):
        squares = image.unfold(2, self.patch, self.patch).unfold(3, self.patch, self.patch)
        return squares.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)


class Attention(nn.Module):
    def __init__(self, dim, heads, dim_head):
        super().__init__()
        self.heads, self.scale = heads, dim_head ** -0.5
        self.norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, heads * dim_head * 3, bias=False)
        self.to_out = nn.Linear(heads * dim_head, dim, bias=False)

    def forward(self, x):
        parts = [part.unflatten(2, (self.heads, -1))
                 for part in self.to_qkv(self.norm(x)).chunk(3, 2)]
        weights = torch.einsum("bihd,bjhd->bhij", parts[0], parts[1]).mul(self.scale).softmax(3)
        return self.to_out(torch.einsum("bhij,bjhd->bihd", weights, parts[2]).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(),
                                 nn.Linear(hidden, dim))

    def forward(self, x):
        return self.net(x)


class Transformer(nn.Module):
    def __init__(self, dim, depth, heads, dim_head, hidden):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.layers = nn.ModuleList(nn.ModuleList([Attention(dim, heads, dim_head),
                                                   FeedForward(dim, hidden)]) for _ in range(depth))

    def forward(self, x):
        for attention, feed_forward in self.layers:
            x = x + attention(x)
            x = x + feed_forward(x)
        return self.norm(x)


class SimpleViT(nn.Module):
    def __init__(self, height, width, patch, classes, dim, depth, heads, hidden, channels=3,
                 dim_head=64):
        super().__init__()
        numbers = channels * patch * patch
        self.to_patch_embedding = nn.Sequential(Patches(patch), nn.LayerNorm(numbers),
                                                nn.Linear(numbers, dim),
                                                nn.LayerNorm(dim))
        self.transformer = Transformer(dim, depth, heads, dim_head, hidden)
        self.linear_head = nn.Linear(dim, classes)
        rows, columns = height // patch, width // patch
        quarter = dim // 4
        # A plain attribute, as in the package: it is not in the state_dict.
        self.positions = torch.empty(rows * columns, dim, dtype=torch.float64)
        for row in range(rows):
            for column in range(columns):
                for k in range(quarter):
                    omega = 10000.0 ** (-k / (quarter - 1))
                    angles = torch.tensor([column * omega, row * omega], dtype=torch.float64)
                    at = self.positions[row * columns + column]
                    at[k], at[2 * quarter + k] = angles.sin()
                    at[quarter + k], at[3 * quarter + k] = angles.cos()

    def forward(self, image):
        x = self.to_patch_embedding(image) + self.positions.to(image.dtype)
        return self.linear_head(self.transformer(x).mean(1))
