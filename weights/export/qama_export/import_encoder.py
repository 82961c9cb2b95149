"""A trained transformer in the file format of the Hugging Face hub, as a model file of this
project: ViT, DeiT (their names or timm's) and vit-pytorch's SimpleViT for images; BERT, DistilBERT
and ALBERT that classify texts.

    python3 -m qama_export.import_encoder FOLDER --out model.safetensors

FOLDER is what a hub's repository has: model.safetensors, or its parts with
model.safetensors.index.json, beside config.json and preprocessor_config.json, or the tokeniser's
files (vocab.txt, spiece.model or tokenizer.json). A single safetensors file will do where the
options say the rest. numpy alone is needed, PyTorch is not.

What the runtime has no word for is folded into the weights: a layer scale into the matrix before
it, the type of a text's tokens, which is the first, into their positions. --image-size gives a
model another size of image: its positions are interpolated, bicubic. --tokens shortens the longest
text.

--samples FILE.npz with the arrays `input` (normalised, float32), or `tokens` and `lengths` (ids of
the checkpoint's own tokeniser), and `logits` of your own program gives --golden, a file by which
`qama verify` compares them.
"""
import argparse
import json
import re
from pathlib import Path

import numpy as np

from . import command, pieces, safetensors, tensor_file

PRODUCER = "qama_export 0.1"
MAX_HEADS = 64  # of a model file
ACTIVATIONS = {"gelu": "erf", "gelu_new": "tanh", "gelu_fast": "tanh", "gelu_pytorch_tanh": "tanh",
               "gelu_python": "erf"}
# What a timm model may be made with: what its tensors tell, and what counts in training alone.
TIMM_ARGUMENTS = {
    "act_layer", "attn_drop_rate", "class_token", "depth", "drop_path_rate", "drop_rate",
    "dynamic_img_pad", "dynamic_img_size", "embed_dim", "fc_norm", "global_pool", "img_size",
    "in_chans", "init_values", "mlp_ratio", "no_embed_class", "num_classes", "num_heads",
    "patch_drop_rate", "patch_size", "pos_drop_rate", "pre_norm", "pretrained", "proj_bias",
    "proj_drop_rate", "qk_norm", "qkv_bias", "reg_tokens", "strict_img_size", "weight_init"}


class Checkpoint:
    """The tensors of a checkpoint. Each is taken once, and finish() refuses what is left."""

    def __init__(self, tensors, layout):
        self.tensors, self.layout = dict(tensors), layout

    def has(self, name):
        return name in self.tensors

    def take(self, name, shape=None):
        """float32 tensor `name`, of `shape` if given (None: any size)."""
        if name not in self.tensors:
            raise ValueError(f"tensor '{name}' missing, expected a {self.layout}")
        value = self.tensors.pop(name)
        if shape is not None and (value.ndim != len(shape) or any(
                want not in (None, got) for want, got in zip(shape, value.shape))):
            text = ", ".join("any" if size is None else str(size) for size in shape)
            raise ValueError(f"tensor '{name}' has shape {list(value.shape)}, expected [{text}]")
        if value.dtype != np.float32:
            raise ValueError(f"tensor '{name}' has {value.dtype} numbers, expected floats")
        if not value.size or not np.isfinite(value).all():
            raise ValueError(f"tensor '{name}' is empty or holds a number that is not finite")
        return value

    def linear(self, name, out, into):
        """(weight [out, into], bias [out])"""
        return self.take(f"{name}.weight", (out, into)), self.take(f"{name}.bias", (out,))

    def ignore(self, pattern):
        """Drops what says nothing about the answers."""
        self.tensors = {name: value for name, value in self.tensors.items()
                        if not re.fullmatch(pattern, name)}

    def finish(self):
        if self.tensors:
            raise ValueError(f"tensor '{min(self.tensors)}', which a {self.layout} has not")


class Tensors(dict):
    """The tensors of our model file, in its order."""

    def put(self, name, weight, bias=None):
        self[f"{name}.weight"] = weight
        if bias is not None:
            self[f"{name}.bias"] = bias


def cubic_weights(size, new):
    """[new, size]: PyTorch's bicubic interpolation along one side, align_corners=False."""
    out = np.zeros((new, size))
    for to in range(new):
        place = (to + 0.5) * size / new - 0.5
        first = int(np.floor(place))
        for at in range(first - 1, first + 3):
            away = abs(place - at)
            a = -0.75
            weight = ((a + 2) * away - (a + 3)) * away * away + 1 if away <= 1 else \
                ((a * away - 5 * a) * away + 8 * a) * away - 4 * a
            out[to, min(max(at, 0), size - 1)] += weight
    return out


def interpolated(position, grid, new):
    """Positions [rows columns, dim] of a grid (rows, columns), for another one."""
    if grid == new:
        return position
    table = position.astype(np.float64).reshape(*grid, -1)
    table = np.einsum("ar,bc,rcd->abd", cubic_weights(grid[0], new[0]),
                      cubic_weights(grid[1], new[1]), table)
    return table.reshape(new[0] * new[1], -1).astype(np.float32)


