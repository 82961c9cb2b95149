"""The data sets in their official layouts, and compact packs of them (pack.py) for moving to a GPU
machine.

load(name, root) looks for `root/name.npz` (a pack), then for the official files in root or
root/<folder>: IDX (also .gz), cifar-10-batches-bin, aclImdb folders, GLUE SST-2 tsv; the text sets
also as {train,test}-tsv.xz files with "label TAB rating TAB id TAB text". A new set is one function
and one line in LOADERS. "own-images" and "own-texts" are anybody's own labelled data (own.py).
"""
import gzip
import itertools
import lzma
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from . import own, tokeniser
from .command import replacing

FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
           "Bag",
           "Ankle boot"]
PACKED_TOKENS = 512  # of a text in a pack, at most, unless the pack says another number
CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SENTIMENT = ["negative", "positive"]
# SST-2 is written in the Penn Treebank's way ("does n't"), what a user types is not.
TOKENISERS = {"imdb": "words", "sst2": "penn_words", "own-texts": "words"}
IMAGE_STATISTICS = {"mnist": ([0.1307], [0.3081]), "fashion-mnist": ([0.2860], [0.3530]),
                    "cifar10": ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])}
# How the pictures of a set were made of larger ones (FORMAT.md), so that others can be made alike.
# CIFAR-10: whole pictures, scaled, before anything, which is what a record without these keys says.
PICTURES = {"mnist": {"fit": "content", "background": "dark", "margin": 4, "centre": "mass"},
            "fashion-mnist": {"fit": "content", "background": "dark", "margin": 0,
                              "centre": "box"}}


@dataclass
class Dataset:
    """train/test: images u8 [n,C,H,W], or lists of int32 token ids; labels: int64 arrays."""
    name: str
    train: object
    train_labels: np.ndarray
    test: object
    test_labels: np.ndarray
    labels: list
    vocabulary: list | None = None
    # float16 [vocabulary, width], zero rows where a word has none
    vectors: np.ndarray | None = None


def load(name, root, vocabulary=None, max_tokens=None, vocabulary_size=20000, vectors=None,
         pictures=None, truncate="head"):
    """The data set `name`; for text, with the given vocabulary or one built from its training texts
    and filled up to vocabulary_size with words that have a vector.

    vectors: folder of word vectors (read_vectors); only for text read from official files.
    pictures: how own images are read: {"shape": (height, width, channels), "patch", "fit",
    "library", "preprocess": the record of a model that has one}. truncate: what is kept of a long
    text (FORMAT.md).
    """
    if name not in LOADERS:
        raise ValueError(f"data set '{name}', expected one of {', '.join(NAMES)}")
    root = Path(root)
    if not root.is_dir() and not (name.startswith("own-") and root.exists()):
        raise FileNotFoundError(f"folder {root} does not exist, expected one with {LAYOUTS[name]}")
    pack = root / f"{name}.npz"
    if pack.exists() and name != "own-images":
        return load_pack(name, pack, vocabulary, max_tokens, truncate)
    try:
        data = LOADERS[name](root, **(pictures or {} if name == "own-images" else {}))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}; data set '{name}' needs {LAYOUTS[name]}") from error
    if not is_text(name):
        return data
    kind = TOKENISERS[name]
    if vocabulary is None:
        vocabulary = tokeniser.build_vocabulary(data.train, vocabulary_size, kind=kind)
        if vectors is not None:
            # Words that training never shows still have a vector near those of their neighbours.
            known = set(vocabulary)
            extra = (word for word in read_vectors(vectors)[0]
                     if word not in known and tokeniser.split(word) == [word.encode("utf-8")])
            vocabulary += itertools.islice(extra, vocabulary_size - len(vocabulary))
    index = tokeniser.index_of(vocabulary)
    for part in ("train", "test"):
        encoded = [np.array(tokeniser.encode(text, index, max_tokens or 512, kind, truncate),
                            np.int32)
                   for text in getattr(data, part)]
        setattr(data, part, encoded)
    data.vocabulary = vocabulary
    if vectors is not None:
        data.vectors = word_vectors(vectors, vocabulary)
    return data


