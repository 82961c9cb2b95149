"""A trained SimpleViT of the public vit-pytorch package, or a model of the authors' published code,
as a model file of this project.

    python3 -m qama_export.import_checkpoint vit.pt --image-size 32 --out model.safetensors
        --heads 16 --mean 0.4914 0.4822 0.4465 --std 0.2470 0.2435 0.2616 --labels airplane ...
    python3 -m qama_export.import_checkpoint text.pt --tokens 512 --labels negative positive
        --out model.safetensors

The first argument is the state_dict of vit_pytorch.SimpleViT (release 1.2.2 or later) as torch.save
wrote it, alone or under "model" or "state_dict". The architecture is read off the tensors' shapes;
what they do not tell is asked for: the image's size or the number of tokens, and --heads or
--dim-head. Positions of images are computed, as the package does.

The image models of the authors' published code have the same names around other attention, and are
imported, too: QAMA (kind qama_bilinear; E2V says how wide a head is) and softmax without to_out.
So are their text models, which take the features of a language model: down_embedding, the same
blocks, the mean over all tokens, cls_head.

--samples FILE: what your own model answers, as torch.save({"input": x, "logits": model(x)}, FILE)
or as the same two arrays of an .npz. The importer compares its model with it, and finds the heads
by it. --golden writes inputs and logits for `qama verify`: those of --samples, else of 2 random
inputs.
"""
import argparse
import pickle
import re

import numpy as np
import torch

from . import command, export
from .models import build, sincos_2d

# Tensor of a checkpoint -> tensor of a model file; the blocks' are below.
NAMES = {"to_patch_embedding.1": "patch.norm1", "to_patch_embedding.2": "patch.linear",
         "to_patch_embedding.3": "patch.norm2", "transformer.norm": "norm", "linear_head": "head"}
TEXT_NAMES = {"down_embedding": "embed.proj", "transformer.norm": "norm", "cls_head.0": "head"}
BLOCK_NAMES = {"0.norm": "attn.norm", "0.to_qkv": "attn.qkv", "0.to_out": "attn.out",
               "1.net.0": "mlp.norm",
               "1.net.1": "mlp.fc1", "1.net.3": "mlp.fc2",
               "0.norm_q": "attn.norm_q", "0.norm_k": "attn.norm_k", "0.norm_v": "attn.norm_v",
               "0.Wq": "attn.Wq", "0.Wk": "attn.Wk", "0.Wv": "attn.Wv"}
UNUSED = "0.norm_h"  # of the published QAMA: a norm that nothing reads
# What the published code's QAMA was trained with, and a schedule of ours.
PUBLISHED = {"kind": "qama_bilinear", "rho0": 0.16, "gamma0": 0.8,
             "anneal": {"sweeps": 10, "restarts": 2, "t_start": 0.3, "t_end": 0.03, "seed": 1}}
TOLERANCE = 1e-3  # of logits that two programs compute in float
BLOCK = re.compile(r"transformer\.layers\.(\d+)\.(.+)")


def read_checkpoint(path):
    """The state_dict in a checkpoint: alone, under "model" or "state_dict", also saved by
    DataParallel."""
    found = load(path)
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found or not all(
            isinstance(name, str) and torch.is_tensor(value) for name, value in found.items()):
        raise ValueError("no state_dict in it, expected torch.save(model.state_dict(), FILE)")
    return {name.removeprefix("module."): value for name, value in found.items()}