def sincos_2d(rows, columns, dim):
    """SimpleViT's positions [rows columns, dim]; dim is a multiple of 4."""
    y, x = (side.reshape(-1, 1) for side in np.mgrid[:rows, :columns])
    omega = 10000.0 ** -(np.arange(dim // 4) / max(dim // 4 - 1, 1))
    return np.concatenate([np.sin(x * omega), np.cos(x * omega), np.sin(y * omega),
                           np.cos(y * omega)], 1).astype(np.float32)


def number(config, key, default=None):
    """A size of config.json, 1 or more."""
    value = config.get(key, default)
    if type(value) is not int or value < 1:
        raise ValueError(f"config.json: {key} is {value!r}, expected a number from 1")
    return value


def epsilon(config):
    """What config.json says is added to the variance of a norm."""
    value = config.get("layer_norm_eps", 1e-12)
    if type(value) not in (int, float) or not 1e-18 <= value < 1:
        raise ValueError(f"config.json: layer_norm_eps is {value!r}, expected a number between "
                         "1e-18 and 1")
    return float(value)


def section(config, key):
    """An object inside of config.json; empty where there is none."""
    value = config.get(key) or {}
    if not isinstance(value, dict):
        raise ValueError(f"config.json: {key} is {value!r}, expected an object")
    return value


def gelu(config, key="hidden_act", default="gelu"):
    name = config.get(key, default)
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"config.json: {key} is {name!r}, expected one of "
                         f"{', '.join(sorted(ACTIVATIONS))}")
    return ACTIVATIONS[name]


def sides(value, name):
    """(height, width) of one number or two."""
    values = value if isinstance(value, (list, tuple)) else [value, value]
    if len(values) != 2 or any(type(side) is not int or side < 1 for side in values):
        raise ValueError(f"{name} is {value!r}, expected one side or two, from 1")
    return tuple(values)


def image_record(size, channels, patch, **rest):
    if size[0] % patch or size[1] % patch:
        raise ValueError(f"image of {size[0]} x {size[1]}, expected multiples of the patch, "
                         f"{patch}")
    return {"kind": "simple_vit", "image": {"height": size[0], "width": size[1],
                                            "channels": channels},
            "patch": patch, "token_pool": [1, 1], **rest}


def heads_of(dim, heads):
    if type(heads) is not int or not 1 <= heads <= MAX_HEADS:
        raise ValueError(f"{heads!r} heads, expected a number from 1 to {MAX_HEADS}")
    if dim % heads:
        raise ValueError(f"{heads} heads of a model {dim} wide, expected a divisor")
    return {"heads": heads, "dim_head": dim // heads}


def put_patches(out, weight, bias):
    """A convolution [dim, channels, patch, patch] as a matrix over patches, channels last."""
    out.put("patch.linear", weight.transpose(0, 2, 3, 1).reshape(len(weight), -1), bias)


def put_tokens(out, tokens, position, grid, new):
    """Class tokens [n] of [dim] and positions, which have rows for them or not."""
    dim = position.shape[-1]
    position = position.reshape(-1, dim)
    patches = grid[0] * grid[1]
    if len(position) == patches:  # none for the class tokens
        position = np.concatenate([np.zeros((len(tokens), dim), np.float32), position])
    if len(position) != patches + len(tokens):
        raise ValueError(f"{len(position)} positions, expected those of {grid[0]} x {grid[1]} "
                         f"patches and {len(tokens)} class tokens")
    if tokens:
        out["class_token"] = np.stack([token.reshape(dim) for token in tokens])
    out["position"] = np.concatenate([position[:len(tokens)],
                                      interpolated(position[len(tokens):], grid, new)])


def put_head(out, heads, tokens, dim):
    """One head a class token, whose logits are averaged; a head of the first token sees zeros of
    the others."""
    if len(heads) == 1:
        weight, bias = heads[0]
        weight = np.concatenate([weight, np.zeros((len(weight), (tokens - 1) * dim), np.float32)],
                                1)
    else:
        weight = np.concatenate([weight for weight, _ in heads], 1) / np.float32(len(heads))
        bias = sum(bias for _, bias in heads) / np.float32(len(heads))
    out.put("head", weight, bias)
    return len(weight)


def hugging_vit(tensors, config, options):
    """ViTForImageClassification and the DeiT models of Hugging Face's transformers."""
    kind = config["model_type"]
    found = Checkpoint(tensors, {"vit": "ViT of Hugging Face (ViTForImageClassification)",
                                 "deit": "DeiT of Hugging Face"}[kind])
    dim, depth, mlp, patch = (number(config, key) for key in (
        "hidden_size", "num_hidden_layers", "intermediate_size", "patch_size"))
    channels = number(config, "num_channels", 3)
    trained = sides(config.get("image_size"), "config.json: image_size")
    size = options.image_size or trained
    biased = bool(config.get("qkv_bias", True))
    record = image_record(size, channels, patch, patch_norms=False,
                          class_tokens=2 if kind == "deit" else 1)
    out, base = Tensors(), f"{kind}.embeddings."
    put_patches(out, found.take(base + "patch_embeddings.projection.weight",
                                (dim, channels, patch, patch)),
                found.take(base + "patch_embeddings.projection.bias", (dim,)))
    tokens = [found.take(base + "cls_token", (1, 1, dim))]
    if kind == "deit":
        tokens.append(found.take(base + "distillation_token", (1, 1, dim)))
    grid = (trained[0] // patch, trained[1] // patch)
    put_tokens(out, tokens, found.take(base + "position_embeddings",
                                       (1, grid[0] * grid[1] + len(tokens), dim)),
               grid, (size[0] // patch, size[1] // patch))
    for i in range(depth):
        layer, block = f"{kind}.encoder.layer.{i}.", f"blocks.{i}."
        out.put(block + "attn.norm", found.take(layer + "layernorm_before.weight", (dim,)),
                found.take(layer + "layernorm_before.bias", (dim,)))
        names = [f"{layer}attention.attention.{part}" for part in ("query", "key", "value")]
        out.put(block + "attn.qkv",
                np.concatenate([found.take(f"{name}.weight", (dim, dim)) for name in names]),
                np.concatenate([found.take(f"{name}.bias", (dim,)) for name in names])
                if biased else None)
        out.put(block + "attn.out", *found.linear(layer + "attention.output.dense", dim, dim))
        out.put(block + "mlp.norm", found.take(layer + "layernorm_after.weight", (dim,)),
                found.take(layer + "layernorm_after.bias", (dim,)))
        out.put(block + "mlp.fc1", *found.linear(layer + "intermediate.dense", mlp, dim))
        out.put(block + "mlp.fc2", *found.linear(layer + "output.dense", dim, mlp))
    out.put("norm", found.take(f"{kind}.layernorm.weight", (dim,)),
            found.take(f"{kind}.layernorm.bias", (dim,)))
    names = ["cls_classifier", "distillation_classifier"]
    if not found.has("cls_classifier.weight"):
        names = ["classifier"]
    heads = [found.linear(name, None, dim) for name in names]
    classes = put_head(out, heads, len(tokens), dim)
    found.finish()
    return out, {**record, "dim": dim, "depth": depth,
                 **heads_of(dim, number(config, "num_attention_heads")), "mlp": mlp,
                 "classes": classes, "gelu": gelu(config),
                 "norm_eps": epsilon(config), "pool": "class",
                 **({"qkv_bias": True} if biased else {}), "out_bias": True,
                 "attention": {"kind": "softmax"}}


def timm_vit(tensors, config, options):
    """VisionTransformer of timm: ViT, and DeiT with or without a token to distil."""
    found = Checkpoint(tensors, "ViT or DeiT of timm")
    made = section(config, "model_args")
    for pool in (config.get("global_pool", "token"), made.get("global_pool", "token")):
        if pool != "token":
            raise ValueError(f"config.json: global_pool is {pool!r}, expected 'token'")
    for name, value in made.items():
        if name not in TIMM_ARGUMENTS and value is not None:
            raise ValueError(f"config.json: model_args has {name!r}, which is not read")
    act = {None: "erf", "gelu": "erf", "gelu_tanh": "tanh"}.get(made.get("act_layer"))
    if act is None:
        raise ValueError(f"config.json: act_layer is {made['act_layer']!r}, expected 'gelu' or "
                         "'gelu_tanh'")
    weight = found.take("patch_embed.proj.weight", (None, None, None, None))
    dim, channels, patch, other = weight.shape
    if patch != other:
        raise ValueError(f"patches of {patch} x {other}, expected squares")
    out = Tensors()
    put_patches(out, weight, found.take("patch_embed.proj.bias", (dim,)))
    tokens = [found.take(name, (1, 1, dim)) for name in ("cls_token", "dist_token")
              if name == "cls_token" or found.has(name)]
    position = found.take("pos_embed", (1, None, dim))
    told = made.get("img_size") or pretrained(config).get("input_size")
    trained = told[-2:] if isinstance(told, list) else told
    if trained is None:
        side = round((position.shape[1] - len(tokens)) ** 0.5)
        trained = [side * patch, side * patch]
    trained = sides(trained, "config.json: input_size")
    size = options.image_size or trained
    record = image_record(size, channels, patch, patch_norms=False, class_tokens=len(tokens))
    put_tokens(out, tokens, position, (trained[0] // patch, trained[1] // patch),
               (size[0] // patch, size[1] // patch))
    depth = 1 + max((int(name.split(".")[1]) for name in tensors
                     if re.match(r"blocks\.\d+\.", name)), default=0)
    biased = found.has("blocks.0.attn.qkv.bias")
    mlp = None
    for i in range(depth):
        block = f"blocks.{i}."

        def scaled(name, into, gamma, block=block):
            """A linear layer with the layer scale behind it."""
            weight, bias = found.linear(block + name, dim, into)
            if not found.has(f"{block}{gamma}.gamma"):
                return weight, bias
            scale = found.take(f"{block}{gamma}.gamma", (dim,))
            return weight * scale[:, None], bias * scale

        out.put(block + "attn.norm", *(found.take(f"{block}norm1.{leaf}", (dim,))
                                       for leaf in ("weight", "bias")))
        out.put(block + "attn.qkv", found.take(block + "attn.qkv.weight", (3 * dim, dim)),
                found.take(block + "attn.qkv.bias", (3 * dim,)) if biased else None)
        out.put(block + "attn.out", *scaled("attn.proj", dim, "ls1"))
        out.put(block + "mlp.norm", *(found.take(f"{block}norm2.{leaf}", (dim,))
                                      for leaf in ("weight", "bias")))
        weight = found.take(block + "mlp.fc1.weight", (mlp, dim))
        mlp = len(weight)
        out.put(block + "mlp.fc1", weight, found.take(block + "mlp.fc1.bias", (mlp,)))
        out.put(block + "mlp.fc2", *scaled("mlp.fc2", mlp, "ls2"))
    out.put("norm", found.take("norm.weight", (dim,)), found.take("norm.bias", (dim,)))
    hidden = None
    if found.has("pre_logits.fc.weight"):
        if len(tokens) != 1:
            raise ValueError("tensor 'pre_logits.fc.weight' beside 'dist_token', expected one of "
                             "them")
        out.put("head.hidden", *found.linear("pre_logits.fc", None, dim))
        hidden = {"width": len(out["head.hidden.weight"]), "activation": "tanh"}
    heads = [found.linear(name, None, hidden["width"] if hidden else dim)
             for name in ("head", "head_dist") if name == "head" or found.has("head_dist.weight")]
    classes = put_head(out, heads, len(tokens), dim)
    found.finish()
    heads = heads_of(dim, timm_heads(config, dim, options))
    return out, {**record, "dim": dim, "depth": depth, **heads, "mlp": mlp,
                 "classes": classes, "gelu": act, "norm_eps": 1e-6, "pool": "class",
                 **({"qkv_bias": True} if biased else {}), "out_bias": True,
                 **({"head_hidden": hidden} if hidden else {}), "attention": {"kind": "softmax"}}


def pretrained(config):
    """What timm's config.json says of pictures; older ones have it beside the architecture."""
    return section(config, "pretrained_cfg") if "pretrained_cfg" in config else config


def timm_heads(config, dim, options):
    """timm's config.json has the heads only where they are not the architecture's own."""
    told = section(config, "model_args").get("num_heads")
    if told or options.heads:
        return told or options.heads
    name = str(config.get("architecture", ""))
    if re.match(r"(vit|deit3?)_(tiny|small|base|large)_", name) and dim % 64 == 0:
        return dim // 64
    raise ValueError(f"architecture {name!r}, which does not say how many heads: give --heads")


def simple_vit(tensors, config, options):
    """SimpleViT of vit-pytorch 1.2.2 or later."""
    found = Checkpoint(tensors, "SimpleViT of vit-pytorch")
    size = options.image_size or (config.get("image_size") and sides(config["image_size"],
                                                                     "config.json: image_size"))
    if not size:
        raise ValueError("a SimpleViT, which does not say how large its images are: give "
                         "--image-size")
    weight = found.take("to_patch_embedding.2.weight", (None, None))
    dim, numbers = weight.shape
    if dim % 4:
        raise ValueError(f"a SimpleViT {dim} wide, expected a multiple of 4")
    channels = options.channels or 3
    patch = round((numbers / channels) ** 0.5)
    if patch * patch * channels != numbers:
        raise ValueError(f"patches of {numbers} numbers, expected a square times {channels} "
                         "channels")
    record = image_record(size, channels, patch)
    out = Tensors()

    def norm(ours, theirs, width):
        out.put(ours, *(found.take(f"{theirs}.{leaf}", (width,)) for leaf in ("weight", "bias")))

    norm("patch.norm1", "to_patch_embedding.1", numbers)
    out.put("patch.linear", weight, found.take("to_patch_embedding.2.bias", (dim,)))
    norm("patch.norm2", "to_patch_embedding.3", dim)
    out["position"] = sincos_2d(size[0] // patch, size[1] // patch, dim)
    depth = 1 + max((int(name.split(".")[2]) for name in tensors
                     if re.match(r"transformer\.layers\.\d+\.", name)), default=0)
    inner = mlp = None
    for i in range(depth):
        layer, block = f"transformer.layers.{i}.", f"blocks.{i}."
        norm(block + "attn.norm", layer + "0.norm", dim)
        out_weight = found.take(layer + "0.to_out.weight", (dim, inner))
        inner = out_weight.shape[1]
        out.put(block + "attn.qkv", found.take(layer + "0.to_qkv.weight", (3 * inner, dim)))
        out.put(block + "attn.out", out_weight)
        norm(block + "mlp.norm", layer + "1.net.0", dim)
        weight = found.take(layer + "1.net.1.weight", (mlp, dim))
        mlp = len(weight)
        out.put(block + "mlp.fc1", weight, found.take(layer + "1.net.1.bias", (mlp,)))
        out.put(block + "mlp.fc2", *found.linear(layer + "1.net.3", dim, mlp))
    norm("norm", "transformer.norm", dim)
    out.put("head", *found.linear("linear_head", None, dim))
    found.finish()
    heads = config.get("heads") or options.heads
    if not heads:
        raise ValueError(f"attention {inner} wide, which does not say how many heads: give "
                         "--heads")
    return out, {**record, "dim": dim, "depth": depth, **heads_of(inner, heads), "mlp": mlp,
                 "classes": len(out["head.weight"]), "gelu": "erf", "norm_eps": 1e-5,
                 "pool": "mean", "attention": {"kind": "softmax"}}


def put_words(out, found, base, dim, options, kinds=True):
    """Words, positions with the first type of tokens, their norm; (vocabulary, longest text)."""
    words = found.take(base + "word_embeddings.weight", (None, dim))
    position = found.take(base + "position_embeddings.weight", (None, dim))
    if kinds:
        position = position + found.take(base + "token_type_embeddings.weight", (None, dim))[:1]
    tokens = options.tokens or len(position)
    if not 3 <= tokens <= len(position):
        raise ValueError(f"--tokens {tokens}, expected 3 to the model's {len(position)}")
    found.ignore(re.escape(base) + "position_ids")
    pieces_of_it = options.pieces
    if len(pieces_of_it.words) > len(words):
        raise ValueError(f"{len(pieces_of_it.words)} pieces of the tokeniser, expected at most the "
                         f"{len(words)} rows of '{base}word_embeddings.weight'")
    # Rows that no piece has are padding of the matrix.
    out["vocabulary"] = np.frombuffer("\n".join(pieces_of_it.words).encode(), np.uint8)
    if pieces_of_it.scores is not None:
        out["vocabulary.scores"] = pieces_of_it.scores
    out["normaliser"] = np.frombuffer(pieces_of_it.table, np.uint8)
    out["embed.weight"] = words[pieces_of_it.order]
    out.put("embed.norm", found.take(base + "LayerNorm.weight", (dim,)),
            found.take(base + "LayerNorm.bias", (dim,)))
    out["position"] = position[:tokens]
    return {"max_tokens": tokens, "vocabulary": len(pieces_of_it.words), "embedding": dim,
            "norm": True, "pieces": pieces_of_it.kind}


def put_post_block(out, found, block, dim, mlp, names):
    """A block whose norms are behind attention and MLP; names: of q, k, v, the projection, its
    norm, the MLP's two layers and their norm."""
    q, k, v, projection, norm, first, second, last = names
    parts = [found.linear(name, dim, dim) for name in (q, k, v)]
    out.put(block + "attn.norm", found.take(norm + ".weight", (dim,)),
            found.take(norm + ".bias", (dim,)))
    out.put(block + "attn.qkv", *(np.concatenate(part) for part in zip(*parts)))
    out.put(block + "attn.out", *found.linear(projection, dim, dim))
    out.put(block + "mlp.norm", found.take(last + ".weight", (dim,)),
            found.take(last + ".bias", (dim,)))
    out.put(block + "mlp.fc1", *found.linear(first, mlp, dim))
    out.put(block + "mlp.fc2", *found.linear(second, dim, mlp))


def text_record(sequence, dim, depth, heads, mlp, eps, act, out, **rest):
    return {"kind": "text_transformer", "sequence": sequence, "dim": dim, "depth": depth,
            **heads_of(dim, heads), "mlp": mlp, "classes": len(out["head.weight"]), "gelu": act,
            "norm_eps": eps, "pool": "class", "norm": "post", "qkv_bias": True, "out_bias": True,
            **rest, "attention": {"kind": "softmax"}}


def plain(config):
    """ValueError where a token does not see all of the others, by its place alone."""
    kind = config.get("position_embedding_type", "absolute")
    if kind != "absolute":
        raise ValueError(f"config.json: position_embedding_type is {kind!r}, expected 'absolute'")
    if config.get("is_decoder"):
        raise ValueError("config.json: is_decoder is true, expected false")


def bert(tensors, config, options):
    """BertForSequenceClassification."""
    # Old checkpoints call the numbers of a norm gamma and beta.
    tensors = {re.sub(r"LayerNorm\.(gamma|beta)$",
                      lambda m: "LayerNorm." + {"gamma": "weight", "beta": "bias"}[m[1]], name):
               value for name, value in tensors.items()}
    found, out = Checkpoint(tensors, "BERT that classifies (BertForSequenceClassification)"), \
        Tensors()
    plain(config)
    dim, depth, mlp = (number(config, key) for key in (
        "hidden_size", "num_hidden_layers", "intermediate_size"))
    sequence = put_words(out, found, "bert.embeddings.", dim, options)
    for i in range(depth):
        layer = f"bert.encoder.layer.{i}."
        put_post_block(out, found, f"blocks.{i}.", dim, mlp, [
            *(f"{layer}attention.self.{part}" for part in ("query", "key", "value")),
            layer + "attention.output.dense", layer + "attention.output.LayerNorm",
            layer + "intermediate.dense", layer + "output.dense", layer + "output.LayerNorm"])
    out.put("head.hidden", *found.linear("bert.pooler.dense", dim, dim))
    out.put("head", *found.linear("classifier", None, dim))
    found.finish()
    return out, text_record({**sequence, "projection": False}, dim, depth,
                            number(config, "num_attention_heads"), mlp,
                            epsilon(config), gelu(config), out,
                            head_hidden={"width": dim, "activation": "tanh"})


def distilbert(tensors, config, options):
    """DistilBertForSequenceClassification."""
    found = Checkpoint(tensors, "DistilBERT that classifies (DistilBertForSequenceClassification)")
    out = Tensors()
    dim, depth, mlp = (number(config, key) for key in ("dim", "n_layers", "hidden_dim"))
    sequence = put_words(out, found, "distilbert.embeddings.", dim, options, kinds=False)
    for i in range(depth):
        layer = f"distilbert.transformer.layer.{i}."
        put_post_block(out, found, f"blocks.{i}.", dim, mlp, [
            *(f"{layer}attention.{part}_lin" for part in "qkv"), layer + "attention.out_lin",
            layer + "sa_layer_norm", layer + "ffn.lin1", layer + "ffn.lin2",
            layer + "output_layer_norm"])
    out.put("head.hidden", *found.linear("pre_classifier", dim, dim))
    out.put("head", *found.linear("classifier", None, dim))
    found.finish()
    return out, text_record({**sequence, "projection": False}, dim, depth,
                            number(config, "n_heads"), mlp, 1e-12, gelu(config, "activation"), out,
                            head_hidden={"width": dim, "activation": "relu"})


def albert(tensors, config, options):
    """AlbertForSequenceClassification."""
    found = Checkpoint(tensors, "ALBERT that classifies (AlbertForSequenceClassification)")
    out = Tensors()
    plain(config)
    dim, depth, mlp, width = (number(config, key) for key in (
        "hidden_size", "num_hidden_layers", "intermediate_size", "embedding_size"))
    groups = number(config, "num_hidden_groups", 1)
    if depth % groups or number(config, "inner_group_num", 1) != 1:
        raise ValueError(f"config.json: {groups} groups of {config.get('inner_group_num', 1)} "
                         f"layers for {depth} blocks, expected a divisor and one layer a group")
    sequence = put_words(out, found, "albert.embeddings.", width, options)
    out.put("embed.proj", *found.linear("albert.encoder.embedding_hidden_mapping_in", dim, width))
    for i in range(groups):
        layer = f"albert.encoder.albert_layer_groups.{i}.albert_layers.0."
        put_post_block(out, found, f"blocks.{i}.", dim, mlp, [
            *(f"{layer}attention.{part}" for part in ("query", "key", "value", "dense",
                                                      "LayerNorm")),
            layer + "ffn", layer + "ffn_output", layer + "full_layer_layer_norm"])
    out.put("head.hidden", *found.linear("albert.pooler", dim, dim))
    out.put("head", *found.linear("classifier", None, dim))
    found.finish()
    shared = {"layer_groups": groups} if groups < depth else {}
    return out, text_record(sequence, dim, depth, number(config, "num_attention_heads"), mlp,
                            epsilon(config), gelu(config, default="gelu_new"), out,
                            head_hidden={"width": dim, "activation": "tanh"}, **shared)


# model_type of Hugging Face's config.json -> what reads it.
MODEL_TYPES = {"vit": hugging_vit, "deit": hugging_vit, "bert": bert, "distilbert": distilbert,
               "albert": albert}
TOKENISERS = {"bert": "wordpiece", "distilbert": "wordpiece", "albert": "unigram"}


def reader_of(tensors, config):
    """What reads this checkpoint; ValueError where none does."""
    kind = config.get("model_type")
    if kind in MODEL_TYPES:
        return MODEL_TYPES[kind]
    if kind is None and "patch_embed.proj.weight" in tensors:
        return timm_vit
    if kind is None and "to_patch_embedding.2.weight" in tensors:
        return simple_vit
    if kind is None:
        raise ValueError("neither a config.json with model_type nor the names of timm or of "
                         "vit-pytorch's SimpleViT")
    raise ValueError(f"config.json: model_type is {kind!r}, expected one of "
                     f"{', '.join(MODEL_TYPES)}")


def pixels(record, config, folder, options):
    """The preprocess record of images: the options, preprocessor_config.json, timm's config."""
    channels = record["image"]["channels"]
    file = folder / "preprocessor_config.json"
    told = safetensors.read_json(file) if file.is_file() else {}
    if told.get("rescale_factor", 1 / 255) != 1 / 255:
        raise ValueError(f"{file}: rescale_factor is {told['rescale_factor']!r}, expected 1 / 255")
    if told.get("do_rescale") is False:
        raise ValueError(f"{file}: do_rescale is false, expected true")
    if told.get("do_normalize") is False:
        told = {**told, "image_mean": [0.0] * channels, "image_std": [1.0] * channels}
    timm_told = pretrained(config)
    out = {"kind": "image"}
    for ours, theirs, timm in (("mean", "image_mean", "mean"), ("std", "image_std", "std")):
        values = getattr(options, ours) or told.get(theirs) or timm_told.get(timm) or [
            0.5] * channels
        if not isinstance(values, list) or len(values) != channels or any(
                type(value) not in (int, float) or not abs(value) <= 1e6
                or (ours == "std" and value < 1e-9) for value in values):
            raise ValueError(f"{ours} is {values!r}, expected {channels} numbers, one a channel"
                             + (", above 0" if ours == "std" else ""))
        out[ours] = [float(value) for value in values]
    out.update(scale=255, resize="bilinear", gray="luma")
    if told.get("do_center_crop") or timm_told.get("crop_mode") == "center":
        out["fit"] = "crop"
    return out


def labels_of(config, classes, options):
    """One name a class: the options', config.json's, or numbers."""
    for key in ("num_classes", "num_labels"):
        if config.get(key, classes) != classes:
            raise ValueError(f"config.json: {key} is {config[key]!r}, expected {classes}, the "
                             "classes of the checkpoint")
    names, ids = options.labels, section(config, "id2label")
    if not names and ids:
        if len(ids) > classes:
            raise ValueError(f"config.json: id2label has {len(ids)} names, expected {classes}, the "
                             "classes of the checkpoint")
        names = [ids.get(str(i)) for i in range(classes)]
        for i, name in enumerate(names):
            if not isinstance(name, str) or not name:
                raise ValueError(f"config.json: id2label has {name!r} for class {i} of {classes}, "
                                 "expected a name")
    names = names or config.get("label_names") or config.get("labels") or [
        str(i) for i in range(classes)]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"config.json: label_names is {names!r}, expected a list of names")
    if len(names) != classes:
        raise ValueError(f"{len(names)} labels, expected {classes}")
    names = [" ".join(name.split()) for name in names]
    for i, name in enumerate(names):
        if not name or any(ord(c) < 32 or ord(c) == 127 for c in name):
            raise ValueError(f"label {name!r} of class {i}, expected text without control "
                             "characters")
    return names


def read_checkpoint(path, options):
    """(tensors, record, preprocess, labels) of a folder or a file; ValueError, OSError."""
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    config = folder / "config.json"
    config = safetensors.read_json(config) if config.is_file() else {}
    task = config.get("problem_type") or "single_label_classification"
    if task != "single_label_classification":
        raise ValueError(f"config.json: problem_type is {task!r}, expected "
                         "'single_label_classification'")
    tensors = safetensors.read(path)
    kind = config.get("model_type")
    if kind is not None and not isinstance(kind, str):
        raise ValueError(f"config.json: model_type is {kind!r}, expected a name")
    if kind in TOKENISERS:
        options.pieces = pieces.read(folder, TOKENISERS[kind])
    text = {"--tokens": options.tokens}
    image = {"--image-size": options.image_size, "--channels": options.channels,
             "--mean": options.mean, "--std": options.std}
    for name, value in (image if kind in TOKENISERS else text).items():
        if value is not None:
            raise ValueError(f"{name} is for {'images' if kind in TOKENISERS else 'texts'}, "
                             f"expected options of this model, a {kind or 'SimpleViT or timm'}")
    out, record = reader_of(tensors, config)(tensors, config, options)
    if record["classes"] < 2:
        raise ValueError("1 class, which is a regression: expected 2 or more")
    for name, value, got in (("--heads", options.heads, record["heads"]),
                             ("--channels", options.channels,
                              record.get("image", {}).get("channels"))):
        if value not in (None, got):
            raise ValueError(f"{name} {value}, expected {got}, as the checkpoint says")
    if kind in TOKENISERS:
        preprocess = {"kind": "text", "tokeniser": options.pieces.kind,
                      "lowercase": options.pieces.lowercase, "truncate": "head"}
    else:
        preprocess = pixels(record, config, folder, options)
    return out, record, preprocess, labels_of(config, record["classes"], options)


def check_samples(samples, name, values, count):
    """ValueError unless an array has `count` samples, whole numbers of texts, finite ones else."""
    if len(values) != count or not count:
        raise ValueError(f"{samples}: array '{name}' has {len(values)} samples, expected "
                         f"{count or '1 or more'}")
    if name in ("tokens", "lengths"):
        fits, expected = np.issubdtype(values.dtype, np.integer), "whole numbers"
    else:
        fits = np.issubdtype(values.dtype, np.floating) and np.isfinite(values).all()
        expected = "finite floats"
    if not fits:
        raise ValueError(f"{samples}: array '{name}' is of {values.dtype}, expected {expected}")


def write_golden(path, samples, record, digest, order):
    """The samples of another program as a golden file of the model with this seal; order: the old
    ids of a text model's pieces."""
    with np.load(samples) as file:
        found = {name: file[name] for name in file.files}
    shapes = {"logits": [record["classes"]]}
    if "image" in record:
        image = record["image"]
        shapes["input"] = [image["channels"], image["height"], image["width"]]
    else:
        shapes.update(tokens=[record["sequence"]["max_tokens"]], lengths=[])
    for name, shape in shapes.items():
        if name not in found or list(found[name].shape[1:]) != shape:
            got = list(found[name].shape) if name in found else "missing"
            raise ValueError(f"{samples}: array '{name}' is {got}, expected [n, "
                             f"{', '.join(map(str, shape))}]")
        check_samples(samples, name, found[name], len(found["logits"]))
    tensors = {name: found[name].astype(np.int32 if name in ("tokens", "lengths") else np.float32)
               for name in shapes}
    if "tokens" in tensors:
        longest = tensors["tokens"].shape[1]
        if not ((tensors["lengths"] > 0) & (tensors["lengths"] <= longest)).all():
            raise ValueError(f"{samples}: array 'lengths', expected 1 to {longest}")
        ours = {old: new for new, old in enumerate(order)}
        for old in np.setdiff1d(found["tokens"], order)[:1]:
            raise ValueError(f"{samples}: array 'tokens' has {old}, expected ids of the "
                             f"tokeniser's {len(order)} pieces")
        tensors["tokens"] = np.vectorize(ours.__getitem__, otypes=[np.int32])(tensors["tokens"])
        tensors["tokens"] *= np.arange(tensors["tokens"].shape[1]) < tensors["lengths"][:, None]
    tensors["labels"] = found["logits"].argmax(1).astype(np.int32)
    tensor_file.write(path, tensors, {"format": "qama-golden", "model_sha256": digest,
                                      "producer": PRODUCER})


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("checkpoint", help="folder of a hub's files, or a safetensors file")
    add("--out", required=True, help="model file to write")
    add("--image-size", type=int, nargs="+",
        help="side, or height and width, in pixels (default: the checkpoint's)")
    add("--tokens", type=int, help="of the longest text, with [CLS] and [SEP] (default: the "
        "checkpoint's)")
    add("--channels", type=int, help="of a SimpleViT (default 3)")
    add("--heads", type=int, help="of the attention, where no file says it")
    add("--mean", type=float, nargs="+", help="of each channel, bytes / 255 (default: the files')")
    add("--std", type=float, nargs="+")
    add("--labels", nargs="+", help="names of the classes (default: config.json's)")
    add("--samples", help="inputs and logits of your own program, .npz")
    add("--golden", help="golden file to write from --samples")
    options = parser.parse_args()
    if options.image_size is not None:
        size = options.image_size
        options.image_size = sides(size * 2 if len(size) == 1 else size, "--image-size")
    options.pieces = None
    for name in ("heads", "channels", "tokens"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name} {value}, expected 1 or more")
    if bool(options.samples) != bool(options.golden):
        parser.error("--samples and --golden belong together")
    command.refuse_overwriting({"--out": options.out, "--golden": options.golden},
                               {"the checkpoint": options.checkpoint,
                                "--samples": options.samples})
    try:
        tensors, record, preprocess, labels = read_checkpoint(options.checkpoint, options)
    except ValueError as error:
        text = str(error)
        if not text.startswith(str(options.checkpoint)):
            text = f"{options.checkpoint}: {text}"
        raise ValueError(text) from error
    digest = tensor_file.write(options.out, tensors, {
        "format": "qama", "architecture": json.dumps(record), "preprocess": json.dumps(preprocess),
        "labels": json.dumps(labels), "producer": PRODUCER,
        "training": json.dumps({"imported_from": "safetensors"})})
    print(f"{options.out}: {record['depth']} blocks, {record['heads']} heads of "
          f"{record['dim_head']}, {record['classes']} classes")
    if options.golden:
        write_golden(options.golden, options.samples, record, digest,
                     options.pieces.order if options.pieces else None)


if __name__ == "__main__":
    command.run(main)
