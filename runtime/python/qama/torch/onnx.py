"""QAMA layers for torch.onnx.export: a layer becomes one node `qama::QamaAttention`, which
runtime/onnxruntime gives to ONNX Runtime; everything else of a network is exported as ever.

    torch.onnx.export(network.eval(), x, "network.onnx", custom_opsets={"qama": 1})

(`dynamo=False` where PyTorch has that option.) What the node takes, and in which order, is in
runtime/onnxruntime/README.md.
"""
import json
import warnings

import torch
from torch.nn import functional

TENSORS = ("qkv.weight", "qkv.bias", "w_eps", "coupling.scale", "coupling.shift", "field.scale",
           "field.shift", "energy.scale", "energy.shift", "energy.weight", "energy.bias",
           "out.weight", "norm_q.weight", "norm_q.bias", "norm_k.weight", "norm_k.bias",
           "norm_v.weight", "norm_v.bias")


def tensors_of(layer):
    """Name -> tensor, of those that the layer's kind has."""
    found = {name: value for name, value in layer.named_parameters() if name in TENSORS}
    if layer.rule.normalises:
        parts = ("coupling", "field", "energy")[:3 if layer.energy_norm == "batch" else 2]
        for part in parts:
            scale, shift = getattr(layer, part).folded()
            found[part + ".scale"], found[part + ".shift"] = scale[0], shift[0]
            found.pop(part + ".weight", None)
            found.pop(part + ".bias", None)
    return found


def record_of(layer, tokens):
    """The architecture record of a model of features that has this layer in its block number
    `layer.number`: what the operator reads of it is the layer's."""
    from .solver import STARTS
    options = layer.solver.options
    anneal = {"sweeps": options.sweeps, "restarts": options.restarts, "t_start": options.t_start,
              "t_end": options.t_end, "seed": options.seed, "start": STARTS[options.start]}
    if options.rounds:
        anneal.update(rounds=options.rounds, round_sweeps=options.round_sweeps,
                      t_round=options.t_round)
    dim = layer.qkv.in_features
    attention = {"kind": layer.kind, "rho0": layer.rho0, "gamma0": layer.gamma0, "anneal": anneal}
    if layer.rule.normalises:
        attention.update(normalisation=layer.normalisation, energy_norm=layer.energy_norm)
    record = {"kind": "feature_transformer", "features": {"tokens": tokens, "width": dim},
              "dim": dim, "depth": layer.number + 1, "heads": layer.heads,
              "dim_head": layer.dim_head, "mlp": 1, "classes": 2, "gelu": "erf",
              "norm_eps": layer.eps, "pool": "mean", "attention": attention}
    if layer.qkv.bias is not None:
        record["qkv_bias"] = True
    return json.dumps(record)


class _Node(torch.autograd.Function):
    @staticmethod
    def forward(_, x, seed, index, record, block, *tensors):
        return x.clone()  # the shape is what counts; nothing is computed while exporting

    @staticmethod
    def symbolic(g, x, seed, index, record, block, *tensors):
        inputs = []
        for tensor in tensors:
            if tensor is None:
                tensor = g.op("prim::Constant")
                tensor.setType(torch._C.OptionalType.ofTensor())
            inputs.append(tensor)
        return g.op("qama::QamaAttention", x, seed, index, *inputs, record_s=record, block_i=block)


def constant(tensor):
    """A copy that the exporter sees as a constant, not as what was computed."""
    return torch.from_numpy(tensor.detach().cpu().float().numpy().copy())


def node(layer, x):
    """The layer as a node of the graph that is being exported; x [B,N,dim]."""
    from .solver import Solver
    if layer.solver is None:
        layer.solver = Solver()
    normed = (layer.norm(x) if layer.rule.norms == "one" else
              functional.layer_norm(x, (layer.qkv.in_features,), eps=layer.eps))
    with warnings.catch_warnings():
        # That these become constants is what is wanted.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        seed = layer.seed if layer.seed is not None else torch.tensor([layer.solver.options.seed])
        index = layer.index if layer.index is not None else torch.tensor([0])
        found = {name: constant(tensor) for name, tensor in tensors_of(layer).items()}
        record = record_of(layer, int(x.shape[1]))
    out = _Node.apply(normed, seed, index, record, layer.number, *map(found.get, TENSORS))
    if layer.rule.projection and layer.out.bias is not None:
        out = out + layer.out.bias
    return out
