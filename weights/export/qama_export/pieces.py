"""The tokenisers of a checkpoint's own files as what a model file holds: vocabulary, scores and the
table of characters (FORMAT.md).

WordPiece: vocab.txt, or tokenizer.json; what characters become is BERT's definition. Unigram:
SentencePiece's .model, or tokenizer.json; what characters become is the table in it, behind what
ALBERT does before. The table is per character, by this Python's Unicode tables: see
unicodedata.unidata_version.
"""
import base64
import json
import struct
import unicodedata
from pathlib import Path

import numpy as np

from .safetensors import read_json

SPECIAL = ("<pad>", "<unk>", "[CLS]", "[SEP]")  # ids 0 to 3 of a model file
NEVER = np.float32(-1e30)  # the score of a piece that no text has
BLANK = "\u2581"
MAX_VALUE = 96  # bytes of what a character becomes
QUOTES = {"``": '"', "''": '"'}  # ALBERT's


def characters():
    """Every character that Unicode has assigned, without surrogates and the planes of private
    use."""
    return (chr(code) for code in range(0xF0000)
            if unicodedata.category(chr(code)) not in ("Cn", "Cs"))


def is_ideograph(character):
    code = ord(character)
    return any(first <= code <= last for first, last in (
        (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF),
        (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0x2F800, 0x2FA1F)))


def bert_character(character, lower, strip):
    """What BERT's normaliser and its split at punctuation make of a character."""
    kind = unicodedata.category(character)
    if character in "\t\n\r" or kind in ("Zs", "Zl", "Zp"):
        return " "
    if character in "\0\ufffd" or kind[0] == "C":
        return ""
    text = character
    if strip:
        text = "".join(c for c in unicodedata.normalize("NFD", text)
                       if unicodedata.category(c) != "Mn")
    if lower:
        text = "".join(c.lower() for c in text)
    out = ""
    for c in text:
        apart = (33 <= ord(c) <= 47 or 58 <= ord(c) <= 64 or 91 <= ord(c) <= 96
                 or 123 <= ord(c) <= 126 or unicodedata.category(c)[0] == "P")
        # An ideograph that others become is one that the tokeniser sets apart.
        out += f" {c} " if apart or (is_ideograph(c) and text != character) else c
    return out


def table(rule, known, more=()):
    """The bytes of a table of characters: those that `rule` changes, and the pairs of `more`.

    known: characters of the vocabulary. Hangul is left out where they have none of it: its words
    are unknown either way.
    """
    hangul = any("\u1100" <= c <= "\u11ff" or "\uac00" <= c <= "\ud7a3" for c in known)
    lines = dict(more)
    for character in characters():
        if character in "\t\n\r " or ("\uac00" <= character <= "\ud7a3" and not hangul):
            continue
        value = rule(character)
        # No piece has a word with what is longer: ligatures of whole sentences.
        if value != character and len(value.encode()) <= MAX_VALUE:
            lines[character] = value
    return b"".join(f"{key}\t{value}\n".encode()
                    for key, value in sorted(lines.items(), key=lambda line: line[0].encode()))


def arranged(words, unknown, pad="[PAD]", first="[CLS]", last="[SEP]"):
    """(words in our order, the old id of each): the special ones are the first four."""
    places = {}
    for old, word in enumerate(words):
        if word in places:
            raise ValueError(f"vocabulary: {word!r} is there twice")
        places[word] = old
    for word in (pad, unknown, first, last):
        if word not in places:
            raise ValueError(f"vocabulary: {word!r} is missing")
    front = [places[word] for word in (pad, unknown, first, last)]
    order = front + [old for old in range(len(words)) if old not in front]
    out = [*SPECIAL, *(words[old] for old in order[4:])]
    for word in out:
        if not word or "\n" in word or "\r" in word:
            raise ValueError(f"vocabulary: {word!r}, expected a piece on one line")
    if len(set(out)) != len(out):
        raise ValueError("vocabulary: '<pad>' or '<unk>' is there twice")
    return out, order


class Pieces:
    """What a model file has of a tokeniser: `kind`, `lowercase`, `words` with the old id of each in
    `order`, `scores` or None, `table` as bytes."""

    def __init__(self, kind, lowercase, words, order, scores, characters_table):
        self.kind, self.lowercase, self.words, self.order = kind, lowercase, words, order
        self.scores, self.table = scores, characters_table


