"""Light augmentation of image batches on the device that trains: random shift and mirror.

A policy is a line in POLICIES; it acts on u8 or float batches [B,C,H,W] and draws from torch's
generator.
"""
import torch

# data set -> (largest shift in pixels, mirror left-right): digits are never mirrored.
POLICIES = {"mnist": (2, False), "fashion-mnist": (2, True), "cifar10": (4, True)}


def shift_and_mirror(images, shift, mirror):
    """Every image moved by up to `shift` pixels each way (0 comes in), half of them mirrored."""
    batch, channels, height, width = images.shape
    device = images.device
    rows = (torch.arange(height, device=device)[None] +
            torch.randint(-shift, shift + 1, (batch, 1), device=device))
    columns = torch.arange(width, device=device).expand(batch, -1)
    if mirror:
        flipped = torch.rand(batch, 1, device=device) < 0.5
        columns = torch.where(flipped, width - 1 - columns, columns)
    columns = columns + torch.randint(-shift, shift + 1, (batch, 1), device=device)
    inside = (((rows >= 0) & (rows < height))[:, None, :, None]
              & ((columns >= 0) & (columns < width))[:, None, None, :])
    index = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
    index = index.view(batch, 1, -1).expand(-1, channels, -1)
    moved = images.flatten(2).gather(2, index).view_as(images)
    return moved * inside.to(moved.dtype)
