"""The container of our model and golden files: safetensors in the strict profile of the runtime.

Every tensor starts at a multiple of 64 bytes of the file; holes are filled by `__pad.N` U8 tensors
and the header is padded by spaces, because the format itself allows no gaps. `__metadata__` carries
the seal, a SHA-256 of the whole file (FORMAT.md). Files of version 1, which have one of the bytes
behind the header alone, are read, too. Floats may be stored in half precision (F16, BF16), matrices
in int8 (I8, with a tensor of scales beside them); both are read as float32. What the tensors mean
belongs in export.py.
"""
import hashlib
import json
import re
import struct
from pathlib import Path

import numpy as np

from .command import replacing

ALIGNMENT = 64
VERSION = "2"
UNSEALED = "1"  # read only
NO_DIGEST = b"0" * 64
DTYPES = {"F32": np.float32, "I32": np.int32, "I64": np.int64, "U8": np.uint8, "I8": np.int8}
NAMES = {np.dtype(kind): name for name, kind in DTYPES.items()}
HALVES = ("F16", "BF16")


def halved(name, value, storage):
    """The little-endian bytes of a float32 array in half precision, rounded to nearest, ties to
    even."""
    if storage not in HALVES or value.dtype != np.float32:
        raise ValueError(f"tensor '{name}': {value.dtype} as {storage}, expected float32 as F16 or "
                         "BF16")
    if storage == "F16":
        with np.errstate(over="ignore"):
            half = value.astype("<f2")
        lost = ~np.isfinite(half)
    else:
        bits = value.view(np.uint32)
        rounded = (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16)
                                               & np.uint32(1))) >> np.uint32(16)
        half = rounded.astype("<u2")
        lost = half & np.uint16(0x7F80) == 0x7F80
    if lost.any():
        raise ValueError(f"tensor '{name}': {value[lost].flat[0]} does not fit {storage}")
    return half.tobytes()