def is_text(name):
    return name in TOKENISERS


def preprocess_record(name, truncate="head"):
    """The preprocessing that the model file asks of the runtime. truncate: of texts."""
    if is_text(name):
        return {"kind": "text", "tokeniser": TOKENISERS[name], "lowercase": True,
                "truncate": truncate}
    mean, std = IMAGE_STATISTICS[name]
    return {"kind": "image", "mean": mean, "std": std, "scale": 255, "resize": "bilinear",
            "gray": "luma", **PICTURES.get(name, {})}


def normalise(images, preprocess):
    """u8 tensor [B,C,H,W] -> float32, (byte / scale - mean) / std."""
    mean = torch.tensor(preprocess["mean"], device=images.device).view(1, -1, 1, 1)
    std = torch.tensor(preprocess["std"], device=images.device).view(1, -1, 1, 1)
    return (images.float() / preprocess["scale"] - mean) / std


def padded(texts, width):
    """Lists of ids -> (int32 [B,width] padded by 0, int32 lengths [B])."""
    tokens = np.zeros((len(texts), width), np.int32)
    lengths = np.array([len(ids) for ids in texts], np.int32)
    for row, ids in zip(tokens, texts):
        row[:len(ids)] = ids
    return tokens, lengths


# ---- official layouts
# --------------------------------------------------------------------------------

def first_file(root, folder, *names):
    for place in (root, root / folder):
        for name in names:
            if (place / name).exists():
                return place / name
    raise FileNotFoundError(f"none of {', '.join(names)} in {root} or {root / folder}")


