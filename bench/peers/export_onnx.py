"""Writes a softmax model file as ONNX, for runtimes that read that: export_onnx.py
MODEL.safetensors OUT.onnx

Input `image` [1, channels, height, width], normalised; output `logits` [1, classes]. PYTHONPATH has
weights/export.
"""
import sys

import torch
from qama_export.export import import_model

model, metadata, _ = import_model(sys.argv[1])
image = metadata["architecture"]["image"]
size = (1, image["channels"], image["height"], image["width"])
torch.manual_seed(1)
with torch.no_grad():
    torch.onnx.export(model, torch.randn(size), sys.argv[2], input_names=["image"],
                      output_names=["logits"],
                      opset_version=16, do_constant_folding=True)
preprocess = metadata["preprocess"]
print(" ".join(str(preprocess[key][0] if isinstance(preprocess[key], list) else preprocess[key])
               for key in ("mean", "std")))
