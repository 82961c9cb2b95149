"""The tokenisers of text models and their vocabulary; the runtime implements the same rules.

Both fold a text first (fold.py). "words": ASCII-lowercase; a token is a maximal run of [a-z0-9']
or bytes >= 0x80, any other ASCII character that is no space is a token of its own. "penn_words"
also cuts contractions off as the Penn Treebank does. Ids: 0 "<pad>", 1 "<unk>", then words.
"""
import re
from collections import Counter

import numpy as np

from .fold import fold

PAD, UNKNOWN = 0, 1
TRUNCATES = ("head", "ends")  # what is kept of a long text: see cut()
_TOKEN = re.compile(rb"[a-z0-9'\x80-\xff]+|[^\sa-z0-9'\x80-\xff]")
_CONTRACTION = re.compile(rb"(.+?)(n't|'s|'m|'d|'re|'ve|'ll)", re.DOTALL)


def split(text, kind="words"):
    """Tokens of a str, as bytes."""
    words = _TOKEN.findall(fold(text).encode("utf-8", "surrogateescape").lower())
    if kind == "words":
        return words
    cut = (_CONTRACTION.fullmatch(word) for word in words)
    return [part for word, found in zip(words, cut) for part in (found.groups()
                                                                 if found else (word,))]


def build_vocabulary(texts, size, minimum=2, kind="words"):
    """The `size` most frequent words seen at least `minimum` times, ties in byte order; starts with
    the two special words."""
    counts = Counter()
    for text in texts:
        counts.update(split(text, kind))
    ranked = sorted((word for word, n in counts.items() if n >= minimum),
                    key=lambda w: (-counts[w], w))
    return ["<pad>", "<unk>"] + [word.decode("utf-8", "surrogateescape")
                                 for word in ranked[:size - 2]]


def cut(tokens, max_tokens, truncate):
    """The max_tokens tokens that are kept: the first ones ("head"), or half of them and the last
    ones ("ends")."""
    if len(tokens) <= max_tokens or truncate == "head":
        return tokens[:max_tokens]
    kept = [*range(max_tokens // 2), *range(len(tokens) - (max_tokens + 1) // 2, len(tokens))]
    return tokens[kept] if isinstance(tokens, np.ndarray) else [tokens[place] for place in kept]


def encode(text, index, max_tokens, kind="words", truncate="head"):
    """Ids of the tokens that are kept; an empty text is one unknown word. index: word (bytes) ->
    id."""
    ids = [index.get(word, UNKNOWN) for word in cut(split(text, kind), max_tokens, truncate)]
    return ids or [UNKNOWN]


def index_of(vocabulary):
    """word (bytes) -> id of a vocabulary list."""
    return {word.encode("utf-8", "surrogateescape"): number
            for number, word in enumerate(vocabulary)}
