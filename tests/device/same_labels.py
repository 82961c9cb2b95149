"""Labels of the first test images: the cross-compiled program against this machine's own build.

Logits differ in the last bits (sums are taken in another order, products are fused or not), and a coupling that lies
near the middle between two integers may then be rounded the other way: one label in a thousand may differ.
"""
import argparse
import gzip
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

IMAGES = "t10k-images-idx3-ubyte.gz"

parser = argparse.ArgumentParser()
for name in ("host", "program", "emulator", "model"):
    parser.add_argument("--" + name, required=True)
parser.add_argument("--data", nargs="+", required=True)
parser.add_argument("--count", type=int, default=int(os.environ.get("QAMA_SAME_LABELS", 1000)))
options = parser.parse_args()
found = [path for path in options.data if os.path.exists(os.path.join(path, IMAGES))]
if not found or not os.path.exists(options.host):
    print(f"SKIPPED: no {IMAGES} in {options.data}" if not found else f"SKIPPED: no '{options.host}'")
    sys.exit(77)

with tempfile.TemporaryDirectory() as directory:
    raw = gzip.decompress(pathlib.Path(found[0], IMAGES).read_bytes())
    magic, count, height, width = struct.unpack(">4I", raw[:16])
    count = min(count, options.count)
    images = pathlib.Path(directory, "images.idx")
    images.write_bytes(struct.pack(">4I", magic, count, height, width) + raw[16:16 + count * height * width])

    def answers(command):
        inputs = [f"{images}:{i}" for i in range(count)]
        text = subprocess.run(command + ["classify", "-q", "--json", "-m", options.model] + inputs, check=True,
                              capture_output=True, text=True).stdout
        return [json.loads(line) for line in text.splitlines()]

    here = answers([options.host])
    there = answers([options.emulator, options.program])

different = [i for i in range(count) if here[i]["class"] != there[i]["class"]]
probability = [abs(a["probability"] - b["probability"]) for a, b in zip(here, there) if a["class"] == b["class"]]
print(f"{len(here)} and {len(there)} answers, {len(different)} labels differ, at most {max(1, count // 1000)} may; "
      f"probability of the label differs by at most {max(probability):.3g}, by more than 1e-4 in "
      f"{sum(p > 1e-4 for p in probability)}")
for i in different:
    print(f"image {i}: {here[i]['class']} ({here[i]['probability']:.4f}) here, "
          f"{there[i]['class']} ({there[i]['probability']:.4f}) there")
if len(here) != count or len(there) != count or len(different) > max(1, count // 1000):
    sys.exit(1)