def load(path):
    """What torch.save wrote, as long as it is nothing but tensors; OSError, ValueError."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, AttributeError,
            ValueError) as error:
        raise ValueError("no file of torch.save with nothing but tensors in it (a whole model is "
                         "saved by torch.save(model.state_dict(), FILE))") from error


def read_samples(path):
    """(inputs float32 [n,C,H,W] or [n,tokens,width], logits float32 [n,classes]) of --samples."""
    if str(path).endswith(".npz"):
        with np.load(path) as file:
            found = {name: torch.from_numpy(file[name]) for name in file.files}
    else:
        found = load(path)
    if not isinstance(found, dict) or not all(
            torch.is_tensor(found.get(name)) for name in ("input", "logits")):
        raise ValueError("expected the tensors 'input' and 'logits'")
    inputs, logits = found["input"].detach().float(), found["logits"].detach().float()
    if (inputs.dim() not in (3, 4) or logits.dim() != 2 or len(inputs) != len(logits)
            or not len(inputs)):
        raise ValueError(f"input {list(inputs.shape)} and logits {list(logits.shape)}, expected "
                         "[n, channels, height, width] or [n, tokens, width], and [n, classes]")
    if not (inputs.isfinite().all() and logits.isfinite().all()):
        raise ValueError("a number in it is not finite")
    return inputs, logits


def is_text(state):
    """Whether a state_dict is of the authors' text model."""
    return any(name.startswith(("down_embedding.", "cls_head.")) for name in state)


def source(state):
    """What such a state_dict is of, for sentences."""
    return "the authors' text model" if is_text(state) else "vit-pytorch's SimpleViT"


def our_name(name, names):
    """The model file's name of a tensor of a checkpoint, None if there is none."""
    base, _, leaf = name.rpartition(".")
    block = BLOCK.fullmatch(base)
    if block and block.group(2) == "0" and leaf == "E2V":
        return f"blocks.{block.group(1)}.attn.w_eps"
    if block:
        inside = BLOCK_NAMES.get(block.group(2))
        return inside and f"blocks.{block.group(1)}.{inside}.{leaf}"
    return names.get(base) and f"{names[base]}.{leaf}"


def their_name(name, names):
    """The checkpoint's name of a tensor of a model file."""
    base, _, leaf = name.rpartition(".")
    block = re.fullmatch(r"blocks\.(\d+)\.(.+)", base)
    theirs = {ours: theirs for theirs, ours in (BLOCK_NAMES if block else names).items()}
    if block is None:
        return f"{theirs[base]}.{leaf}"
    inside = theirs.get(block.group(2))
    inside = "0.E2V" if leaf == "w_eps" else f"{inside}.{leaf}"
    return f"transformer.layers.{block.group(1)}.{inside}"


def renamed(state):
    """State dictionary of models.SimpleViT, without positions, or of FeatureTransformer; ValueError
    where it is another model's."""
    names = TEXT_NAMES if is_text(state) else NAMES
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
        if name.rpartition(".")[0].endswith("." + UNUSED):
            continue
        ours = our_name(name, names)
        if ours is None:
            raise ValueError(f"tensor '{name}', which {source(state)} has not")
        if value.is_complex():
            raise ValueError(f"tensor '{name}' has complex numbers, expected floats")
        found[ours] = value.float()
        # In float32: doubles may be beyond it.
        if not value.numel() or not found[ours].isfinite().all():
            raise ValueError(f"tensor '{name}' is empty or holds a number that is not finite")
    for index in {name.split(".")[1] for name in found if ".attn.W" in name
                  or name.endswith(".attn.w_eps")}:
        ours, theirs = f"blocks.{index}.attn.", f"transformer.layers.{index}.0."
        parts = [found.pop(f"{ours}{part}.weight", None) for part in ("Wq", "Wk", "Wv")]
        if any(part is None or part.dim() != 2 or part.shape[0] != part.shape[1]
               or part.shape != parts[0].shape for part in parts):
            raise ValueError(f"tensors '{theirs}Wq', 'Wk' and 'Wv': expected three square "
                             "matrices of one size beside E2V")
        if f"{ours}w_eps" not in found:
            raise ValueError(f"tensor '{theirs}E2V' missing beside Wq, Wk and Wv")
        shape = list(found[f"{ours}w_eps"].shape)
        if max(shape, default=1) != found[f"{ours}w_eps"].numel():
            raise ValueError(f"tensor '{theirs}E2V' has shape {shape}, expected one vector for all "
                             "heads")
        found[f"{ours}qkv.weight"] = torch.cat(parts)
        found[f"{ours}w_eps"] = found[f"{ours}w_eps"].reshape(1, -1)
    return found


