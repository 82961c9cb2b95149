#!/bin/sh
# Classifies an image with the program: one JSON object a line. Usage: classify.sh [PROGRAM]
set -eu
cd "$(dirname "$0")/../.."
"${1:-qama}" classify --json --model weights/models/fashion-mnist-qama.safetensors \
  runtime/examples/images/shoe.png