def read_idx(path):
    """A u8 IDX file, plain or gzipped."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as source:
        raw = source.read()
    magic, count = struct.unpack(">II", raw[:8])
    rank = magic & 255
    if magic >> 8 != 8 or not 1 <= rank <= 3:
        raise ValueError(f"{path}: magic {magic}, expected 2049 or 2051")
    shape = struct.unpack(f">{rank}I", raw[4:4 + 4 * rank])
    if len(raw) != 4 + 4 * rank + int(np.prod(shape)):
        raise ValueError(f"{path}: {len(raw)} bytes, expected {4 + 4 * rank + int(np.prod(shape))}")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load_idx(name, labels):
    def loader(root):
        parts = []
        for part in ("train", "t10k"):
            for role in ("images-idx3", "labels-idx1"):
                base = f"{part}-{role}-ubyte"
                parts.append(read_idx(first_file(root, name, base, base + ".gz")))
        return Dataset(name, parts[0][:, None], parts[1].astype(np.int64), parts[2][:, None],
                       parts[3].astype(np.int64), labels)
    return loader


def load_cifar10(root):
    def batch(name):
        path = first_file(root, "cifar-10-batches-bin", name + ".bin")
        rows = np.fromfile(path, np.uint8)
        if rows.size % 3073:
            raise ValueError(f"{path}: {rows.size} bytes, expected a multiple of 3073")
        rows = rows.reshape(-1, 3073)
        return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].astype(np.int64)
    train = [batch(f"data_batch_{number}") for number in range(1, 6)]
    test = batch("test_batch")
    return Dataset("cifar10", np.concatenate([x for x, _ in train]),
                   np.concatenate([y for _, y in train]),
                   test[0], test[1], CIFAR)


def read_lines(path):
    with (lzma.open if path.suffix == ".xz" else open)(path, "rt", encoding="utf-8",
                                                       newline="\n") as source:
        return source.read().rstrip("\n").split("\n")


def load_imdb(root):
    def part(name):
        for place in (root, root / "aclImdb"):
            folder = place / name
            if (folder / "pos").is_dir():
                found = [(path.read_text("utf-8"), label)
                         for label, kind in enumerate(("neg", "pos"))
                         for path in sorted((folder / kind).glob("*.txt"))]
                return [text for text, _ in found], np.array([label for _, label in found],
                                                             np.int64)
        base = f"imdb_{name}.tsv"
        rows = [line.split("\t", 3) for line in read_lines(first_file(root, "imdb", base, base
                                                                      + ".xz"))]
        return [row[3] for row in rows], np.array([int(row[0]) for row in rows], np.int64)
    return Dataset("imdb", *part("train"), *part("test"), SENTIMENT)


def load_sst2(root):
    def part(name):
        lines = read_lines(first_file(root, "sst2", name + ".tsv", name + ".tsv.xz"))
        rows = [line.rsplit("\t", 1) for line in lines[1:]]
        return [row[0] for row in rows], np.array([int(row[1]) for row in rows], np.int64)
    return Dataset("sst2", *part("train"), *part("dev"), SENTIMENT)


def load_own_texts(root):
    return Dataset("own-texts", *own.load(root, True, own.text_of))


def load_own_images(root, shape=(32, 32, 3), patch=4, fit="stretch", library=None,
                    preprocess=None):
    """Images of anybody's own, as a model of `shape` sees them. Their mean and deviation become
    those of the record."""
    IMAGE_STATISTICS["own-images"] = [0.5] * shape[2], [0.25] * shape[2]
    PICTURES["own-images"] = {} if fit == "stretch" else {"fit": fit}
    fitter = own.Fitter(shape, patch, preprocess or preprocess_record("own-images"), library)
    train, train_labels, test, test_labels, names = own.load(root, False, fitter.read)
    fitter.close()
    train, test = np.stack(train), np.stack(test)
    values = train.transpose(1, 0, 2, 3).reshape(shape[2], -1) / 255.0
    IMAGE_STATISTICS["own-images"] = ([round(float(v), 4) for v in values.mean(1)],
                                      [round(max(float(v), 0.01), 4) for v in values.std(1)])
    return Dataset("own-images", train, train_labels, test, test_labels, names)


LOADERS = {"mnist": load_idx("mnist", [str(digit) for digit in range(10)]),
           "fashion-mnist": load_idx("fashion-mnist", FASHION),
           "cifar10": load_cifar10, "imdb": load_imdb, "sst2": load_sst2,
           "own-images": load_own_images, "own-texts": load_own_texts}
NAMES = tuple(LOADERS)
_IDX = ("the four IDX files train-images-idx3-ubyte, train-labels-idx1-ubyte, "
        "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, plain or .gz")
LAYOUTS = {"mnist": _IDX, "fashion-mnist": _IDX + " (Debian: dataset-fashion-mnist)",
           "cifar10": "data_batch_1.bin to data_batch_5.bin and test_batch.bin",
           "imdb": "aclImdb's train and test folders with pos and neg, or imdb_train.tsv and "
           "imdb_test.tsv",
           "sst2": "GLUE's train.tsv and dev.tsv",
           "own-images": "files LABEL/NAME, or a .csv or .tsv with the columns file and label",
           "own-texts": "files LABEL/NAME, or a .csv or .tsv with the columns text and label"}


# ---- word vectors
# ------------------------------------------------------------------------------------

def read_vectors(folder):
    """{word: row} and rows float16 of glove100d_f16.bin(.xz) + words.txt, or of an official
    glove.*.txt."""
    folder = Path(folder)
    words = folder / "words.txt"
    if words.exists():
        names = words.read_text("utf-8").split("\n")
        names = names[:-1] if names[-1] == "" else names
        raw = folder / "glove100d_f16.bin"
        data = (raw.read_bytes() if raw.exists() else
                lzma.open(folder / "glove100d_f16.bin.xz").read())
        rows = np.frombuffer(data, "<f2").reshape(len(names), -1)
        return {name: number for number, name in enumerate(names)}, rows
    path = sorted(folder.glob("glove.*.txt"))[0]
    names, rows = {}, []
    with open(path, encoding="utf-8") as source:
        for number, line in enumerate(source):
            fields = line.rstrip("\n").split(" ")
            names[fields[0]] = number
            rows.append(np.array(fields[1:], np.float16))
    return names, np.stack(rows)


def word_vectors(folder, vocabulary):
    """float16 [len(vocabulary), width]; words without a vector get zeros."""
    index, rows = read_vectors(folder)
    found = np.zeros((len(vocabulary), rows.shape[1]), np.float16)
    for number, word in enumerate(vocabulary):
        if word in index:
            found[number] = rows[index[word]]
    return found


def fill_vectors(weight, data):
    """Gives the rows of an embedding [vocabulary, width] the vectors of their words, where there
    are any; padding is 0."""
    if data.vectors is None:
        return
    with torch.no_grad():
        vectors = torch.from_numpy(data.vectors.astype(np.float32))
        known = vectors.abs().sum(1, keepdim=True) > 0
        weight.copy_(torch.where(known, vectors, weight))
        weight[0] = 0


# ---- packs
# -------------------------------------------------------------------------------------------

def smallest(numbers):
    """Integers from 0 on, of the smallest type that holds them."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))


