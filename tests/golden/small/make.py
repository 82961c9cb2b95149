"""Small models with random weights and their goldens: a pair for every attention kind that no
shipped model has, for texts with neighbours and the maximum over tokens or with scores of n-grams,
for patches with an epsilon of their own, for two kinds in one model, for half-precision files and
for models imported from vit-pytorch and from the authors' published code.

    PYTHONPATH=weights/export python3 tests/golden/small/make.py [NAME...]   # from the root

Run it again after a change of the file format or of a kind's definition; the files are committed,
because ctest needs no PyTorch. `qama verify` compares every intermediate.
"""
import sys
from pathlib import Path

import torch
from qama_export import export, import_checkpoint, tensor_file
from qama_export.models import build

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1] / "weights" / "export"))
# The independent implementations lie with the export tests.
import published  # noqa: E402
import vit_package  # noqa: E402

VIT = {"kind": "simple_vit", "image": {"height": 8, "width": 12, "channels": 2}, "patch": 2,
       "token_pool": [1, 1],
       "dim": 20, "depth": 2, "heads": 3, "dim_head": 5, "mlp": 24, "classes": 4, "gelu": "erf",
       "norm_eps": 1e-5,
       "pool": "mean"}
TEXT = {"kind": "text_transformer", "sequence": {"max_tokens": 24, "vocabulary": 30,
                                                 "embedding": 6}, "dim": 12,
        "depth": 2, "heads": 2, "dim_head": 6, "mlp": 20, "classes": 2, "gelu": "tanh",
        "norm_eps": 1e-5,
        "pool": "mean"}
KINDS = {"longformer": {"window": 3, "global_tokens": 2},
         "bigbird": {"block": 3, "window_blocks": 1, "global_blocks": 1, "random_blocks": 2},
         "linformer": {"rank": 7}, "performer": {"features": 19},
         "reformer": {"hashes": 3, "buckets": 6, "chunk": 7},
         "qama_v1": {"bits": 3, "quadratic": 1.0, "linear": 1.0, "penalty": 2.0,
                     "anneal": {"sweeps": 8, "restarts": 4, "t_start": 1.2, "t_end": 0.08,
                                "seed": 1}},
         "qama_bilinear": {"rho0": 0.16, "gamma0": 0.8,
                           "anneal": {"sweeps": 8, "restarts": 4, "t_start": 1.2, "t_end": 0.08,
                                      "seed": 1}}}
# A kind without an output projection has heads that are as wide as the model together.
WIDTHS = {"qama_bilinear": {"image": {"dim_head": 5, "heads": 4},
                            "text": {"dim_head": 6, "heads": 2}}}
IMAGE = {"kind": "image", "mean": [0.5, 0.4], "std": [0.25, 0.2], "scale": 255,
         "resize": "bilinear", "gray": "luma"}
WORDS = {"kind": "text", "tokeniser": "words", "lowercase": True, "truncate": "head"}


def random_model(record):
    """A model whose every number differs from its initial value."""
    torch.manual_seed(11)
    model = build(record).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
            elif name.endswith("running_mean") or name == "embed.ngrams":
                buffer.normal_()
    return model


def make(name, record):
    model = random_model(record)
    text = record["kind"] == "text_transformer"
    if text:
        vocabulary = ["<pad>", "<unk>"] + [f"word{number}" for number in range(28)]
        lengths = torch.tensor([24, 13, 1], dtype=torch.int32)
        tokens = torch.randint(1, 30, (3, 24), dtype=torch.int32)
        inputs = (tokens * (torch.arange(24) < lengths[:, None]), lengths)
    else:
        vocabulary, inputs = None, (torch.randn(1, 2, 8, 12),)
    labels = [str(number) for number in range(record["classes"])]
    digest = export.export_model(model, FOLDER / f"{name}.model.safetensors", WORDS
                                 if text else IMAGE, labels, None,
                                 vocabulary)
    model.set_solver(export.anneal_solver(record))
    with torch.no_grad():
        answers = model(*inputs).argmax(1).numpy()
    model.set_solver(export.anneal_solver(record))  # the same seeds again
    export.write_golden(model, FOLDER / f"{name}.golden.safetensors", digest, inputs, answers)


