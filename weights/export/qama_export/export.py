"""Model files and goldens from trained models, and models from model files.

export_model() folds every running statistic into the two numbers a head that the runtime reads;
write_golden() records the inputs and every named intermediate of one forward pass, spins included.

    python3 -m qama_export.export golden MODEL.safetensors --data DIR --dataset mnist --count 64
        --out G.safetensors
    python3 -m qama_export.export info MODEL.safetensors
    python3 -m qama_export.export half MODEL.safetensors --dtype f16 --out HALF.safetensors
    python3 -m qama_export.export int8 MODEL.safetensors --out SMALL.safetensors
    python3 -m qama_export.export bf16 MODEL.safetensors --out HALF.safetensors
    python3 -m qama_export.export onnx MODEL.safetensors --out MODEL.onnx
    python3 -m qama_export.export pictures MODEL.safetensors --dataset mnist --out NEW.safetensors
"""
import argparse
import ctypes
import json
import re
import tempfile
from pathlib import Path

import numpy as np
import torch
from qama import library
from qama.torch import STARTS, QAMAttention, Solver

from . import command, datasets, tensor_file
from .models import FeatureTransformer, SimpleViT, TextTransformer, build
from .onnx_model import OnnxModel
from .qama_v1 import QamaV1Attention

PRODUCER = "qama_export 0.1"
FITS = ("stretch", "crop", "pad", "content")
BACKGROUNDS = ("any", "dark", "light")
CENTRES = ("box", "mass")
# What int8, bf16 and f16 store in fewer bits: linear layers, and the tables whose rows are tokens.
TABLES = ("embed.weight", "position")
NARROW = re.compile(r"(patch\.linear|embed|embed\.proj|head|head\.hidden|"
                    r"blocks\.\d+\.(attn\.(qkv|out)|mlp\.fc[12]))\.weight|position")


def model_tensors(model, vocabulary=None):
    """Name -> float32 array of the model file, in the file's order (vocabulary: list of words, text
    only)."""
    found = {}
    if isinstance(model, TextTransformer):
        words = "\n".join(vocabulary).encode()
        found["vocabulary"] = np.frombuffer(words, np.uint8)
    folded = ("coupling", "field", "energy")
    for name, value in model.state_dict().items():
        if not any(f".attn.{part}." in name for part in folded):
            value = value.detach().cpu()
            if value.numel():  # bigbird's random blocks may be none
                found[name] = (value.float() if value.is_floating_point() else value).numpy()
    for index, block in enumerate(model.blocks):
        attention = block.attn
        if not isinstance(attention, (QAMAttention, QamaV1Attention)):
            continue
        if isinstance(attention, QAMAttention) and not attention.rule.normalises:
            continue
        prefix = f"blocks.{index}.attn."
        for part in ("coupling", "field"):
            store_folded(found, prefix + part, getattr(attention, part))
        if attention.energy_norm == "batch":
            store_folded(found, prefix + "energy", attention.energy)
        elif attention.energy_norm == "layer":
            found[prefix + "energy.weight"] = attention.energy.weight.detach().cpu().float().numpy()
            found[prefix + "energy.bias"] = attention.energy.bias.detach().cpu().float().numpy()
    return found


def store_folded(found, name, head_norm):
    scale, shift = head_norm.folded()
    found[name + ".scale"] = scale[0].detach().cpu().float().numpy()
    found[name + ".shift"] = shift[0].detach().cpu().float().numpy()


def export_model(model, path, preprocess, labels, training=None, vocabulary=None):
    """Writes the model file; returns its seal."""
    metadata = {"format": "qama", "architecture": json.dumps(model.record),
                "preprocess": json.dumps(preprocess), "labels": json.dumps(list(labels)),
                "producer": PRODUCER}
    if training is not None:
        metadata["training"] = json.dumps(training)
    return tensor_file.write(path, model_tensors(model, vocabulary), metadata)


def opened(model, preprocess, labels, vocabulary=None, path=None):
    """A handle of libqama (at `path`) for `model`, which is written to a file that does not stay;
    ValueError where the runtime refuses it."""
    handle = ctypes.c_void_p()
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "model.safetensors")
        export_model(model, file, preprocess, labels, vocabulary=vocabulary)
        try:
            library.call("qama_model_open_with", file.encode(), None, ctypes.byref(handle),
                         path=path)
        except library.QamaError as error:
            raise ValueError(error.sentence.replace(f"file '{file}': ", "")) from None
    return handle


