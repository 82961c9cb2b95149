"""A graph as an ONNX file: the few messages of its protobuf format that a model needs, so that
nobody needs the `onnx` package. What the nodes compute belongs in onnx_model.py.

Graph() gives nodes and constants names of its own; its methods return the name of what they made.
"""
import struct

import numpy as np

from .command import replacing

IR_VERSION = 9  # of the format since 2023
KINDS = {np.dtype(np.float32): 1, np.dtype(np.uint8): 2, np.dtype(np.int8): 3,
         np.dtype(np.int32): 6, np.dtype(np.int64): 7}
FLOAT, INT, STRING, INTS = 1, 2, 3, 7  # the types of attributes


def varint(value):
    """A protobuf integer; a negative one as its two's complement of 64 bits."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, value):
    """A string, bytes or a message."""
    raw = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def blocks(field, values):
    return b"".join(block(field, value) for value in values)


def attribute(name, value):
    """An AttributeProto; `value`: int, float, str or a list of ints."""
    if isinstance(value, float):
        return block(1, name) + varint(2 << 3 | 5) + struct.pack("<f", value) + number(20, FLOAT)
    if isinstance(value, int):
        return block(1, name) + number(3, value) + number(20, INT)
    if isinstance(value, str):
        return block(1, name) + block(4, value) + number(20, STRING)
    return block(1, name) + b"".join(number(8, each) for each in value) + number(20, INTS)


def tensor(name, value):
    """A TensorProto."""
    value = np.asarray(value, order="C")
    raw = value.astype(value.dtype.newbyteorder("<")).tobytes()
    return (b"".join(number(1, extent) for extent in value.shape) + number(2, KINDS[value.dtype])
            + block(8, name) + block(9, raw))


def described(name, kind, shape):
    """A ValueInfoProto; an extent that is a word may be any number."""
    extents = b"".join(block(1, block(2, extent) if isinstance(extent, str) else number(1, extent))
                       for extent in shape)
    kind_and_shape = number(1, KINDS[np.dtype(kind)]) + block(2, extents)
    return block(1, name) + block(2, block(1, kind_and_shape))


class Graph:
    def __init__(self, opsets):
        """opsets: domain -> version; "" is ONNX's own."""
        self.opsets = opsets
        self.nodes, self.constants, self.inputs, self.outputs = [], [], [], []
        self.known = {}  # constants that have been made, by their bytes

    def input(self, name, kind, shape, default=None):
        """`default`: what a caller who gives nothing gets."""
        self.inputs.append(described(name, kind, shape))
        if default is not None:
            self.constants.append(tensor(name, default))
        return name

    def output(self, name, kind, shape):
        self.outputs.append(described(name, kind, shape))

    def constant(self, value, name=None):
        value = np.asarray(value)
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self.known:
            self.known[key] = name or f"constant.{len(self.known)}"
            self.constants.append(tensor(self.known[key], value))
        return self.known[key]

    def node(self, kind, *inputs, outputs=1, name=None, domain="", **attributes):
        """inputs: names; "" where an optional one is left out. name: of the output, or its
        beginning. Returns the output's name, or a list of `outputs` names."""
        number_of = len(self.nodes)
        first = name or f"{kind}.{number_of}"
        names = [first] if outputs == 1 else [f"{first}.{i}" for i in range(outputs)]
        self.nodes.append(
            blocks(1, inputs) + blocks(2, names) + block(3, f"{kind}.{number_of}") + block(4, kind)
            + blocks(5, (attribute(key, value) for key, value in attributes.items()))
            + block(7, domain))
        return names[0] if outputs == 1 else names

    def write(self, path, producer, metadata=None):
        """metadata: str -> str."""
        graph = (blocks(1, self.nodes) + block(2, "model") + blocks(5, self.constants)
                 + blocks(11, self.inputs) + blocks(12, self.outputs))
        opsets = (block(1, domain) + number(2, version) for domain, version in self.opsets.items())
        notes = (block(1, key) + block(2, value) for key, value in (metadata or {}).items())
        model = (number(1, IR_VERSION) + block(2, producer) + block(7, graph) + blocks(8, opsets)
                 + blocks(14, notes))
        with replacing(path) as out:
            out.write(model)
