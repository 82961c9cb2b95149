"""Model files as ONNX, for engines that read that: standard operators, and QAMA layers as
`qama::QamaAttention`, which runtime/onnxruntime gives to ONNX Runtime.

Image models and those of features, with softmax or QAMA attention, QAMA of the paper or of the
published code. Inputs: `image` [batch, channels, height, width], normalised, or `features`
[batch, tokens, width]; and, where a layer is annealed, `seed` and `index` int64 [1]: the solver's
seed and the index of the batch's first sample, which have the model file's seed and 0 as defaults.
Output: `logits` [batch, classes]. A subclass that makes other nodes of a linear layer is
bench/peers/export_onnx.py.
"""
import json

import numpy as np

from . import tensor_file
from .onnx_file import Graph

OPSETS = {"": 20, "qama": 1}
DOMAIN = "qama"
# The operator's inputs behind x, seed and index: a layer's tensors.
QAMA_TENSORS = ("qkv.weight", "qkv.bias", "w_eps", "coupling.scale", "coupling.shift",
                "field.scale", "field.shift", "energy.scale", "energy.shift", "energy.weight",
                "energy.bias", "out.weight", "norm_q.weight", "norm_q.bias", "norm_k.weight",
                "norm_k.bias", "norm_v.weight", "norm_v.bias")
KINDS = ("softmax", "qama", "qama_bilinear")


