"""The tokenisers of BERT and ALBERT, text by text from their descriptions, and makers of their
files. Shares nothing with weights/export, whose tables go character by character."""
import struct
import unicodedata

BLANK = "\u2581"


def bert_words(text, lower=True):
    """BERT's BasicTokenizer: cleans, sets ideographs apart, takes accents off, splits at
    punctuation."""
    cleaned = ""
    for c in text:
        code, kind = ord(c), unicodedata.category(c)
        if c in "\t\n\r" or kind in ("Zs", "Zl", "Zp"):
            cleaned += " "
        elif code in (0, 0xFFFD) or kind.startswith("C"):
            continue
        elif (0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0x20000 <= code <= 0x2A6DF
              or 0x2A700 <= code <= 0x2CEAF or 0xF900 <= code <= 0xFAFF
              or 0x2F800 <= code <= 0x2FA1F):
            cleaned += f" {c} "
        else:
            cleaned += c
    words = []
    for word in cleaned.split(" "):
        if lower:
            word = unicodedata.normalize("NFD", word)
            word = "".join(c for c in word if unicodedata.category(c) != "Mn")
            word = "".join(c.lower() for c in word)
        part = ""
        for c in word:
            if unicodedata.category(c).startswith("P") or (ord(c) < 127 and not c.isalnum()):
                words += [part, c]
                part = ""
            else:
                part += c
        words.append(part)
    return [word for word in words if word]


def wordpieces(text, vocabulary, lower=True):
    """The pieces of a text, without [CLS] and [SEP]."""
    out = []
    for word in bert_words(text, lower):
        pieces, at = [], 0
        while at < len(word) <= 100:
            for end in range(len(word), at, -1):
                piece = ("##" if at else "") + word[at:end]
                if piece in vocabulary:
                    break
            else:
                break
            pieces.append(piece)
            at = end
        out += pieces if len(word) <= 100 and at == len(word) else ["[UNK]"]
    return out


def albert_text(text, changes):
    """What ALBERT's tokeniser does before the pieces; changes: SentencePiece's table."""
    text = text.replace("``", '"').replace("''", '"')
    text = "".join(c for c in unicodedata.normalize("NFKD", text)
                   if not unicodedata.combining(c)).lower()
    for old, new in changes.items():
        text = text.replace(old, new)
    for blank in "\t\n\r":
        text = text.replace(blank, " ")
    return "".join(BLANK + word for word in text.split(" ") if word)


def unigrams(text, scores, changes):
    """The pieces of the whole text with the largest sum of scores; {piece: score}."""
    text = albert_text(text, changes)
    unknown = min(scores.values()) - 10
    best = [(0.0, [])] + [None] * len(text)
    for end in range(1, len(text) + 1):
        for begin in range(end):
            piece = text[begin:end]
            if piece in scores:
                score, name = scores[piece], piece
            elif end - begin == 1:
                score, name = unknown, None
            else:
                continue
            total = best[begin][0] + score
            if best[end] is None or total > best[end][0]:
                best[end] = (total, [*best[begin][1], name])
    pieces = best[-1][1]
    return [piece or "<unk>" for i, piece in enumerate(pieces)
            if piece or i == 0 or pieces[i - 1]]


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def darts(keys):
    """The double array of {key bytes: number}, as Darts-clone lays it out."""
    units, used, bases = {}, set(), set()

    def place(node, depth, at):
        groups = {}
        for key, value in node:
            groups.setdefault(key[depth] if depth < len(key) else 0, []).append((key, value))
        base = 1
        while base in bases or any((base ^ label) in used for label in groups):
            base += 1
        bases.add(base)
        used.update(base ^ label for label in groups)
        units[at] = units.get(at, 0) | (base ^ at) << 10 | (1 << 8 if 0 in groups else 0)
        for label, group in groups.items():
            if label == 0:
                units[base] = group[0][1] | 1 << 31
                continue
            units[base ^ label] = label
            place(group, depth + 1, base ^ label)

    used.add(0)
    place(sorted(keys.items()), 0, 0)
    return [units.get(i, 0) for i in range(max(units) + 256)]


def charsmap(changes):
    """SentencePiece's precompiled_charsmap."""
    strings, keys = b"", {}
    for old, new in changes.items():
        keys[old.encode()] = len(strings)
        strings += new.encode() + b"\0"
    units = darts(keys)
    return struct.pack(f"<{len(units) + 1}I", 4 * len(units), *units) + strings


def sentencepiece(pieces, changes, trainer=b"", normaliser=b""):
    """A .model file: pieces are (text, score, type), the others more fields of its two records."""
    return (b"".join(field(1, field(1, text) + field(2, float(score)) + field(3, kind))
                     for text, score, kind in pieces)
            + field(2, field(3, 1) + trainer)
            + field(3, field(1, "nmt_nfkc") + field(2, charsmap(changes)) + normaliser))
