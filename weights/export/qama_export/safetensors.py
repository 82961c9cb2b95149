"""Reads safetensors files as other programs write them, also in several parts, with numpy alone.

Our own files are tensor_file.py's, whose profile is stricter. What the tensors mean belongs in
import_encoder.py.
"""
import json
import math
import struct
from pathlib import Path

import numpy as np

from .tensor_file import HALVES, widened

MAX_HEADER = 100 << 20  # bytes; the format's own bound
TYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
         "U8": "u1", "BOOL": "?"}
SIZES = {**{name: np.dtype(kind).itemsize for name, kind in TYPES.items()},
         **dict.fromkeys(HALVES, 2)}
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


def parsed(text):
    """What JSON says; ValueError also for a key that stands twice or for too deep a nesting."""
    def once(pairs):
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"key '{twice}' stands twice")
        return found
    try:
        return json.loads(text, object_pairs_hook=once)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_json(path):
    """What a JSON file holds: an object; ValueError, OSError."""
    try:
        found = parsed(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: {type(found).__name__}, expected a JSON object")
    return found


def entry_of(path, name, entry, size):
    """(type, shape, begin, end) of a tensor in a file with `size` bytes of data; ValueError."""
    where = f"{path}: tensor '{name}'"
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: no object")
    kind, shape, span = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if kind not in SIZES:
        raise ValueError(f"{where}: type {kind!r}, expected one of {', '.join(SIZES)}")
    whole = [isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)
             for value in (shape, span)]
    if not all(whole) or len(span) != 2 or not span[0] <= span[1] <= size:
        raise ValueError(f"{where}: shape {shape!r} and place {span!r} in {size} bytes of data")
    if span[1] - span[0] != math.prod(shape) * SIZES[kind]:
        raise ValueError(f"{where}: {span[1] - span[0]} bytes, expected "
                         f"{math.prod(shape) * SIZES[kind]} for {kind} {shape}")
    return kind, shape, *span


def read_file(path):
    """Name -> array of one file: floats as float32, whole numbers as they are."""
    raw = np.memmap(path, np.uint8, "r") if Path(path).stat().st_size else np.zeros(0, np.uint8)
    length = struct.unpack("<Q", raw[:8].tobytes())[0] if len(raw) >= 8 else 0
    if not 2 <= length <= min(len(raw) - 8, MAX_HEADER):
        raise ValueError(f"{path}: no safetensors file: a header of {length} bytes in {len(raw)}")
    try:
        header = parsed(raw[8:8 + length].tobytes())
    except ValueError as error:
        raise ValueError(f"{path}: no safetensors file: its header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise ValueError(f"{path}: no safetensors file: its header is no object")
    data = raw[8 + length:]
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        kind, shape, begin, end = entry_of(path, name, entry, len(data))
        part = data[begin:end].tobytes()
        value = widened(part, kind) if kind in HALVES else np.frombuffer(part, TYPES[kind])
        if value.dtype == np.float64:
            value = value.astype(np.float32)
        tensors[name] = value.reshape(shape)
    return tensors


def read_parts(path):
    """Name -> array of the files that an index (model.safetensors.index.json) names."""
    places = read_json(path).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise ValueError(f"{path}: no weight_map")
    tensors = {}
    for file in sorted(set(map(str, places.values()))):
        if Path(file).name != file:
            raise ValueError(f"{path}: part {file!r}, expected a file beside the index")
        part = read_file(Path(path).parent / file)
        if twice := tensors.keys() & part.keys():
            raise ValueError(f"{path}: tensor '{min(twice)}' is in two of the parts")
        tensors.update(part)
    for name in places:
        if name not in tensors:
            raise ValueError(f"{path}: tensor '{name}' is in none of the parts")
    return tensors


def read(path):
    """Name -> array of a file, of an index, or of a folder that has one of them."""
    path = Path(path)
    if path.is_dir():
        for name in (SINGLE, INDEX):  # in the order of transformers
            if (path / name).is_file():
                return read(path / name)
        raise ValueError(f"{path}: neither {SINGLE} nor {INDEX} in it")
    return read_parts(path) if path.suffix == ".json" else read_file(path)