def import_model(path):
    """(model in eval mode, metadata with its JSON values parsed, vocabulary or None) of a model
    file.

    Folded statistics come back as an affine part on top of mean 0, variance 1 - eps, which is exact
    enough to evaluate, but is no state to go on training from: that is what checkpoints are for.
    """
    tensors, metadata = tensor_file.read_model(path)
    for key in ("architecture", "preprocess", "labels", "training"):
        if key in metadata:
            metadata[key] = json.loads(metadata[key])
    kind = metadata["architecture"].get("sequence", {}).get("pieces", "words")
    if kind != "words":
        raise ValueError(f"{path}: a text model with pieces of words ({kind}), which this package "
                         "does not train: expected one with words")
    model = build(metadata["architecture"]).eval()
    state = model.state_dict()
    for name in state:
        base, _, leaf = name.rpartition(".")
        if name in tensors:
            state[name] = torch.from_numpy(tensors[name])
        elif leaf in ("weight", "bias"):
            ours = "scale" if leaf == "weight" else "shift"
            state[name] = torch.from_numpy(tensors[f"{base}.{ours}"])
        elif leaf == "running_var":
            state[name] = state[name] - model.record["norm_eps"]
    model.load_state_dict(state)
    words = tensors.get("vocabulary")
    return model, metadata, None if words is None else words.tobytes().decode().split("\n")


def write_golden(model, path, model_sha256, inputs, labels, logits=None):
    """Records model(*inputs) in eval mode; inputs: (images,), (features,) or (tokens, lengths);
    labels: array [B]; logits: another program's, in place of the model's."""
    # In double: what a runtime differs from it by is then its own rounding, not PyTorch's too.
    # Float parameters survive the way there and back unchanged.
    model.eval().double()
    trace = {}
    with torch.no_grad():
        model(*(x.double() if x.is_floating_point() else x for x in inputs), trace=trace)
    model.float()
    if logits is not None:
        trace["logits"] = logits
    if len(inputs) == 1:
        tensors = {"input": inputs[0].cpu().float().numpy()}
    else:
        tensors = {"tokens": inputs[0].cpu().numpy().astype(np.int32),
                   "lengths": inputs[1].cpu().numpy().astype(np.int32)}
    tensors["labels"] = np.asarray(labels, np.int32)
    for name, value in trace.items():
        kind = np.uint8 if name.endswith(".spins") else np.float32
        tensors[name.replace("blocks.", "block.")] = value.cpu().numpy().astype(kind)
    return tensor_file.write(path, tensors, {"format": "qama-golden", "model_sha256": model_sha256,
                                             "producer": PRODUCER})


def pictures_of(record, preprocess):
    """How pictures of one's own are prepared for a model with these records (datasets.load)."""
    if "image" not in record:
        return {}
    return {"shape": tuple(record["image"][key] for key in ("height", "width", "channels")),
            "patch": record["patch"], "preprocess": preprocess}


def golden_inputs(model, preprocess, data, count, start=0):
    """The first `count` test samples from `start` on, as (inputs, labels); text is padded to
    max_tokens."""
    labels = data.test_labels[start:start + count]
    if not len(labels):
        raise ValueError(f"{count} test samples from {start} on, expected at least one of "
                         f"{len(data.test_labels)}")
    if isinstance(model, SimpleViT):
        return (datasets.normalise(torch.from_numpy(data.test[start:start + count].copy()),
                                   preprocess),), labels
    tokens, lengths = datasets.padded(data.test[start:start + count],
                                      model.record["sequence"]["max_tokens"])
    return (torch.from_numpy(tokens), torch.from_numpy(lengths)), labels


def anneal_solver(record, threads=1, library=None, **changes):
    """The solver that a model's architecture record asks for, None for kinds that do not anneal."""
    if "anneal" not in record["attention"]:
        return None
    # One solver serves all blocks here, so that schedules of single blocks do not count.
    anneal = {key: value for key, value in record["attention"]["anneal"].items() if key != "layers"}
    return Solver(threads=threads, path=library, **{**anneal, **changes})


def write_schedule(path, out, layers=None, **schedule):
    """Copies a model file with another annealer schedule; the tensors stay the same.

    schedule: what changes of `anneal` (FORMAT.md); None: the key goes. layers: one such schedule a
    block, complete but for the seed; None: every block has the one schedule.
    """
    tensors, metadata = tensor_file.read_model(path, keep_int8=True)
    record = json.loads(metadata["architecture"])
    if "anneal" not in record["attention"]:
        raise ValueError(f"{path}: attention is {record['attention']['kind']!r}, expected 'qama' "
                         "or 'qama_v1'")
    anneal = record["attention"]["anneal"]
    for key, value in schedule.items():
        if value is None:
            anneal.pop(key, None)
        else:
            anneal[key] = value
    anneal.pop("layers", None)
    if layers is not None:
        anneal["layers"] = layers
    metadata["architecture"] = json.dumps(record)
    tensor_file.write(out, tensors, metadata, tensor_file.half_storage(path))