def wordpiece(folder):
    """BERT's and DistilBERT's."""
    told = {}
    if (folder / "tokenizer_config.json").is_file():
        told = read_json(folder / "tokenizer_config.json")
    full = read_json(folder / "tokenizer.json") if (folder / "tokenizer.json").is_file() else {}
    normal = part(full, "normalizer")
    if (folder / "vocab.txt").is_file():
        words = (folder / "vocab.txt").read_bytes().decode().removesuffix("\n").split("\n")
        words = [word.removesuffix("\r") for word in words]
        if full and listed(full, "WordPiece") != words:
            raise ValueError("vocab.txt and tokenizer.json have other words, expected the same")
    elif full:
        words = listed(full, "WordPiece")
    else:
        raise ValueError("neither vocab.txt nor tokenizer.json, which a WordPiece tokeniser needs")
    only("tokenizer.json", {"normalizer.type": normal.get("type", "BertNormalizer"),
                            "normalizer.clean_text": normal.get("clean_text", True),
                            "pre_tokenizer.type": part(full, "pre_tokenizer").get(
                                "type", "BertPreTokenizer"), **model_of(full)},
         {"normalizer.type": "BertNormalizer", "normalizer.clean_text": True,
          "pre_tokenizer.type": "BertPreTokenizer", "model.type": "WordPiece",
          "model.unk_token": "[UNK]", "model.continuing_subword_prefix": "##",
          "model.max_input_chars_per_word": 100})
    only("tokenizer_config.json", told, {"do_basic_tokenize": True})
    refuse_added(folder, full, words)
    lower = bool(told.get("do_lower_case", normal.get("lowercase", True)))
    strip = told.get("strip_accents", normal.get("strip_accents"))
    strip = lower if strip is None else bool(strip)
    if not told.get("tokenize_chinese_chars", normal.get("handle_chinese_chars", True)):
        raise ValueError("tokenizer: Chinese characters are not set apart, expected BERT's rule")
    words, order = arranged(words, "[UNK]")
    known = set("".join(words))
    return Pieces("wordpiece", lower, words, order, None,
                  table(lambda c: bert_character(c, lower, strip), known))


def part(full, key):
    """An object of tokenizer.json, empty where there is none."""
    value = full.get(key) or {}
    if not isinstance(value, dict):
        raise ValueError(f"tokenizer.json: {key} is {value!r}, expected an object")
    return value


def model_of(full):
    """What tokenizer.json says of its model besides the vocabulary, by `model.KEY`."""
    return {f"model.{key}": value for key, value in part(full, "model").items() if key != "vocab"}


def only(file, told, expected):
    """ValueError where a file says something else than what this tokeniser does."""
    for key, value in expected.items():
        if told.get(key) not in (None, value):
            raise ValueError(f"{file}: {key} is {told[key]!r}, expected {value!r}")


def added_tokens(full):
    """The words that tokenizer.json finds in a text before it is split: (text, special)."""
    for token in full.get("added_tokens") or []:
        if not isinstance(token, dict) or not isinstance(token.get("content"), str):
            raise ValueError(f"tokenizer.json: added_tokens has {token!r}, expected a word")
        yield token["content"], bool(token.get("special"))


def refuse_added(folder, full, words):
    """ValueError where words were added behind the vocabulary: they would be split here."""
    file = folder / "added_tokens.json"
    added = {text: "tokenizer.json" for text, _ in added_tokens(full)}
    added.update(dict.fromkeys(read_json(file) if file.is_file() else (), file.name))
    for text in sorted(added.keys() - set(words)):
        raise ValueError(f"{added[text]}: added token {text!r}, expected one of the vocabulary")


def listed(full, kind):
    """The words of tokenizer.json by id."""
    model = part(full, "model")
    if model.get("type", kind) != kind or not isinstance(model.get("vocab"), dict):
        raise ValueError(f"tokenizer.json: model {model.get('type')!r}, expected {kind}")
    ids = {number: word for word, number in model["vocab"].items()}
    if sorted(ids) != list(range(len(ids))):
        raise ValueError("tokenizer.json: ids of the vocabulary, expected 0 and up, none twice")
    return [ids[number] for number in range(len(ids))]


