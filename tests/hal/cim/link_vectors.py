#!/usr/bin/env python3
"""The link's messages a third time: written from hal/cim/PROTOCOL.md alone, with its own CRC, to
check the vectors in tests/hal/cim/vectors that both C++ codecs are tested against.

    link_vectors.py check DIR     decode every vector and compare each field; exit 1 at the first
    difference link_vectors.py write DIR     write the vectors anew (after a change of PROTOCOL.md)

A vector is one frame, as hexadecimal in a text file, 32 bytes a line.
"""
import hmac
import pathlib
import struct
import sys

TABLE = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


JOB = bytes(range(0x10, 0x20))
TOKEN = bytes(range(0xA0, 0xB0))
EPOCH = 0x1122334455667788
BINDING = bytes(range(0xC0, 0xE0))


def hmac_sha256(text):
    return hmac.new(TOKEN, text, "sha256").digest()


# name: (type, status, request, layout, fields); the layout is struct's, little-endian, a list of
# (name, code).
MESSAGES = {"hello": (1, 0, 1, [("lowest", "H"), ("highest", "H"), ("max_frame", "I"),
                                ("client", "16s"), ("name", "B*s")], dict(lowest=1, highest=2,
                                                                          max_frame=8192,
                                                                          client=TOKEN,
                                                                          name=b"qama")),
            "hello_ack": (2, 0, 1, [("version", "H"), ("flags", "H"), ("max_frame", "I"),
                                    ("epoch", "Q"), ("token", "16s"), ("max_spins", "I"),
                                    ("coupling_bits", "B"), ("encodings", "B"), ("max_reads", "H"),
                                    ("credit_jobs", "H"), ("max_programs", "H"),
                                    ("credit_bytes", "I"), ("heartbeat_ms", "I"), ("lease_ms", "I"),
                                    ("round_trip_ns", "I"), ("round_trips", "I"),
                                    ("remember_ms", "I"), ("state", "B"), ("reserved", "18s"),
                                    ("name", "B*s")], dict(version=2, flags=3, max_frame=152131,
                                                           epoch=EPOCH, token=TOKEN, max_spins=550,
                                                           coupling_bits=8, encodings=3,
                                                           max_reads=100, credit_jobs=16,
                                                           max_programs=64, credit_bytes=8388608,
                                                           heartbeat_ms=1000, lease_ms=10000,
                                                           round_trip_ns=810, round_trips=200,
                                                           remember_ms=60000, state=0,
                                                           reserved=bytes(18),
                                                           name=b"emulated CPQC-550")),
            "attach": (3, 0, 2, [("token", "16s"), ("epoch", "Q")], dict(token=TOKEN, epoch=EPOCH)),
            "attach_2": (3, 0, 2, [("name", "16s"), ("epoch", "Q"), ("proof", "32s")],
                         dict(name=hmac_sha256(b"qcim session")[:16], epoch=EPOCH,
                              proof=hmac_sha256(b"qcim attach" + struct.pack("<Q", EPOCH) +
                                                BINDING))),
            "attach_ack": (4, 0, 2, [("epoch", "Q")], dict(epoch=EPOCH)),
            "ping": (5, 0, 3, [("echo", "Q")], dict(echo=0x0102030405060708)),
            "pong": (6, 0, 3, [("echo", "Q"), ("epoch", "Q"), ("waiting", "I"), ("state", "B"),
                               ("reserved", "3s")], dict(echo=0x0102030405060708, epoch=EPOCH,
                                                         waiting=5, state=1, reserved=bytes(3))),
            "program": (7, 0, 4, [("id", "I"), ("heads", "H"), ("tokens", "H"), ("encoding", "B"),
                                  ("reserved", "3s")], dict(id=9, heads=2, tokens=3, encoding=0,
                                                            reserved=bytes(3))),
            "program_ack": (8, 0, 4, [("id", "I"), ("reserved", "I"), ("program_ns", "Q")],
                            dict(id=9, reserved=0, program_ns=2096)),
            "submit": (9, 0, 5, [("job", "16s"), ("epoch", "Q"), ("remaining_us", "Q"),
                                 ("seed", "Q"), ("program", "I"), ("tokens", "H"),
                                 ("ancillas", "H"), ("reads", "H"), ("penalty", "b"), ("tie", "b"),
                                 ("reserved", "I"), ("fields", "6h"), ("couplings", "6b")],
                       dict(job=JOB, epoch=EPOCH, remaining_us=1500, seed=42, program=9, tokens=3,
                            ancillas=2, reads=4, penalty=7, tie=127, reserved=0,
                            fields=(254, -254, 3, -3, 0, 1), couplings=(1, -2, 127, -127, 0, 5))),
            "result": (10, 0, 5, [("job", "16s"), ("epoch", "Q"), ("energy", "q"),
                                  ("queue_ns", "Q"), ("compute_ns", "Q"), ("program_ns", "Q"),
                                  ("anneal_ns", "Q"), ("readout_ns", "Q"), ("spins", "I"),
                                  ("reads", "H"), ("flags", "B"), ("reserved", "B"),
                                  ("packed", "1s")], dict(job=JOB, epoch=EPOCH, energy=-1234,
                                                          queue_ns=11, compute_ns=22,
                                                          program_ns=2592, anneal_ns=648000,
                                                          readout_ns=20000, spins=8, reads=4,
                                                          flags=1, reserved=0, packed=b"\xCA")),
            "error": (11, 8, 5, [("job", "16s"), ("epoch", "Q"), ("wait_us", "I"), ("text", "H*s")],
                      dict(job=JOB, epoch=EPOCH, wait_us=500, text=b"the queue is full")),
            "cancel": (12, 0, 6, [("job", "16s")], dict(job=JOB)),
            "cancel_ack": (13, 0, 6, [("job", "16s"), ("outcome", "B")], dict(job=JOB, outcome=2)),
            "fault": (14, 0, 7, [("kind", "H"), ("reserved", "H"), ("ppm", "I"), ("argument", "Q")],
                      dict(kind=4, reserved=0, ppm=10000, argument=1)),
            "fault_ack": (15, 0, 7, [], {}),
            "goodbye": (16, 0, 8, [], {})}