class OnnxModel:
    """The graph of a model file; write() writes it."""

    def __init__(self, path):
        self.tensors, self.metadata = tensor_file.read_model(path)
        self.record = json.loads(self.metadata["architecture"])
        kinds = [self.record[key]["kind"] for key in ("attention", "other_attention")
                 if key in self.record]
        if self.record["kind"] == "text_transformer" or not set(kinds) <= set(KINDS):
            raise ValueError(f"{path}: {self.record['kind']} with attention {' and '.join(kinds)}, "
                             "expected a model of images or features with one of "
                             f"{', '.join(KINDS)}")
        self.graph = Graph(OPSETS if kinds != ["softmax"] else {"": OPSETS[""]})
        if "anneal" in self.record["attention"]:
            seed = np.array([self.record["attention"]["anneal"]["seed"]], np.uint64)
            self.graph.input("seed", np.int64, [1], seed.astype(np.int64))
            self.graph.input("index", np.int64, [1], np.zeros(1, np.int64))
        x = self.embedded()
        for index in range(self.record["depth"]):
            x = self.block(index, x)
        if self.record.get("norm") != "post":
            x = self.norm(x, "norm")
        self.classify(self.pooled(x))

    def write(self, path, producer):
        notes = {key: self.metadata[key] for key in ("preprocess", "labels", "sha256")
                 if key in self.metadata}
        self.graph.write(path, producer, notes)

    # -- small parts

    def ints(self, *values):
        return self.graph.constant(np.array(values, np.int64))

    def weight(self, name):
        return self.graph.constant(self.tensors[name], name)

    def reshape(self, x, *shape):
        return self.graph.node("Reshape", x, self.ints(*shape))

    def transpose(self, x, *axes):
        return self.graph.node("Transpose", x, perm=list(axes))

    def norm(self, x, name, eps=None):
        """`name` None: mean 0 and variance 1 alone."""
        eps = self.record["norm_eps"] if eps is None else eps
        if name is None:
            ones = self.graph.constant(np.ones(self.record["dim"], np.float32))
            return self.graph.node("LayerNormalization", x, ones, epsilon=float(eps))
        return self.graph.node("LayerNormalization", x, self.weight(name + ".weight"),
                               self.weight(name + ".bias"), epsilon=float(eps))

    def product(self, x, name):
        """x W^T of a linear layer, without its bias."""
        matrix = np.ascontiguousarray(self.tensors[name + ".weight"].T)
        return self.graph.node("MatMul", x, self.graph.constant(matrix, name + ".weight.T"))

    def linear(self, x, name):
        product = self.product(x, name)
        if name + ".bias" not in self.tensors:
            return product
        return self.graph.node("Add", product, self.weight(name + ".bias"))

    # -- the model, in order

    def embedded(self):
        record = self.record
        if record["kind"] == "feature_transformer":
            features = record["features"]
            x = self.graph.input("features", np.float32,
                                 ["batch", features["tokens"], features["width"]])
            return self.linear(x, "embed.proj")
        image, p = record["image"], record["patch"]
        channels, rows, columns = (image["channels"], image["height"] // p, image["width"] // p)
        x = self.graph.input("image", np.float32,
                             ["batch", channels, image["height"], image["width"]])
        x = self.transpose(self.reshape(x, 0, channels, rows, p, columns, p), 0, 2, 4, 3, 5, 1)
        x = self.reshape(x, 0, rows * columns, p * p * channels)
        if record.get("patch_norms", True):
            x = self.norm(x, "patch.norm1", record.get("patch_norm_eps"))
        x = self.linear(x, "patch.linear")
        if record.get("patch_norms", True):
            x = self.norm(x, "patch.norm2")
        first = record.get("class_tokens", 0)
        position = self.tensors["position"].copy()
        if first:
            # A class token and its position are one constant, added to a row of zeros.
            position[:first] += self.tensors["class_token"]
            x = self.graph.node("Pad", x, self.ints(0, first, 0, 0, 0, 0))
        x = self.graph.node("Add", x, self.graph.constant(position, "position"))
        pool = record["token_pool"]
        if pool == [1, 1]:
            return x
        x = self.transpose(self.reshape(x, 0, rows, columns, record["dim"]), 0, 3, 1, 2)
        x = self.graph.node("AveragePool", x, kernel_shape=pool, strides=pool)
        tokens = rows // pool[0] * (columns // pool[1])
        return self.transpose(self.reshape(x, 0, record["dim"], tokens), 0, 2, 1)

    def block(self, index, x):
        record = self.record
        group = index // (record["depth"] // record.get("layer_groups", record["depth"]))
        other = record.get("other_attention", {})
        kind = (other if index in other.get("blocks", ()) else record["attention"])["kind"]
        layer, post = f"blocks.{group}.", record.get("norm") == "post"
        normed = x
        if kind == "qama_bilinear":
            normed = self.norm(x, None)
        elif not post:
            normed = self.norm(x, layer + "attn.norm")
        if kind == "softmax":
            attended = self.softmax(normed, layer + "attn.")
        else:
            attended = self.qama(normed, layer + "attn.", index)
        x = self.graph.node("Add", x, attended)
        if post:
            x = self.norm(x, layer + "attn.norm")
        hidden = self.linear(x if post else self.norm(x, layer + "mlp.norm"), layer + "mlp.fc1")
        hidden = self.graph.node("Gelu", hidden,
                                 approximate={"erf": "none", "tanh": "tanh"}[record["gelu"]])
        x = self.graph.node("Add", x, self.linear(hidden, layer + "mlp.fc2"))
        return self.norm(x, layer + "mlp.norm") if post else x

    def softmax(self, x, layer):
        heads, width = self.record["heads"], self.record["dim_head"]
        parts = self.graph.node("Split", self.linear(x, layer + "qkv"), outputs=3, axis=-1,
                                num_outputs=3)
        q, k, v = (self.reshape(part, 0, 0, heads, width) for part in parts)
        q, v = self.transpose(q, 0, 2, 1, 3), self.transpose(v, 0, 2, 1, 3)
        score = self.graph.node("MatMul", q, self.transpose(k, 0, 2, 3, 1))
        score = self.graph.node("Mul", score, self.graph.constant(np.float32(width ** -0.5)))
        mixed = self.graph.node("MatMul", self.graph.node("Softmax", score, axis=-1), v)
        mixed = self.reshape(self.transpose(mixed, 0, 2, 1, 3), 0, 0, heads * width)
        return self.linear(mixed, layer + "out") if layer + "out.weight" in self.tensors else mixed

    def qama(self, x, layer, index):
        """One node, and the bias of the projection behind the heads."""
        inputs = [self.weight(layer + name) if layer + name in self.tensors else ""
                  for name in QAMA_TENSORS]
        out = self.graph.node("QamaAttention", x, "seed", "index", *inputs, domain=DOMAIN,
                              record=self.metadata["architecture"], block=index)
        if layer + "out.bias" in self.tensors:
            out = self.graph.node("Add", out, self.weight(layer + "out.bias"))
        return out

    def pooled(self, x):
        record = self.record
        if record["pool"] == "class":
            first = record.get("class_tokens", 0) or 1
            x = self.graph.node("Slice", x, self.ints(0), self.ints(first), self.ints(1))
            return self.reshape(x, 0, first * record["dim"])
        kind = {"mean": "ReduceMean", "max": "ReduceMax"}[record["pool"]]
        return self.graph.node(kind, x, self.ints(1), keepdims=0)

    def classify(self, x):
        hidden = self.record.get("head_hidden")
        if hidden:
            kind = {"tanh": "Tanh", "relu": "Relu"}[hidden["activation"]]
            x = self.graph.node(kind, self.linear(x, "head.hidden"))
        x = self.linear(x, "head")
        self.graph.node("Identity", x, name="logits")
        self.graph.output("logits", np.float32, ["batch", self.record["classes"]])