def write_pictures(path, out, **keys):
    """Copies a model file with another way from a picture to its input (FORMAT.md, `preprocess`);
    the tensors stay the same.

    keys: `fit`, `background`, `margin` and `centre`; None: the key goes.
    """
    tensors, metadata = tensor_file.read_model(path, keep_int8=True)
    record = json.loads(metadata["preprocess"])
    if record["kind"] != "image":
        raise ValueError(f"{path}: it classifies {record['kind']}, expected an image model")
    for key, value in keys.items():
        if value is None:
            record.pop(key, None)
        else:
            record[key] = value
    metadata["preprocess"] = json.dumps(record)
    tensor_file.write(out, tensors, metadata, tensor_file.half_storage(path))


def add_picture_options(add):
    """The options of a record's keys for pictures; `add` is a parser's add_argument."""
    add("--fit", choices=FITS, help="how a picture of another size is brought to the model's")
    add("--background", choices=BACKGROUNDS, help="what lies behind the things of the training set")
    add("--margin", type=int, help="with --fit content: pixels left free on each side of the "
        "longer side")
    add("--centre", choices=CENTRES, help="with --fit content: what lies in the middle")


def picture_keys(options):
    """The keys of those options, None where one is not given."""
    return {key: getattr(options, key) for key in ("fit", "background", "margin", "centre")}


def write_half(path, out, dtype):
    """Copies a model file with its matrices in half precision; vectors and tables of numbers stay
    as they are.

    dtype: "f16" or "bf16". Returns the new seal.
    """
    tensors, metadata = tensor_file.read_model(path)
    storage = {name: dtype.upper() for name, value in tensors.items()
               if value.dtype == np.float32 and value.ndim > 1}
    return tensor_file.write(out, tensors, metadata, storage)


def write_products(path, out, dtype):
    """Copies a model file with its linear layers and tables of tokens in half precision, in which
    the layers then compute; the other tensors stay as they are.

    dtype: "f16" or "bf16". Returns the new seal.
    """
    tensors, metadata = tensor_file.read_model(path)
    record = {**json.loads(metadata["architecture"]), "half_products": True}
    metadata["architecture"] = json.dumps(record)
    storage = tensor_file.half_storage(path)
    for name, value in tensors.items():
        if NARROW.fullmatch(name) and value.shape[1] > 1:
            if name in TABLES:  # nothing is multiplied by them
                storage.setdefault(name, dtype.upper())
            else:
                storage[name] = dtype.upper()
    return tensor_file.write(out, tensors, metadata, storage)


