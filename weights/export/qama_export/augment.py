"""Augmentation of image batches on the device that trains: geometry, and what cameras and files do
to a picture.

A kind is a function `batch [B,C,H,W] of 0..255 (float) -> batch` in KINDS, drawn from torch's
generator; each image has a strength of its own, and most images are left as they are by most kinds.
shift_and_mirror alone works on bytes. A data set's policy is a line in POLICIES.
"""
import math

import torch
from torch.nn import functional

# data set -> (largest shift in pixels, mirror left-right): digits are never mirrored.
POLICIES = {"mnist": (2, False), "fashion-mnist": (2, True), "cifar10": (4, True),
            "own-images": (2, False)}


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


def uniform(images, low, high):
    """[B,1,1,1], one number an image."""
    return low + (high - low) * torch.rand(len(images), 1, 1, 1, device=images.device)


def some(images, changed, share):
    """`share` of the images changed, the others as they were."""
    return torch.where(uniform(images, 0, 1) < share, changed, images)


def affine(images):
    """Turned by up to 10 degrees, scaled by 0.85 to 1.15, sheared a little; 0 comes in."""
    batch = len(images)
    angle, shear = ((torch.rand(batch) * 2 - 1) * limit for limit in (math.pi / 18, 0.15))
    across, down = (0.85 + 0.3 * torch.rand(batch) for _ in range(2))
    cos, sin = angle.cos(), angle.sin()
    zero = torch.zeros(batch)
    theta = torch.stack((torch.stack((cos * across, -sin * down + shear, zero), 1),
                         torch.stack((sin * across, cos * down, zero), 1)), 1).to(images.device)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    return some(images, moved, 0.5)


def stroke(images):
    """Strokes a pixel wider, or half a pixel thinner: pens and fonts differ."""
    wide = functional.max_pool2d(functional.pad(images, (0, 1, 0, 1)), 2, 1)
    thin = 0.5 * (images - functional.max_pool2d(-images, 3, 1, 1))
    choice = uniform(images, 0, 1)
    return torch.where(choice < 0.15, wide, torch.where(choice > 0.9, thin, images))


def contrast(images):
    """(x - m) f + m with f from 0.4 to 1.2 and m from black to middle grey."""
    middle = uniform(images, 0, 128)
    return some(images, (images - middle) * uniform(images, 0.4, 1.2) + middle, 0.3)


def blur(images):
    """Gaussian, sigma up to 1.2 pixels."""
    sigma = uniform(images, 0.3, 1.2)
    at = torch.arange(-3, 4, device=images.device).view(1, 1, 1, 7)
    kernel = (-0.5 * (at / sigma) ** 2).exp()
    kernel = kernel / kernel.sum(3, keepdim=True)
    batch, channels, height, width = images.shape
    kernel = kernel.expand(-1, channels, -1, -1).reshape(batch * channels, 1, 1, 7)
    planes = functional.pad(images, (3, 3, 3, 3), mode="replicate")
    planes = planes.view(1, batch * channels, height + 6, width + 6)
    planes = functional.conv2d(planes, kernel, groups=batch * channels)
    planes = functional.conv2d(planes, kernel.transpose(2, 3), groups=batch * channels)
    return some(images, planes.view_as(images), 0.25)


# Annex K of ITU-T T.81, the tables that libjpeg scales by its quality.
LUMA = [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69,
        56, 14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81,
        104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
CHROMA = [17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99,
          99, 99, 47, 66, 99, 99, 99, 99, 99, 99] + [99] * 32


def rounded_blocks(plane, table, scale):
    """[B,H,W] around 0, in blocks of 8 by 8 through the cosine transform, rounded to
    max(table scale / 100, 1) and back; scale [B]."""
    batch, height, width = plane.shape
    padded = functional.pad(plane[:, None], (0, -width % 8, 0, -height % 8), mode="replicate")[:, 0]
    rows, columns = padded.shape[1] // 8, padded.shape[2] // 8
    n = torch.arange(8, device=plane.device)
    basis = (math.pi / 8 * (n[None] + 0.5) * n[:, None]).cos() * 0.5
    basis[0] *= math.sqrt(0.5)
    blocks = padded.view(batch, rows, 8, columns, 8).permute(0, 1, 3, 2, 4)
    step = torch.tensor(table, device=plane.device).view(8, 8) * scale[:, None, None] / 100
    step = (step + 0.5).floor().clamp(1, 255)[:, None, None]
    blocks = basis.t() @ ((basis @ blocks @ basis.t() / step).round() * step) @ basis
    return blocks.permute(0, 1, 3, 2, 4).reshape(padded.shape)[:, :height, :width]


def jpeg(images):
    """What a JPEG of quality 30 to 95 leaves; colour at half the resolution."""
    quality = uniform(images, 30, 95).flatten()
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    if images.shape[1] == 1:
        coded = rounded_blocks(images[:, 0] - 128, LUMA, scale)[:, None] + 128
    else:
        r, g, b = images.unbind(1)
        rows, columns = r.shape[1:]
        luma = 0.299 * r + 0.587 * g + 0.114 * b
        blue, red = ((b - luma) * 0.564, (r - luma) * 0.713)
        luma = rounded_blocks(luma - 128, LUMA, scale) + 128
        blue, red = (functional.interpolate(
            rounded_blocks(functional.avg_pool2d(half[:, None], 2, ceil_mode=True)[:, 0], CHROMA,
                           scale)[:, None], scale_factor=2, mode="bilinear",
            align_corners=False)[:, 0, :rows, :columns] for half in (blue, red))
        coded = torch.stack((luma + 1.402 * red, luma - 0.344 * blue - 0.714 * red,
                             luma + 1.772 * blue), 1)
    return some(images, coded, 0.4)


def noise(images):
    """Whole levels, equally likely from -n to n, n up to 20 and mostly small."""
    level = (uniform(images, 0, 1) * math.log(20)).exp().round()
    drawn = (torch.rand_like(images) * (2 * level + 1)).floor() - level
    return some(images, images + drawn, 0.5)


# In the order in which they act: the scene, the lens, the sensor, the file.
KINDS = {"affine": affine, "stroke": stroke, "contrast": contrast, "blur": blur, "noise": noise,
         "jpeg": jpeg}


def apply(images, names, share=1.0):
    """u8 [B,C,H,W], `share` of the images through the kinds `names`, back as bytes."""
    changed = images.float()
    for name, kind in KINDS.items():
        if name in names:
            changed = kind(changed)
    changed = changed.round().clamp(0, 255).to(torch.uint8)
    return changed if share >= 1 else some(images, changed, share)
