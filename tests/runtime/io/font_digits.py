#!/usr/bin/env python3
"""Digits drawn by fonts, as somebody would bring them: how many does a model of MNIST read right?

    font_digits.py build/release/bin/qama weights/models/mnist-qama.safetensors
    font_digits.py QAMA MODEL --photographs --at-least 80

Ten fonts times ten digits, dark on light, 280 x 280 pixels, as PNG. --photographs makes a
photograph of each: turned by 5 degrees, blurred, on grey paper in uneven light, with noise, as JPEG
of quality 80. Needs Debian's python3-pil, python3-numpy, fonts-dejavu, fonts-liberation and
fonts-freefont-ttf; ends with 77 where one is missing.
"""
import argparse
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    from PIL import Image, ImageDraw, ImageFilter, ImageFont
except ImportError as error:
    print(f"SKIPPED: {error}")
    sys.exit(77)

SIDE = 280
FOLDER = Path("/usr/share/fonts/truetype")
FONTS = ["dejavu/DejaVuSans", "dejavu/DejaVuSans-Bold", "dejavu/DejaVuSerif",
         "dejavu/DejaVuSansMono", "liberation/LiberationSans-Regular",
         "liberation/LiberationSerif-Regular", "liberation/LiberationMono-Bold",
         "freefont/FreeSans", "freefont/FreeSerif", "freefont/FreeMonoBold"]


def draw(font, digit):
    """The digit in the middle of a white page."""
    image = Image.new("L", (SIDE, SIDE), 255)
    canvas = ImageDraw.Draw(image)
    left, top, right, bottom = canvas.textbbox((0, 0), str(digit), font=font)
    canvas.text(((SIDE - left - right) / 2, (SIDE - top - bottom) / 2), str(digit), 0, font)
    return image


def photograph(page, random):
    """Pixels of a photograph of a page."""
    turned = page.rotate(random.choice([-5, 5]), Image.BILINEAR, fillcolor=255)
    paper = np.asarray(turned.filter(ImageFilter.GaussianBlur(1)), float) * (190 / 255) + 30
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE - 0.5
    angle = random.uniform(0, 2 * np.pi)
    light = 0.72 + 0.31 * (np.cos(angle) * x + np.sin(angle) * y)
    noisy = paper * light + random.normal(0, 5, paper.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def picture_keys(model):
    """The model's preprocess record."""
    with open(model, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        return json.loads(json.loads(file.read(length))["__metadata__"]["preprocess"])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("qama")
    parser.add_argument("model")
    parser.add_argument("--photographs", action="store_true")
    parser.add_argument("--at-least", type=int, default=0, help="fewer right answers are a failure")
    parser.add_argument("--keep", help="folder to leave the pictures in")
    options = parser.parse_args()
    missing = [name for name in FONTS if not (FOLDER / f"{name}.ttf").exists()]
    if missing:
        print(f"SKIPPED: no font {FOLDER / missing[0]}.ttf")
        return 77
    if picture_keys(options.model).get("fit") != "content":
        print(f"SKIPPED: {options.model} does not say how its pictures were made")
        return 77

    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name in FONTS:
            font = ImageFont.truetype(str(FOLDER / f"{name}.ttf"), 200)
            for digit in range(10):
                page = draw(font, digit)
                stem = folder / f"{Path(name).name}-{digit}"
                if options.photographs:
                    paths.append(stem.with_suffix(".jpg"))
                    photograph(page, random).save(paths[-1], quality=80)
                else:
                    paths.append(stem.with_suffix(".png"))
                    page.save(paths[-1])
        done = subprocess.run([options.qama, "classify", "-q", "--json", "-m", options.model,
                               *map(str, paths)], stdout=subprocess.PIPE, text=True, check=True)
    answers = [json.loads(line)["label"] for line in done.stdout.splitlines()]
    if len(answers) != len(paths):
        sys.exit(f"{len(answers)} answers, expected {len(paths)}")
    for number, name in enumerate(FONTS):
        own = answers[10 * number:10 * number + 10]
        right = sum(answer == str(digit) for digit, answer in enumerate(own))
        print(f"{right:3} of 10: {''.join(answer[:1] for answer in own)} {Path(name).name}")
    right = sum(answer == str(number % 10) for number, answer in enumerate(answers))
    print(f"{right} of {len(answers)} right")
    return 1 if right < options.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