def make_half(name, dtype, write):
    """A softmax model whose matrices `write` stores in half precision; the golden is of what is
    stored."""
    model = random_model({**VIT, "attention": {"kind": "softmax"}})
    full, path = FOLDER / "full.tmp", FOLDER / f"{name}.model.safetensors"
    export.export_model(model, full, IMAGE, list("abcd"))
    digest = write(full, path, dtype)
    full.unlink()
    stored, _, _ = export.import_model(path)
    inputs = (torch.randn(1, 2, 8, 12),)
    with torch.no_grad():
        answers = stored(*inputs).argmax(1).numpy()
    export.write_golden(stored, FOLDER / f"{name}.golden.safetensors", digest, inputs, answers)


def make_imported(name):
    """A state_dict with the package's names, imported; the golden's logits are the package's
    layout's own."""
    torch.manual_seed(11)
    package = vit_package.SimpleViT(8, 12, patch=4, classes=5, dim=24, depth=2, heads=3, hidden=40,
                                    dim_head=6).eval()
    with torch.no_grad():
        for parameter in package.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model = import_checkpoint.import_state(package.state_dict(), (8, 12), dim_head=6)
    preprocess = {**IMAGE, "mean": [0.5] * 3, "std": [0.25] * 3}
    digest = export.export_model(model, FOLDER / f"{name}.model.safetensors", preprocess,
                                 list("abcde"))
    images = torch.randn(2, 3, 8, 12)
    with torch.no_grad():
        logits = package.double()(images.double())
    tensor_file.write(FOLDER / f"{name}.golden.safetensors",
                      {"input": images.numpy(), "labels": logits.argmax(1).int().numpy(),
                       "logits": logits.float().numpy()},
                      {"format": "qama-golden", "model_sha256": digest,
                       "producer": export.PRODUCER})


def make_published(name, attention, seed=11):
    """A state_dict with the names of the authors' published code, imported; the golden's logits are
    those of a class of its own, given the spins."""
    torch.manual_seed(seed)
    theirs = published.ImageModel(8, 12, patch=4, channels=3, classes=5, dim=24, heads=3,
                                  depth=2, hidden=40, attention=attention).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model = import_checkpoint.import_state(theirs.state_dict(), (8, 12),
                                           heads=3 if attention == "softmax" else None)
    preprocess = {**IMAGE, "mean": [0.5] * 3, "std": [0.5] * 3}
    write_published(name, theirs, model, torch.randn(4, 3, 8, 12), preprocess, list("abcde"))


def make_published_text(name, attention, dim, heads, seed=11):
    """The same of their text model, on features; with one head of 32 numbers or more it is solved
    on factors on the CPU."""
    torch.manual_seed(seed)
    theirs = published.TextModel(17, classes=2, dim=dim, heads=heads, depth=1, hidden=20,
                                 attention=attention).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model = import_checkpoint.import_state(theirs.state_dict(), heads=heads, tokens=24)
    write_published(name, theirs, model, torch.randn(4, 24, 17), {"kind": "features"}, list("ab"))


def write_published(name, theirs, model, inputs, preprocess, labels):
    digest = export.export_model(model, FOLDER / f"{name}.model.safetensors", preprocess, labels)
    trace = {}
    model.set_solver(export.anneal_solver(model.record))
    with torch.no_grad():
        model(inputs, trace=trace)
        logits = theirs.double()(inputs.double(), [trace.get(f"block.{block}.spins")
                                                   for block in range(model.record["depth"])])
    tensors = {"input": inputs.numpy(), "labels": logits.argmax(1).int().numpy(),
               "logits": logits.float().numpy()}
    tensors.update((key, value.numpy()) for key, value in trace.items() if key.endswith("spins"))
    tensor_file.write(FOLDER / f"{name}.golden.safetensors", tensors,
                      {"format": "qama-golden", "model_sha256": digest,
                       "producer": export.PRODUCER})