def choose_heads(inner, dim_head=None, heads=None):
    """(heads, dim_head) of an attention `inner` wide; ValueError where nobody says which."""
    if heads is None and dim_head is None:
        if inner == 1:
            return 1, 1
        raise ValueError(f"attention {inner} wide, which does not say how many heads: give "
                         "--heads, --dim-head (vit-pytorch's default is 64) or --samples")
    for option, value in (("--heads", heads), ("--dim-head", dim_head)):
        if value is not None and (value < 1 or inner % value):
            raise ValueError(f"attention {inner} wide, expected a multiple of {option}, {value}")
    heads = heads or inner // dim_head
    dim_head = dim_head or inner // heads
    if heads * dim_head != inner:
        raise ValueError(f"attention {inner} wide, expected --heads times --dim-head, {heads} x "
                         f"{dim_head}")
    return heads, dim_head


def read_images(shape, image_size, channels):
    """The part of an image model's record that says what its input is."""
    if image_size is None:
        raise ValueError("an image model, which does not say how large its images are: give "
                         "--image-size")
    patch_dim = shape("patch.linear.weight")[1]
    channels = channels or 3
    patch = round((patch_dim / channels) ** 0.5)
    if patch * patch * channels != patch_dim:
        raise ValueError(f"patches of {patch_dim} numbers, expected a square times {channels} "
                         "channels")
    if any(size < 1 or size % patch for size in image_size):
        raise ValueError(f"image of {image_size[0]} x {image_size[1]}, expected multiples of the "
                         f"patch, {patch}")
    return {"kind": "simple_vit", "patch": patch, "token_pool": [1, 1],
            "image": {"height": image_size[0], "width": image_size[1], "channels": channels}}


def read_features(shape, tokens):
    """The same of a text model."""
    if tokens is None:
        raise ValueError("a text model, which does not say how many tokens its samples have: give "
                         "--tokens, 512 in the paper")
    if tokens < 1:
        raise ValueError(f"--tokens {tokens}, expected 1 or more")
    return {"kind": "feature_transformer",
            "features": {"tokens": tokens, "width": shape("embed.proj.weight")[1]}}