def pack_texts(texts):
    """Lists of ids -> (all ids, lengths)."""
    return (smallest(np.concatenate(texts)),
            smallest(np.array([len(ids) for ids in texts], np.int64)))


def unpack_texts(ids, lengths, max_tokens=None, truncate="head"):
    """The lists of int32 ids, of max_tokens at most."""
    ends = np.cumsum(lengths.astype(np.int64))[:-1]
    return [tokeniser.cut(part.astype(np.int32), max_tokens or len(part), truncate)
            for part in np.split(ids, ends)]


def pack_words(vocabulary):
    return np.frombuffer("\n".join(vocabulary).encode("utf-8", "surrogateescape"), np.uint8)


def unpack_words(array):
    return array.tobytes().decode("utf-8", "surrogateescape").split("\n")


def save_pack(data, path, max_tokens=PACKED_TOKENS):
    """One compressed .npz of a loaded data set. max_tokens: at which texts were cut."""
    arrays = {"train_labels": smallest(data.train_labels),
              "test_labels": smallest(data.test_labels), "labels": pack_words(data.labels),
              "max_tokens": np.array(max_tokens)}
    for part in ("train", "test"):
        value = getattr(data, part)
        if is_text(data.name):
            arrays[part], arrays[part + "_lengths"] = pack_texts(value)
        else:
            arrays[part] = value
    if data.vocabulary is not None:
        arrays["vocabulary"] = pack_words(data.vocabulary)
    if data.vectors is not None:
        arrays["vectors"] = data.vectors
    with replacing(path) as out:
        np.savez_compressed(out, **arrays)


def load_pack(name, path, vocabulary=None, max_tokens=None, truncate="head"):
    with np.load(path) as pack:
        arrays = {key: pack[key] for key in pack.files}
    words = None
    if is_text(name):
        words = unpack_words(arrays["vocabulary"])
        if vocabulary is not None and vocabulary != words:
            raise ValueError(f"{path}: its vocabulary of {len(words)} words is not the model's")
        most = int(arrays.get("max_tokens", PACKED_TOKENS))
        longest = max(int(arrays[part + "_lengths"].max()) for part in ("train", "test"))
        if longest >= most and ((max_tokens or 0) > most or truncate != "head"):
            raise ValueError(f"{path}: its texts are the first {most} tokens, expected "
                             f"--max-tokens {most} or less and --truncate head, or a pack with "
                             "more of the texts")
        for part in ("train", "test"):
            arrays[part] = unpack_texts(arrays[part], arrays[part + "_lengths"], max_tokens,
                                        truncate)
    known = {"mnist": [str(digit) for digit in range(10)], "fashion-mnist": FASHION,
             "cifar10": CIFAR}
    labels = (unpack_words(arrays["labels"]) if "labels" in arrays else
              known.get(name, SENTIMENT))
    return Dataset(name, arrays["train"], arrays["train_labels"].astype(np.int64), arrays["test"],
                   arrays["test_labels"].astype(np.int64), labels, words, arrays.get("vectors"))
