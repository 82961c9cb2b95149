"""A model file as ONNX in floats, or in ONNX Runtime's own int8:

    export_onnx.py MODEL.safetensors OUT.onnx [--int8 dynamic|qdq] [--pixels FILE]

`dynamic`: what the tools of ONNX Runtime make of linear layers without calibration
(DynamicQuantizeLinear, MatMulInteger): weights signed with a scale a column, activations unsigned
with a scale a tensor, found while it runs. `qdq`: QuantizeLinear and DequantizeLinear around them,
activations with fixed scales, from the smallest and largest values that the images of --pixels
(bytes, as the model has them) give in PyTorch. Weights are what `qama_export.export int8` rounds
them to. Prints the model's mean and deviation. PYTHONPATH has weights/export.
"""
import argparse
import json

import numpy as np
from qama_export import tensor_file
from qama_export.onnx_model import OnnxModel

FLOAT = 1  # the type, for Cast


class Int8Model(OnnxModel):
    """Linear layers in int8, each on its own; everything else in floats."""

    def quantised(self, name):
        values, scales = tensor_file.quantised(self.tensors[name + ".weight"])
        return (self.graph.constant(np.ascontiguousarray(values.T), name + ".values"),
                self.graph.constant(scales, name + ".scales"))


class DynamicModel(Int8Model):
    def product(self, x, name):
        values, scales = self.quantised(name)
        small, scale, zero = self.graph.node("DynamicQuantizeLinear", x, outputs=3)
        sums = self.graph.node("MatMulInteger", small, values, zero)
        sums = self.graph.node("Cast", sums, to=FLOAT)
        return self.graph.node("Mul", sums, self.graph.node("Mul", scale, scales))


class QdqModel(Int8Model):
    def __init__(self, path, ranges):
        self.ranges = ranges
        super().__init__(path)

    def product(self, x, name):
        values, scales = self.quantised(name)
        low, high = (min(self.ranges[name][0], 0.0), max(self.ranges[name][1], 0.0))
        scale = np.float32((high - low) / 255)
        pair = (self.graph.constant(scale),
                self.graph.constant(np.uint8(np.clip(np.rint(-low / scale), 0, 255))))
        x = self.graph.node("DequantizeLinear", self.graph.node("QuantizeLinear", x, *pair), *pair)
        zeros = self.graph.constant(np.zeros(self.tensors[name + ".weight"].shape[0], np.int8))
        weight = self.graph.node("DequantizeLinear", values, scales, zeros, axis=1)
        return self.graph.node("MatMul", x, weight)


def ranges_of(path, pixels):
    """Linear layer -> (smallest, largest) value of its input."""
    import torch
    from qama_export.export import import_model
    model, metadata, _ = import_model(path)
    image, found = metadata["architecture"]["image"], {}
    shape = (-1, image["height"], image["width"], image["channels"])
    images = torch.from_numpy(np.fromfile(pixels, np.uint8).reshape(shape)[:100].copy())
    mean, std = (torch.tensor(metadata["preprocess"][key]) for key in ("mean", "std"))
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            def note(_, inputs, name=name):
                low, high = found.get(name, (0.0, 0.0))
                found[name] = (min(low, float(inputs[0].min())), max(high, float(inputs[0].max())))
            module.register_forward_pre_hook(note)
    with torch.no_grad():
        model(((images / metadata["preprocess"]["scale"] - mean) / std).permute(0, 3, 1, 2))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--int8", choices=["dynamic", "qdq"])
    parser.add_argument("--pixels")
    options = parser.parse_args()
    if options.int8 == "qdq":
        made = QdqModel(options.model, ranges_of(options.model, options.pixels))
    else:
        made = (DynamicModel if options.int8 else OnnxModel)(options.model)
    made.write(options.out, "bench/peers")
    preprocess = json.loads(made.metadata["preprocess"])
    print(*(",".join(map(str, preprocess[key])) for key in ("mean", "std")))


main()
