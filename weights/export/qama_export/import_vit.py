"""A trained SimpleViT of the public vit-pytorch package as a model file of this project.

    python3 -m qama_export.import_vit checkpoint.pt --image-size 32 --out model.safetensors
        --mean 0.4914 0.4822 0.4465 --std 0.2470 0.2435 0.2616 --labels airplane automobile ...

checkpoint.pt: the state_dict of vit_pytorch.SimpleViT (release 1.2.2 or later) as torch.save wrote
it, alone or under "model" or "state_dict". The architecture is read off the tensors' shapes; what
they do not tell is asked for: the image's size, and --dim-head where it is not the package's
default of 64. Positions are computed, as the package does. --golden writes inputs and logits for
`qama verify`.
"""
import argparse
import re

import torch

from . import export
from .models import build, sincos_2d

# Tensor of the package -> tensor of a model file; the blocks' are below.
NAMES = {"to_patch_embedding.1": "patch.norm1", "to_patch_embedding.2": "patch.linear",
         "to_patch_embedding.3": "patch.norm2", "transformer.norm": "norm", "linear_head": "head"}
BLOCK_NAMES = {"0.norm": "attn.norm", "0.to_qkv": "attn.qkv", "0.to_out": "attn.out",
               "1.net.0": "mlp.norm",
               "1.net.1": "mlp.fc1", "1.net.3": "mlp.fc2"}
BLOCK = re.compile(r"transformer\.layers\.(\d+)\.(.+)")


def read_checkpoint(path):
    """The state_dict in a checkpoint: alone, under "model" or "state_dict", also saved by
    DataParallel."""
    found = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model"):
        if key in found and isinstance(found[key], dict):
            found = found[key]
    return {name.removeprefix("module."): value for name, value in found.items()}


def our_name(name):
    """The model file's name of a tensor of the package, None if there is none."""
    base, _, leaf = name.rpartition(".")
    block = BLOCK.fullmatch(base)
    if block:
        inside = BLOCK_NAMES.get(block.group(2))
        return inside and f"blocks.{block.group(1)}.{inside}.{leaf}"
    return NAMES.get(base) and f"{NAMES[base]}.{leaf}"


def renamed(state):
    """State dictionary of models.SimpleViT, without positions; ValueError where it is another
    model's."""
    if "linear_head.1.weight" in state:
        raise ValueError("linear_head is a norm and a linear layer: a vit-pytorch before 1.2.2, "
                         "which normalises "
                         "after the mean; expected a linear layer alone")
    if getattr(state.get("to_patch_embedding.1.weight"), "ndim", 1) != 1:
        raise ValueError("to_patch_embedding.1 is no norm: a vit-pytorch before 1.0.0, which does "
                         "not normalise "
                         "patches; expected norm, linear, norm")
    found = {}
    for name, value in state.items():
        ours = our_name(name)
        if ours is None:
            raise ValueError(f"tensor '{name}', which vit-pytorch's SimpleViT has not")
        found[ours] = value.float()
    return found


def read_record(found, image_size, channels=None, dim_head=64):
    """The architecture record of renamed tensors; image_size (height, width)."""
    def shape(name):
        if name not in found:
            raise ValueError(f"tensor '{name}' missing, expected the state_dict of vit-pytorch's "
                             "SimpleViT")
        return found[name].shape

    dim, patch_dim = shape("patch.linear.weight")
    channels = channels or 3
    patch = round((patch_dim / channels) ** 0.5)
    if patch * patch * channels != patch_dim:
        raise ValueError(f"patches of {patch_dim} numbers, expected a square times {channels} "
                         "channels")
    if any(size % patch for size in image_size):
        raise ValueError(f"image of {image_size[0]} x {image_size[1]}, expected multiples of the "
                         f"patch, {patch}")
    inner = shape("blocks.0.attn.out.weight")[1]
    if inner % dim_head:
        raise ValueError(f"attention {inner} wide, expected a multiple of --dim-head, {dim_head}")
    depth = 1 + max(int(name.split(".")[1]) for name in found if name.startswith("blocks."))
    return {"kind": "simple_vit",
            "image": {"height": image_size[0], "width": image_size[1], "channels": channels},
            "patch": patch, "token_pool": [1, 1], "dim": dim, "depth": depth,
            "heads": inner // dim_head,
            "dim_head": dim_head, "mlp": shape("blocks.0.mlp.fc1.weight")[0],
            "classes": shape("head.weight")[0], "gelu": "erf", "norm_eps": 1e-5, "pool": "mean",
            "attention": {"kind": "softmax"}}


def import_state(state, image_size, channels=None, dim_head=64):
    """models.SimpleViT with the weights of a state_dict of the package."""
    found = renamed(state)
    record = read_record(found, image_size, channels, dim_head)
    found["position"] = sincos_2d(image_size[0] // record["patch"],
                                  image_size[1] // record["patch"],
                                  record["dim"])
    model = build(record).eval()
    missing = sorted(set(model.state_dict()) - set(found))
    if missing:
        raise ValueError(f"tensor '{missing[0]}' missing, expected the state_dict of vit-pytorch's "
                         "SimpleViT")
    try:
        model.load_state_dict(found)
    except RuntimeError as error:
        last = str(error).splitlines()[-1].strip()
        raise ValueError(f"shapes do not fit each other: {last}") from error
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("checkpoint")
    add("--out", required=True, help="model file to write")
    add("--image-size", type=int, nargs="+", required=True,
        help="side, or height and width, in pixels")
    add("--channels", type=int, default=3)
    add("--dim-head", type=int, default=64)
    add("--mean", type=float, nargs="+", help="of each channel, bytes / 255 (default 0.5)")
    add("--std", type=float, nargs="+")
    add("--labels", nargs="+", help="names of the classes (default: their numbers)")
    export.add_picture_options(add)
    add("--golden", help="golden file to write, from 2 random inputs")
    options = parser.parse_args()
    size = (options.image_size * 2)[:2]
    try:
        model = import_state(read_checkpoint(options.checkpoint), size, options.channels,
                             options.dim_head)
    except ValueError as error:
        parser.exit(1, f"{options.checkpoint}: {error}\n")
    classes = model.record["classes"]
    labels = options.labels or [str(number) for number in range(classes)]
    mean, std = (values or [0.5] * options.channels for values in (options.mean, options.std))
    if len(labels) != classes or len(mean) != options.channels or len(std) != options.channels:
        parser.error(f"{len(labels)} labels, {len(mean)} means, {len(std)} deviations; expected "
                     f"{classes} labels "
                     f"and {options.channels} of the others")
    preprocess = {"kind": "image", "mean": mean, "std": std, "scale": 255, "resize": "bilinear",
                  "gray": "luma"}
    preprocess.update((key, value) for key, value in export.picture_keys(options).items()
                      if value is not None)
    digest = export.export_model(model, options.out, preprocess, labels,
                                 {"imported_from": "vit-pytorch SimpleViT"})
    if options.golden:
        torch.manual_seed(1)
        inputs = torch.randn(2, options.channels, *size)
        with torch.no_grad():
            answers = model(inputs).argmax(1).numpy()
        export.write_golden(model, options.golden, digest, (inputs,), answers)


if __name__ == "__main__":
    main()