def read_record(state, found, image_size=None, channels=None, dim_head=None, heads=None,
                tokens=None):
    """The architecture record of a state_dict, renamed: `found`; image_size (height, width) of an
    image model, tokens of a text model."""
    text = is_text(state)
    names = TEXT_NAMES if text else NAMES

    def shape(name):
        theirs = their_name(name, names)
        if name not in found:
            raise ValueError(f"tensor '{theirs}' missing, expected the state_dict of "
                             f"{source(state)}")
        if found[name].dim() != 2:
            raise ValueError(f"tensor '{theirs}' has shape {list(found[name].shape)}, expected a "
                             "matrix")
        return found[name].shape

    record = read_features(shape, tokens) if text else read_images(shape, image_size, channels)
    dim = shape("embed.proj.weight" if text else "patch.linear.weight")[0]
    attention = {"kind": "softmax"}
    if "blocks.0.attn.w_eps" in found:
        attention = dict(PUBLISHED)
        width = found["blocks.0.attn.w_eps"].numel()
        if dim % width:
            raise ValueError(f"tensor '{their_name('blocks.0.attn.w_eps', names)}' has {width} "
                             f"numbers, as wide as a head, expected a divisor of {dim}")
        if dim_head not in (None, width) or heads not in (None, dim // width):
            raise ValueError(f"E2V of {width} numbers, which says {dim // width} heads of {width}: "
                             "expected no other --heads or --dim-head")
        dim_head = width
        inner = dim
    elif "blocks.0.attn.out.weight" in found:
        inner = shape("blocks.0.attn.out.weight")[1]
    else:
        attention = {"kind": "softmax", "projection": False}
        inner = shape("blocks.0.attn.qkv.weight")[0] // 3
    heads, dim_head = choose_heads(inner, dim_head, heads)
    depth = 1 + max(int(name.split(".")[1]) for name in found if name.startswith("blocks."))
    return {**record, "dim": dim, "depth": depth,
            "heads": heads, "dim_head": dim_head, "mlp": shape("blocks.0.mlp.fc1.weight")[0],
            "classes": shape("head.weight")[0], "gelu": "erf", "norm_eps": 1e-5, "pool": "mean",
            "attention": attention}


def import_state(state, image_size=None, channels=None, dim_head=None, heads=None, tokens=None):
    """models.SimpleViT, or FeatureTransformer of `tokens`, with the weights of a state_dict."""
    names = TEXT_NAMES if is_text(state) else NAMES
    found = renamed(state)
    record = read_record(state, found, image_size, channels, dim_head, heads, tokens)
    if "image" in record:
        found["position"] = sincos_2d(image_size[0] // record["patch"],
                                      image_size[1] // record["patch"],
                                      record["dim"])
    model = build(record).eval()
    expected = model.state_dict()

    def called(name):
        theirs = their_name(name, names)
        return theirs.replace("to_qkv", "Wq") if "rho0" in record["attention"] else theirs

    missing = sorted(set(expected) - set(found))
    if missing:
        raise ValueError(f"tensor '{called(missing[0])}' missing, expected the state_dict of "
                         f"{source(state)}")
    for name, value in found.items():
        if name not in expected:
            raise ValueError(f"tensor '{called(name)}', which the other blocks have not")
        if value.shape != expected[name].shape:
            raise ValueError(f"tensor '{called(name)}' has shape {list(value.shape)}, expected "
                             f"{list(expected[name].shape)} beside the others")
    model.load_state_dict(found)
    return model


def input_shape(record):
    """The sizes of a sample of an architecture record's model."""
    if "image" in record:
        return [record["image"][key] for key in ("channels", "height", "width")]
    return [record["features"][key] for key in ("tokens", "width")]


def distance(model, samples):
    """Largest difference from the logits of --samples, as a part of the largest of them."""
    inputs, logits = samples
    with torch.no_grad():
        ours = model(inputs)
    if ours.shape != logits.shape:
        raise ValueError(f"logits {list(logits.shape)}, expected {list(ours.shape)}")
    return float((ours - logits).abs().max() / logits.abs().max().clamp(min=1e-6))


def import_checked(state, samples, image_size=None, channels=None, dim_head=None, heads=None,
                   tokens=None):
    """import_state(), with the heads with which the model answers as `samples` say."""
    if any(name.endswith(".E2V") for name in state):
        raise ValueError("--samples compares logits, and those of QAMA follow from the solver's "
                         "answers: expected no --samples")
    wide = state.get("transformer.layers.0.0.to_qkv.weight")
    tried = [heads]
    if heads is None and dim_head is None and wide is not None and wide.dim() == 2:
        inner = wide.shape[0] // 3
        tried = [n for n in range(1, inner + 1) if inner % n == 0]
    best = None
    for number in tried:
        model = import_state(state, image_size, channels, dim_head, number, tokens)
        expected = input_shape(model.record)
        if list(samples[0].shape[1:]) != expected:
            raise ValueError(f"inputs of {list(samples[0].shape[1:])}, expected {expected}: " +
                             ("channels, height, width" if "image" in model.record
                              else "tokens, width"))
        found = distance(model, samples)
        if best is None or found < best[0]:
            best = (found, model)
    if best[0] > TOLERANCE:
        raise ValueError(f"the imported model's logits differ from those of --samples by "
                         f"{100 * best[0]:.2g} %, with {best[1].record['heads']} heads: is it the "
                         "same model, in eval mode, and are these its inputs after normalisation?")
    return best[1]


def preprocess_record(parser, options, model):
    """What the model file says of the way to its input."""
    if "image" not in model.record:
        return {"kind": "features"}
    channels = model.record["image"]["channels"]
    mean, std = (values or [0.5] * channels for values in (options.mean, options.std))
    if len(mean) != channels or len(std) != channels:
        parser.error(f"{len(mean)} means and {len(std)} deviations, expected {channels} of each")
    out = {"kind": "image", "mean": mean, "std": std, "scale": 255, "resize": "bilinear",
           "gray": "luma"}
    out.update((key, value) for key, value in export.picture_keys(options).items()
               if value is not None)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("checkpoint")
    add("--out", required=True, help="model file to write")
    add("--image-size", type=int, nargs="+",
        help="of an image model: side, or height and width, in pixels")
    add("--channels", type=int, help="of an image model (default 3)")
    add("--tokens", type=int, help="of a text model: tokens of a sample, padding included")
    add("--heads", type=int, help="of the attention")
    add("--dim-head", type=int, help="width of a head; either, where no --samples are given")
    add("--samples", help="inputs and logits of your own model")
    add("--mean", type=float, nargs="+", help="of each channel, bytes / 255 (default 0.5)")
    add("--std", type=float, nargs="+")
    add("--labels", nargs="+", help="names of the classes (default: their numbers)")
    export.add_picture_options(add)
    add("--golden", help="golden file to write, from the samples or 2 random inputs")
    options = parser.parse_args()
    size = options.image_size and (options.image_size * 2)[:2]
    if (size and (len(options.image_size) > 2 or min(size) < 1)
            or options.channels is not None and options.channels < 1):
        parser.error("expected one or two sizes and channels, all of them 1 or more")
    command.refuse_overwriting({"--out": options.out, "--golden": options.golden},
                               {"the checkpoint": options.checkpoint,
                                "--samples": options.samples})
    samples = None
    try:
        file = options.checkpoint
        state = read_checkpoint(file)
        others = {"--tokens": options.tokens}
        if is_text(state):
            others = {"--image-size": size, "--channels": options.channels, "--mean": options.mean,
                      "--std": options.std, **{f"--{key}": value for key, value in
                                               export.picture_keys(options).items()}}
        for name, value in others.items():
            if value is not None:
                parser.error(f"{name} is for another kind of model than {file}'s, "
                             f"{source(state)}")
        if options.samples:
            file = options.samples
            samples = read_samples(file)
            model = import_checked(state, samples, size, options.channels, options.dim_head,
                                   options.heads, options.tokens)
        else:
            model = import_state(state, size, options.channels, options.dim_head, options.heads,
                                 options.tokens)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    print(f"{options.out}: {model.record['heads']} heads of {model.record['dim_head']}, "
          f"{model.record['depth']} blocks, {model.record['classes']} classes")
    classes = model.record["classes"]
    labels = options.labels or [str(number) for number in range(classes)]
    if len(labels) != classes:
        parser.error(f"{len(labels)} labels, expected {classes}")
    published = (model.record["attention"]["kind"] == "qama_bilinear"
                 or not model.record["attention"].get("projection", True))
    digest = export.export_model(model, options.out, preprocess_record(parser, options, model),
                                 labels, {"imported_from": "QAMA's published code" if published
                                          else "vit-pytorch SimpleViT"})
    if options.golden:
        if samples is None:
            torch.manual_seed(1)
            inputs = torch.randn(2, *input_shape(model.record))
            model.set_solver(export.anneal_solver(model.record))
            with torch.no_grad():
                logits = model(inputs)
            model.set_solver(export.anneal_solver(model.record))  # the same seeds again
        else:
            inputs, logits = samples
        export.write_golden(model, options.golden, digest, (inputs,), logits.argmax(1).numpy(),
                            logits=None if samples is None else logits)


if __name__ == "__main__":
    command.run(main)