def write_int8(path, out):
    """Copies a model file with its linear layers and tables of tokens in int8, a scale a row; the
    other tensors stay as they are. Returns the new seal."""
    tensors, metadata = tensor_file.read_model(path)
    small = {}
    for name, value in tensors.items():
        if NARROW.fullmatch(name) and value.shape[1] > 1:
            small[name], small[tensor_file.scales_of(name)] = tensor_file.quantised(value)
        else:
            small[name] = value
    storage = {name: kind for name, kind in tensor_file.half_storage(path).items()
               if small[name].dtype == np.float32}
    record = json.loads(metadata["architecture"])
    record.pop("half_products", None)
    metadata["architecture"] = json.dumps(record)
    for key in ("architecture", "preprocess", "labels", "training"):
        if key in metadata:  # without blanks, which count in a small file
            metadata[key] = json.dumps(json.loads(metadata[key]), separators=(",", ":"))
    return tensor_file.write(out, small, metadata, storage)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    golden = commands.add_parser("golden", help="record goldens of a model file")
    golden.add_argument("model")
    golden.add_argument("--dataset", required=True, choices=datasets.NAMES)
    golden.add_argument("--data", required=True)
    golden.add_argument("--count", type=int, default=4)
    golden.add_argument("--start", type=int, default=0)
    golden.add_argument("--of", metavar="ORIGINAL", help="record what this model computes: that "
                        "MODEL was made of, before its weights were rounded")
    golden.add_argument("--out", required=True)
    info = commands.add_parser("info", help="print a model file's records and tensors")
    info.add_argument("model")
    schedule = commands.add_parser("schedule", help="write a model file anew with another annealer "
                                   "schedule")
    schedule.add_argument("model")
    schedule.add_argument("--sweeps", type=int, required=True)
    schedule.add_argument("--restarts", type=int, required=True)
    schedule.add_argument("--t-start", type=float, required=True,
                          help="in row norms of the couplings")
    schedule.add_argument("--t-end", type=float, required=True)
    schedule.add_argument("--start", choices=STARTS, default="guessed",
                          help="what restarts begin with")
    schedule.add_argument("--rounds", type=int, default=0, help="after the restarts, for quality")
    schedule.add_argument("--round-sweeps", type=int, default=6)
    schedule.add_argument("--t-round", type=float, default=1.0)
    schedule.add_argument("--out", required=True)
    pictures = commands.add_parser("pictures", help="write a model file anew with another way from "
                                   "a picture to its input")
    pictures.add_argument("model")
    pictures.add_argument("--dataset", choices=sorted(datasets.IMAGE_STATISTICS),
                          help="the way that this set's pictures were made")
    add_picture_options(pictures.add_argument)
    pictures.add_argument("--out", required=True)
    half = commands.add_parser("half", help="write a model file anew with its matrices in half "
                               "precision")
    half.add_argument("model")
    half.add_argument("--dtype", required=True, choices=["f16", "bf16"])
    half.add_argument("--out", required=True)
    int8 = commands.add_parser("int8", help="write a model file anew with its linear layers in "
                               "int8")
    int8.add_argument("model")
    int8.add_argument("--out", required=True)
    for dtype in ("bf16", "f16"):
        products = commands.add_parser(dtype, help="write a model file anew with its linear layers "
                                       f"in {dtype}, in which they then compute")
        products.add_argument("model")
        products.add_argument("--out", required=True)
    onnx = commands.add_parser("onnx", help="write a model file as ONNX, for other engines")
    onnx.add_argument("model")
    onnx.add_argument("--out", required=True)
    arguments = parser.parse_args()
    if arguments.command == "onnx":
        OnnxModel(arguments.model).write(arguments.out, PRODUCER)
        return
    if arguments.command == "int8":
        write_int8(arguments.model, arguments.out)
        return
    if arguments.command in ("bf16", "f16"):
        write_products(arguments.model, arguments.out, arguments.command)
        return
    if arguments.command == "half":
        write_half(arguments.model, arguments.out, arguments.dtype)
        return
    if arguments.command == "pictures":
        keys = picture_keys(arguments)
        if arguments.dataset:
            known = datasets.PICTURES.get(arguments.dataset, {})
            keys = {key: known.get(key) if value is None else value for key, value in keys.items()}
        write_pictures(arguments.model, arguments.out, **keys)
        return
    if arguments.command == "info":
        tensors, metadata = tensor_file.read(arguments.model)
        for key, value in metadata.items():
            print(f"{key}: {value}")
        for name, value in tensors.items():
            print(f"{name} {value.dtype} {list(value.shape)}")
        return
    if arguments.command == "schedule":
        rounds = arguments.rounds > 0
        write_schedule(arguments.model, arguments.out, sweeps=arguments.sweeps,
                       restarts=arguments.restarts,
                       t_start=arguments.t_start, t_end=arguments.t_end,
                       start=None if arguments.start == "guessed" else arguments.start,
                       rounds=arguments.rounds if rounds else None,
                       round_sweeps=arguments.round_sweeps if rounds else None,
                       t_round=arguments.t_round if rounds else None)
        return
    model, metadata, vocabulary = import_model(arguments.of or arguments.model)
    if arguments.of:
        metadata["sha256"] = tensor_file.read(arguments.model)[1]["sha256"]
    if isinstance(model, FeatureTransformer):
        raise ValueError(f"{arguments.model}: it classifies features, which no data set has: "
                         "expected --golden of import_checkpoint")
    model.set_solver(anneal_solver(model.record))
    data = datasets.load(arguments.dataset, arguments.data, vocabulary=vocabulary,
                         max_tokens=model.record.get("sequence", {}).get("max_tokens"),
                         pictures=pictures_of(model.record, metadata["preprocess"]),
                         truncate=metadata["preprocess"].get("truncate", "head"))
    inputs, labels = golden_inputs(model, metadata["preprocess"], data, arguments.count,
                                   arguments.start)
    write_golden(model, arguments.out, metadata["sha256"], inputs, labels)


if __name__ == "__main__":
    command.run(main)