def encode(name):
    kind, status, request, layout, fields = MESSAGES[name]
    payload = b""
    for field, code in layout:
        value = fields[field]
        if code.endswith("*s"):
            payload += struct.pack("<" + code[0], len(value)) + value
        elif isinstance(value, tuple):
            payload += struct.pack("<" + code, *value)
        else:
            payload += struct.pack("<" + code, value)
    head = struct.pack("<4sBBHIIQI", b"QCIM", 1, kind, status, len(payload), 0, request,
                       crc32c(payload))
    return head + struct.pack("<I", crc32c(head)) + payload


def decode(frame):
    """The frame's parts, field by field, as MESSAGES has them."""
    magic, version, kind, status, length, reserved, request, crc = struct.unpack_from(
        "<4sBBHIIQI", frame)
    if (magic, version, reserved) != (b"QCIM", 1, 0):
        raise ValueError("header is not of this link")
    if struct.unpack_from("<I", frame, 28)[0] != crc32c(frame[:28]):
        raise ValueError("header CRC")
    payload = frame[32:]
    if len(payload) != length or crc32c(payload) != crc:
        raise ValueError("payload CRC or length")
    name = next(n for n, m in MESSAGES.items() if m[0] == kind and len(encode(n)) == len(frame))
    fields, at = {}, 0
    for field, code in MESSAGES[name][3]:
        if code.endswith("*s"):
            (size,) = struct.unpack_from("<" + code[0], payload, at)
            at += struct.calcsize("<" + code[0])
            fields[field] = payload[at:at + size]
            at += size
        else:
            values = struct.unpack_from("<" + code, payload, at)
            at += struct.calcsize("<" + code)
            fields[field] = values if len(values) > 1 else values[0]
    if at != len(payload):
        raise ValueError("bytes left over")
    return name, (kind, status, request), fields


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("check", "write"):
        sys.exit(__doc__)
    # the check value that CRC catalogues give for CRC-32C
    assert crc32c(b"123456789") == 0xE3069283
    directory = pathlib.Path(sys.argv[2])
    for name, message in MESSAGES.items():
        path = directory / (name + ".hex")
        if sys.argv[1] == "write":
            text = encode(name).hex()
            path.write_text("\n".join(text[i:i + 64] for i in range(0, len(text), 64)) + "\n")
            continue
        got_name, head, fields = decode(bytes.fromhex(path.read_text()))
        if (got_name, head, fields) != (name, message[:3], message[4]):
            sys.exit(f"{path}: {got_name} {head} {fields}, expected {name} {message[:3]} "
                     f"{message[4]}")
    print(f"{len(MESSAGES)} vectors agree with hal/cim/PROTOCOL.md")


if __name__ == "__main__":
    main()