def fields(data):
    """(number, value) of a message of protocol buffers: integers, bytes; ValueError."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise ValueError("truncated")
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def take(size):
        nonlocal at
        if size > len(data) - at:
            raise ValueError("truncated")
        at += size
        return data[at - size:at]

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
        elif kind in (1, 5):
            yield key >> 3, take(8 if kind == 1 else 4)
        elif kind == 2:
            yield key >> 3, take(varint())
        else:
            raise ValueError(f"wire type {kind}")


NORMAL, UNKNOWN, CONTROL, USER = 1, 2, 3, 4  # types of SentencePiece's pieces
COMMA = 100  # what a piece costs that ends in a digit and a comma: ALBERT has none of them


def sentencepiece(path):
    """(pieces [(text, score, type)], bytes of the table of characters) of a .model file."""
    pieces, trainer, normaliser = [], {}, {}
    try:
        for number, value in fields(path.read_bytes()):
            if number == 1:  # a piece
                piece = dict(fields(value))
                text, kind = piece.get(1, b"").decode(), piece.get(3, NORMAL)
                score = struct.unpack("<f", piece.get(2, bytes(4)))[0]
                if len(text) > 1 and text[-1] == "," and text[-2].isdigit():
                    score -= COMMA
                pieces.append((text, score, kind))
            elif number == 2:
                trainer = dict(fields(value))
            elif number == 3:
                normaliser = dict(fields(value))
    except (ValueError, AttributeError, TypeError, struct.error) as error:
        raise ValueError(f"{path}: no model of SentencePiece: {error}") from error
    if trainer.get(3, 1) != 1:
        raise ValueError(f"{path}: model_type {trainer[3]}, expected 1, unigram")
    if trainer.get(35, 0):
        raise ValueError(f"{path}: byte_fallback is true, expected false")
    if not normaliser.get(3, 1):
        raise ValueError(f"{path}: add_dummy_prefix is false, expected true")
    return pieces, normaliser.get(2, b"")


class Charsmap:
    """SentencePiece's table of characters: a double array (Darts) of prefixes, then strings."""

    def __init__(self, data):
        size = struct.unpack("<I", data[:4])[0] if len(data) >= 4 else 0
        if data and (size % 4 or size > len(data) - 4):
            raise ValueError("precompiled_charsmap: a damaged table")
        self.units = np.frombuffer(data[4:4 + size], "<u4").tolist()
        self.strings = data[4 + size:]

    def longest(self, text):
        """(bytes of `text`, what they become), (0, b"") where no key begins it."""
        found = (0, b"")
        if not self.units:
            return found
        place = self.offset(self.units[0])
        for at, byte in enumerate(text):
            place ^= byte
            if place >= len(self.units):
                break
            unit = self.units[place]
            if unit & 0x800000FF != byte:  # the label, and no leaf
                break
            place ^= self.offset(unit)
            if unit >> 8 & 1 and place < len(self.units):
                begin = self.units[place] & 0x7FFFFFFF
                end = self.strings.find(b"\0", begin)
                found = (at + 1, self.strings[begin:end])
        return found

    @staticmethod
    def offset(unit):
        return (unit >> 10) << ((unit & 1 << 9) >> 6)

    def __call__(self, text):
        raw, out = text.encode(), b""
        while raw:
            size, value = self.longest(raw)
            if not size:
                size = 1
                while size < len(raw) and raw[size] & 0xC0 == 0x80:
                    size += 1
                value = raw[:size]
            out, raw = out + value, raw[size:]
        return out.decode()


def albert_character(character, charsmap, lower, keep_accents):
    """What ALBERT's tokeniser makes of a character: compatibility decomposition and accents off,
    lower case, then SentencePiece's table."""
    if character.isspace() or character == BLANK:
        return " "
    text = character
    if not keep_accents:
        text = "".join(c for c in unicodedata.normalize("NFKD", text)
                       if not unicodedata.combining(c))
    if lower:
        text = "".join(c.lower() for c in text)
    return charsmap(text)


