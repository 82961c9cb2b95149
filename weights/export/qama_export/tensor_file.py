"""The container of our model and golden files: safetensors in the strict profile of the runtime.

Every tensor starts at a multiple of 64 bytes of the file; holes are filled by `__pad.N` U8 tensors and the
header is padded by spaces, because the format itself allows no gaps. `__metadata__` carries a SHA-256 of
all bytes behind the header. What the tensors mean belongs in export.py.
"""
import hashlib
import json
import struct

import numpy as np

ALIGNMENT = 64
DTYPES = {"F32": np.float32, "F16": np.float16, "I32": np.int32, "I64": np.int64, "U8": np.uint8}
NAMES = {np.dtype(kind): name for name, kind in DTYPES.items()}


def write(path, tensors, metadata):
    """Writes `tensors` (name -> numpy array) and `metadata` (str -> str); returns the data's SHA-256."""
    chunks, entries, offset = [], {}, 0

    def append(name, dtype, shape, raw):
        nonlocal offset
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(raw)]}
        chunks.append(raw)
        offset += len(raw)

    pads = 0
    for name, value in tensors.items():
        value = np.asarray(value, order="C")
        if value.dtype not in NAMES:
            raise ValueError(f"tensor '{name}': dtype {value.dtype}, expected one of {sorted(DTYPES)}")
        hole = -offset % ALIGNMENT
        if hole:
            append(f"__pad.{pads}", "U8", [hole], bytes(hole))
            pads += 1
        append(name, NAMES[value.dtype], value.shape, value.astype(value.dtype.newbyteorder("<")).tobytes())
    digest = hashlib.sha256(b"".join(chunks)).hexdigest()
    header = json.dumps({"__metadata__": {**metadata, "sha256": digest}, **entries},
                        separators=(",", ":")).encode()
    header += b" " * (-(8 + len(header)) % ALIGNMENT)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(header)))
        out.write(header)
        out.writelines(chunks)
    return digest


def read(path):
    """Returns (tensors, metadata); raises ValueError if the checksum is wrong."""
    with open(path, "rb") as source:
        raw = source.read()
    if len(raw) < 8 or struct.unpack("<Q", raw[:8])[0] > len(raw) - 8:
        raise ValueError(f"{path}: truncated: {len(raw)} bytes")
    length = struct.unpack("<Q", raw[:8])[0]
    header, data = json.loads(raw[8:8 + length]), raw[8 + length:]
    metadata = header.pop("__metadata__")
    digest = hashlib.sha256(data).hexdigest()
    if digest != metadata["sha256"]:
        raise ValueError(f"{path}: sha256 {digest}, expected {metadata['sha256']}")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if not name.startswith("__pad."):
            dtype = np.dtype(DTYPES[entry["dtype"]]).newbyteorder("<")
            tensors[name] = np.frombuffer(data[begin:end], dtype).reshape(entry["shape"]).copy()
    return tensors, metadata