def main():
    wanted = sys.argv[1:]
    for kind, options in KINDS.items():
        for shape, base in (("image", VIT), ("text", TEXT)):
            if not wanted or f"{kind}-{shape}" in wanted:
                make(f"{kind}-{shape}", {**base, **WIDTHS.get(kind, {}).get(shape, {}),
                                         "attention": {"kind": kind, **options}})
    if not wanted or "qama_bilinear-factors" in wanted:
        # One head whose factors have 64 dimensions: on the CPU it is solved on them.
        make("qama_bilinear-factors", {**TEXT, "dim": 32, "heads": 1, "dim_head": 32,
                                       "attention": {"kind": "qama_bilinear",
                                                     **KINDS["qama_bilinear"]}})
    if not wanted or "neighbours" in wanted:
        make("neighbours", {**TEXT, "pool": "max", "sequence": {**TEXT["sequence"],
                                                                "neighbours": 2},
                            "attention": {"kind": "softmax"}})
    if not wanted or "ngrams" in wanted:
        make("ngrams", {**TEXT, "sequence": {**TEXT["sequence"], "ngrams": 3, "ngram_rows": 37},
                        "attention": {"kind": "softmax"}})
    if not wanted or "patch-norm-eps" in wanted:
        make("patch-norm-eps", {**VIT, "patch_norm_eps": 0.05, "attention": {"kind": "softmax"}})
    # The keys of encoders as they are out there, in one image model and one text model each.
    image = {**VIT, "class_tokens": 2, "patch_norms": False, "pool": "class", "qkv_bias": True}
    text = {**TEXT, "pool": "class", "norm": "post", "qkv_bias": True, "depth": 4,
            "layer_groups": 2, "head_hidden": {"width": 9, "activation": "tanh"},
            "sequence": {**TEXT["sequence"], "norm": True}}
    for kind in ("softmax", "qama", "qama_bilinear", "reformer"):
        options = {"kind": kind, **KINDS.get(kind, {})}
        if kind == "qama":
            options.update(normalisation="batch", energy_norm="batch", **KINDS["qama_bilinear"])
        widths = WIDTHS.get(kind, {"image": {"out_bias": True}, "text": {"out_bias": True}})
        for shape, base in (("image", image), ("text", text)):
            if not wanted or f"encoder-{kind}-{shape}" in wanted:
                make(f"encoder-{kind}-{shape}", {**base, **widths[shape], "attention": options})
    # Softmax in some blocks and QAMA in the others, as convert makes them.
    mixed = {"attention": {"kind": "qama", "normalisation": "batch", "energy_norm": "batch",
                           **KINDS["qama_bilinear"]}}
    for shape, base, blocks in (("image", VIT, [0]), ("text", TEXT, [1])):
        if not wanted or f"mixed-{shape}" in wanted:
            make(f"mixed-{shape}", {**base, **mixed,
                                    "other_attention": {"blocks": blocks, "kind": "softmax"}})
    for dtype in ("f16", "bf16"):
        if not wanted or dtype in wanted:
            make_half(dtype, dtype, export.write_half)
        if not wanted or f"{dtype}-products" in wanted:
            make_half(f"{dtype}-products", dtype, export.write_products)
    if not wanted or "vit-pytorch" in wanted:
        make_imported("vit-pytorch")
    for attention in ("qama", "softmax"):
        if not wanted or f"published-{attention}" in wanted:
            make_published(f"published-{attention}", attention)
    for name, attention, dim, heads in (("qama", "qama", 16, 2), ("factors", "qama", 32, 1),
                                        ("softmax", "softmax", 16, 2)):
        if not wanted or f"published-text-{name}" in wanted:
            make_published_text(f"published-text-{name}", attention, dim, heads)


if __name__ == "__main__":
    main()