def unigram(folder):
    """ALBERT's."""
    told = {}
    if (folder / "tokenizer_config.json").is_file():
        told = read_json(folder / "tokenizer_config.json")
    models = sorted(folder.glob("*.model"))
    full = read_json(folder / "tokenizer.json") if (folder / "tokenizer.json").is_file() else {}
    lower, keep = bool(told.get("do_lower_case", True)), bool(told.get("keep_accents", False))
    quotes = True
    if len(models) == 1:
        pieces, charsmap = sentencepiece(models[0])
    elif full:
        pieces = from_json(full)
        lower, keep, quotes, charsmap = steps_of(full)
        only("tokenizer_config.json", told, {"do_lower_case": lower, "keep_accents": keep})
    else:
        raise ValueError(f"{len(models)} files .model and no tokenizer.json, expected one of them")
    refuse_added(folder, full, [text for text, _, _ in pieces])
    normal = [score for _, score, kind in pieces if kind == NORMAL]
    if not normal:
        raise ValueError("vocabulary: no pieces with scores")
    scores = []
    for text, score, kind in pieces:
        if kind == USER:  # always taken, the longest first: SentencePiece's own rule
            score = len(text) * max(normal) - 0.1
        elif kind != NORMAL:
            score = NEVER
        elif BLANK in text[1:]:
            raise ValueError(f"vocabulary: piece {text!r} goes over a blank")
        scores.append(score)
    scores = np.array(scores, np.float32)
    if not np.isfinite(scores).all():
        raise ValueError("vocabulary: a score that is not finite")
    words, order = arranged([text for text, _, _ in pieces], "<unk>", "<pad>")
    charsmap = Charsmap(charsmap)
    return Pieces("unigram", lower, words, order, scores[order],
                  table(lambda c: albert_character(c, charsmap, lower, keep), set("".join(words)),
                        QUOTES if quotes else ()))


def from_json(full):
    """The pieces that sentencepiece() gives, of tokenizer.json."""
    model = part(full, "model")
    if model.get("type", "Unigram") != "Unigram" or not isinstance(model.get("vocab"), list):
        raise ValueError(f"tokenizer.json: model {model.get('type')!r}, expected Unigram")
    words = [text for text, _ in model["vocab"]]
    only("tokenizer.json", model_of(full), {
        "model.byte_fallback": False,
        "model.unk_id": words.index("<unk>") if "<unk>" in words else None})
    splitters = part(full, "pre_tokenizer")
    for splitter in splitters.get("pretokenizers", [splitters]):
        only("tokenizer.json", {f"pre_tokenizer.{key}": value for key, value in splitter.items()},
             {"pre_tokenizer.replacement": BLANK, "pre_tokenizer.add_prefix_space": True})
        for key, known in (("type", ("WhitespaceSplit", "Metaspace")),
                           ("prepend_scheme", ("always", "first"))):
            if splitter.get(key, known[0]) not in known:
                raise ValueError(f"tokenizer.json: pre_tokenizer.{key} is {splitter[key]!r}, "
                                 f"expected {' or '.join(map(repr, known))}")
    added = dict(added_tokens(full))
    kinds = {True: CONTROL, False: USER, None: NORMAL}
    return [(text, float(score), kinds[added.get(text)]) for text, score in model["vocab"]]


def steps_of(full):
    """(lower case, accents kept, quotes replaced, bytes of the table of characters) of the steps
    that tokenizer.json takes before the pieces; ValueError where ALBERT has other ones."""
    normal = part(full, "normalizer")
    steps, quotes, charsmap = [], {}, b""
    for step in normal.get("normalizers", [normal] if normal else []):
        kind, pattern = step.get("type"), part(step, "pattern")
        if kind == "Precompiled":
            charsmap = base64.b64decode(step["precompiled_charsmap"])
        elif kind == "Replace" and step.get("content") == QUOTES.get(pattern.get("String"), 0):
            quotes[pattern["String"]] = step["content"]
        elif kind != "Replace" or pattern.get("Regex") != " {2,}" or step.get("content") != " ":
            steps.append(kind)
    known = [[*accents, *lower] for accents in (["NFKD", "StripAccents"], [])
             for lower in (["Lowercase"], [])]
    if steps not in known or quotes not in (QUOTES, {}):
        found = ", ".join(map(str, steps)) or "quotes"
        raise ValueError(f"tokenizer.json: normalizer has {found}, expected "
                         "ALBERT's NFKD, StripAccents, Lowercase and Precompiled")
    return "Lowercase" in steps, "NFKD" not in steps, bool(quotes), charsmap


def read(folder, kind):
    """The tokeniser of a checkpoint's folder; ValueError, OSError."""
    try:
        return {"wordpiece": wordpiece, "unigram": unigram}[kind](Path(folder))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"tokeniser: {error}") from error