def widened(raw, storage):
    """float32 values of half-precision bytes; exact."""
    if storage == "F16":
        return np.frombuffer(raw, "<f2").astype(np.float32)
    return (np.frombuffer(raw, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)


def scales_of(name):
    """The name of an int8 matrix's scales."""
    return name.removesuffix(".weight") + ".scale"


def quantised(matrix):
    """(int8 [rows, columns], float32 scales [rows]) of a float32 matrix: a row's largest magnitude
    is 127, rounded to nearest, ties to even; a row of zeros has scale 0."""
    scales = np.abs(matrix).max(axis=1) / np.float32(127)
    steps = np.where(scales > 0, scales, np.float32(1))[:, None]
    return np.clip(np.rint(matrix / steps), -127, 127).astype(np.int8), scales


def write(path, tensors, metadata, storage=None):
    """Writes `tensors` (name -> numpy array) and `metadata` (str -> str), sealed; returns the seal.

    Version and seal are the writer's: those of `metadata` do not count.
    storage: name -> "F16" or "BF16" for the float32 tensors that are to be stored so.
    """
    storage = storage or {}
    chunks, entries, offset = [], {}, 0

    def append(name, dtype, shape, raw):
        nonlocal offset
        entries[name] = {"dtype": dtype, "shape": list(shape),
                         "data_offsets": [offset, offset + len(raw)]}
        chunks.append(raw)
        offset += len(raw)

    pads = 0
    for name, value in tensors.items():
        value = np.asarray(value, order="C")
        if value.dtype not in NAMES:
            raise ValueError(f"tensor '{name}': dtype {value.dtype}, expected one of "
                             f"{sorted(DTYPES)}")
        hole = -offset % ALIGNMENT
        if hole:
            append(f"__pad.{pads}", "U8", [hole], bytes(hole))
            pads += 1
        if name in storage:
            append(name, storage[name], value.shape, halved(name, value, storage[name]))
        else:
            raw = value.astype(value.dtype.newbyteorder("<")).tobytes()
            append(name, NAMES[value.dtype], value.shape, raw)
    metadata = {**metadata, "format_version": VERSION}
    metadata.pop("sha256", None)
    metadata["sha256"] = NO_DIGEST.decode()
    header = json.dumps({"__metadata__": metadata, **entries}, separators=(",", ":")).encode()
    header += b" " * (-(8 + len(header)) % ALIGNMENT)
    length = struct.pack("<Q", len(header))
    digest = hashlib.sha256(b"".join([length, header, *chunks])).hexdigest()
    # Quotes inside of a JSON string have a backslash: this is found at the key alone.
    key = b'"sha256":"'
    header = header.replace(key + NO_DIGEST, key + digest.encode(), 1)
    with replacing(path) as out:
        out.write(length)
        out.write(header)
        out.writelines(chunks)
    return digest


def checksum(raw, metadata):
    """What `sha256` of a file's metadata must be."""
    version = metadata.get("format_version")
    if version == UNSEALED:
        return hashlib.sha256(raw[8 + struct.unpack("<Q", raw[:8])[0]:]).hexdigest()
    if version != VERSION:
        raise ValueError(f"format_version {version!r}, expected {VERSION!r} or {UNSEALED!r}")
    digest = metadata.get("sha256", "")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError(f"sha256 {digest!r}, expected 64 hexadecimal digits")
    return hashlib.sha256(raw.replace(digest.encode(), NO_DIGEST, 1)).hexdigest()


def read(path, keep_int8=False):
    """Returns (tensors, metadata); raises ValueError if the checksum is wrong. Half precision is
    widened, and so is int8 unless it is to be kept: then its scales are tensors, too."""
    raw = Path(path).read_bytes()
    header, data = take_apart(path, raw)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict):
        raise ValueError(f"{path}: a header without '__metadata__', expected a file of this "
                         "project")
    try:
        digest = checksum(raw, metadata)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if digest != metadata.get("sha256"):
        raise ValueError(f"{path}: sha256 {digest}, expected {metadata.get('sha256')}")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if name.startswith("__pad."):
            continue
        if entry["dtype"] in HALVES:
            tensors[name] = widened(data[begin:end], entry["dtype"]).reshape(entry["shape"])
        elif entry["dtype"] not in DTYPES:
            raise ValueError(f"{path}: tensor '{name}' of {entry['dtype']}, expected one of "
                             f"{', '.join([*DTYPES, *HALVES])}")
        else:
            dtype = np.dtype(DTYPES[entry["dtype"]]).newbyteorder("<")
            tensors[name] = np.frombuffer(data[begin:end], dtype).reshape(entry["shape"]).copy()
    if not keep_int8:
        for name in [name for name, value in tensors.items() if value.dtype == np.int8]:
            scales = tensors.pop(scales_of(name))
            tensors[name] = tensors[name].astype(np.float32) * scales[:, None]
    return tensors, metadata


def read_model(path, keep_int8=False):
    """The same of a model file; ValueError where it is another one."""
    tensors, metadata = read(path, keep_int8)
    if metadata.get("format") != "qama" or "architecture" not in metadata:
        raise ValueError(f"{path}: format {metadata.get('format')!r}, expected 'qama', that of "
                         "model files")
    return tensors, metadata


def half_storage(path):
    """Name -> dtype of the tensors that the file stores in half precision: write()'s `storage`."""
    header, _ = read_raw(path)
    return {name: entry["dtype"] for name, entry in header.items()
            if name != "__metadata__" and entry["dtype"] in HALVES}


def read_raw(path):
    """(header, data bytes) of a file."""
    return take_apart(path, Path(path).read_bytes())


def take_apart(path, raw):
    """(header, data bytes) of a file's bytes."""
    if len(raw) < 8 or struct.unpack("<Q", raw[:8])[0] > len(raw) - 8:
        raise ValueError(f"{path}: truncated: {len(raw)} bytes")
    length = struct.unpack("<Q", raw[:8])[0]
    try:
        header = json.loads(raw[8:8 + length])
    except ValueError as error:
        raise ValueError(f"{path}: a header that is no JSON ({error})") from error
    if not isinstance(header, dict):
        raise ValueError(f"{path}: a header that is no JSON object")
    return header, raw[8 + length:]
