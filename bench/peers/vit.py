"""Writes a ViT-Ti/16 at 224 x 224 with random weights as a model file, by way of a checkpoint in
timm's layout and its importer: vit.py OUT.safetensors. PYTHONPATH has weights/export and
tests/weights/export.
"""
import sys
import tempfile
from pathlib import Path
from unittest import mock

import hub_models
from qama_export import import_encoder

model = hub_models.TimmVit(size=(224, 224), patch=16, depth=12, classes=1000, dim=192, heads=3,
                           mlp=768)
with tempfile.TemporaryDirectory() as folder:
    hub = Path(folder, "hub")
    hub_models.write(hub, hub_models.random(model))
    with mock.patch.object(sys, "argv", ["import_encoder", str(hub), "--out", sys.argv[1]]):
        import_encoder.main()
