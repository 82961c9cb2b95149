"""Writes a data set as one compact .npz that datasets.load() reads: what a GPU machine is sent.

    python3 -m qama_export.pack fashion-mnist --data /usr/share/datasets/fashion-mnist --out packs
    python3 -m qama_export.pack imdb --data aclImdb --vectors glove --vocabulary 20000 --out packs
"""
import argparse
from pathlib import Path

from . import command, datasets


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    # Own images depend on the model's shape.
    names = [name for name in datasets.NAMES if name != "own-images"]
    parser.add_argument("dataset", choices=names)
    parser.add_argument("--data", required=True, help="folder of the official files")
    parser.add_argument("--out", required=True, help="folder; NAME.npz is written there")
    parser.add_argument("--vectors", help="folder of word vectors (text)")
    parser.add_argument("--vocabulary", type=int, default=20000, help="words (text)")
    parser.add_argument("--max-tokens", type=int, default=datasets.PACKED_TOKENS,
                        help="first tokens of a text that are kept (text)")
    arguments = parser.parse_args()
    data = datasets.load(arguments.dataset, arguments.data, max_tokens=arguments.max_tokens,
                         vocabulary_size=arguments.vocabulary, vectors=arguments.vectors)
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{arguments.dataset}.npz"
    datasets.save_pack(data, path, arguments.max_tokens)
    print(f"{path}: {path.stat().st_size} bytes, {len(data.train)} + {len(data.test)} samples")


if __name__ == "__main__":
    command.run(main)
