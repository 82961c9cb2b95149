"""Tokenisers of checkpoints as tables: both forms of files, and what is refused. What the runtime
makes of texts with them is compared in test_import_encoder.py."""
import base64
import json
import tempfile
import unittest
from pathlib import Path

import hub_tokenisers
import numpy as np
import test_import_encoder as hub
from qama_export import pieces


def read(kind, files):
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            data = data if isinstance(data, bytes) else json.dumps(data).encode()
            (Path(folder) / name).write_bytes(data)
        return pieces.read(folder, kind)


def table_of(tokeniser):
    lines = tokeniser.table.decode().removesuffix("\n").split("\n")
    return dict(line.split("\t") for line in lines)


WORDS = hub.wordpiece_files()
VOCAB = {"vocab.txt": "\n".join(WORDS).encode()}
JSON = {"normalizer": {"type": "BertNormalizer", "lowercase": True, "strip_accents": None,
                       "handle_chinese_chars": True},
        "model": {"type": "WordPiece", "vocab": {word: i for i, word in enumerate(WORDS)}}}


class WordPiece(unittest.TestCase):
    def test_both_forms_are_one(self):
        one, other = read("wordpiece", VOCAB), read("wordpiece", {"tokenizer.json": JSON})
        self.assertEqual((one.words, one.order, one.table), (other.words, other.order, other.table))
        self.assertEqual(one.words[:4], list(pieces.SPECIAL))
        self.assertEqual([WORDS[old] for old in one.order[:4]], ["[PAD]", "[UNK]", "[CLS]",
                                                                 "[SEP]"])
        self.assertEqual([WORDS[old] for old in one.order[4:]], one.words[4:])

    def test_the_table(self):
        table = table_of(read("wordpiece", VOCAB))
        for key, value in (("A", "a"), ("\u00e9", "e"), ("\u00c5", "a"), ("\u0301", ""),
                           (",", " , "), ("\u2014", " \u2014 "), ("\u00a0", " "), ("\x07", ""),
                           ("\ufffd", ""), ("$", " $ "), ("\ud55c", "\u1112\u1161\u11ab"),
                           ("\uf900", " \u8c48 ")):
            self.assertEqual(table[key], value, key)
        for key in ("a", "7", "\u6f22", " ", "\u00df"):
            self.assertNotIn(key, table)
        self.assertEqual(sorted(table, key=str.encode), list(table))
        without = {"vocab.txt": "\n".join(word for word in WORDS
                                          if not "\u1100" <= word[-1] <= "\u11ff").encode()}
        self.assertNotIn("\ud55c", table_of(read("wordpiece", without)))

    def test_cased(self):
        for files in ({**VOCAB, "tokenizer_config.json": {"do_lower_case": False}},
                      {"tokenizer.json": {**JSON, "normalizer": {"lowercase": False}}}):
            cased = read("wordpiece", files)
            self.assertFalse(cased.lowercase)
            self.assertNotIn("A", table_of(cased))
            self.assertNotIn("\u00e9", table_of(cased))
        accents = table_of(read("wordpiece", {**VOCAB, "tokenizer_config.json": {
            "strip_accents": False}}))
        self.assertEqual(accents["\u00c9"], "\u00e9")

    def test_private_use_is_dropped(self):
        for lower in (True, False):
            table = table_of(read("wordpiece", {**VOCAB, "tokenizer_config.json": {
                "do_lower_case": lower}}))
            self.assertEqual((table["\ue000"], table["\uf8ff"]), ("", ""))

    def test_what_tokenizer_json_says_is_refused(self):
        def with_model(**keys):
            return {**JSON, "model": {**JSON["model"], **keys}}

        def with_added(text):
            return {**JSON, "added_tokens": [{"content": "[CLS]", "special": True},
                                             {"content": text, "special": False}]}

        for full, sentence in (
                ({**JSON, "normalizer": {"type": "Lowercase"}}, "normalizer.type is 'Lowercase', "
                 "expected 'BertNormalizer'"),
                ({**JSON, "normalizer": {"type": "BertNormalizer", "clean_text": False}},
                 "clean_text is False, expected True"),
                ({**JSON, "normalizer": "Bert"}, "normalizer is 'Bert', expected an object"),
                ({**JSON, "pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer.type is "
                 "'Whitespace', expected 'BertPreTokenizer'"),
                (with_model(max_input_chars_per_word=20), "max_input_chars_per_word is 20, "
                 "expected 100"),
                (with_model(continuing_subword_prefix="@@"), "prefix is '@@', expected '##'"),
                (with_model(unk_token="[PAD]"), "unk_token is '.PAD.', expected '.UNK.'"),
                (with_model(vocab={"[UNK]": 0}), "vocab.txt and tokenizer.json have other words"),
                (with_added("newword"), "added token 'newword', expected one of the vocabulary"),
                ({**JSON, "added_tokens": [7]}, "added_tokens has 7, expected a word")):
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                read("wordpiece", {**VOCAB, "tokenizer.json": full})
        read("wordpiece", {**VOCAB, "tokenizer.json": with_added("film")})
        for name, told, sentence in (
                ("added_tokens.json", {"newword": 99}, "added_tokens.json: added token 'newword'"),
                ("tokenizer_config.json", {"do_basic_tokenize": False}, "do_basic_tokenize is "
                 "False, expected True")):
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                read("wordpiece", {**VOCAB, name: told})

    def test_what_is_refused(self):
        for files, sentence in (
                ({}, "neither vocab.txt nor tokenizer.json"),
                ({"vocab.txt": b"[PAD]\n[UNK]\n[CLS]"}, "'.SEP.' is missing"),
                ({"vocab.txt": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\na\na"}, "'a' is there twice"),
                ({"vocab.txt": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n\na"}, "'', expected a piece"),
                ({"vocab.txt": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n<unk>"}, "is there twice"),
                ({"vocab.txt": b"[PAD]\n\xff"}, "tokeniser: .*codec"),
                ({**VOCAB, "tokenizer_config.json": {"tokenize_chinese_chars": False}},
                 "Chinese characters"),
                ({"tokenizer.json": {"model": {"type": "BPE", "vocab": {}}}}, "'BPE', expected "
                 "WordPiece"),
                ({"tokenizer.json": {"model": {"type": "WordPiece", "vocab": {"a": 1}}}},
                 "expected 0 and up")):
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                read("wordpiece", files)


class Unigram(unittest.TestCase):
    parts = hub.unigram_files()

    def model(self, parts=None):
        return {"spiece.model": hub_tokenisers.sentencepiece(parts or self.parts, hub.CHANGES)}

    def json(self, *steps, **keys):
        """tokenizer.json of the same tokeniser, with these steps before the table."""
        data = base64.b64encode(hub_tokenisers.charsmap(hub.CHANGES)).decode()
        quotes = [{"type": "Replace", "pattern": {"String": old}, "content": '"'}
                  for old in ("``", "''")]
        return {
            "added_tokens": [{"content": text, "special": kind != 4} for text, _, kind
                             in self.parts if kind != 1],
            "normalizer": {"type": "Sequence", "normalizers": [
                *quotes, *({"type": step} for step in steps),
                {"type": "Precompiled", "precompiled_charsmap": data},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581",
                                              "add_prefix_space": True}]},
            "model": {"type": "Unigram", "unk_id": 1,
                      "vocab": [[text, score] for text, score, _ in self.parts], **keys}}

    def test_both_forms_are_one(self):
        one = read("unigram", self.model())
        other = read("unigram", {"tokenizer.json": self.json("NFKD", "StripAccents", "Lowercase")})
        self.assertEqual((one.words, one.order, one.table), (other.words, other.order, other.table))
        np.testing.assert_allclose(one.scores, other.scores)
        self.assertTrue((one.scores[:5] == pieces.NEVER).all())  # with [MASK]
        self.assertTrue((one.scores[5:] > -100).all())

    def test_the_steps_of_tokenizer_json(self):
        for steps, told, capital, accent in (
                (("Lowercase",), {"keep_accents": True}, "a", "\u00e9"),
                (("NFKD", "StripAccents"), {}, "A", "E"), ((), {}, "A", "\u00c9")):
            files = {"tokenizer.json": self.json(*steps), "tokenizer_config.json": told}
            tokeniser = read("unigram", files)
            table = table_of(tokeniser)
            self.assertEqual(tokeniser.lowercase, capital == "a")
            self.assertEqual((table.get("A", "A"), table.get("\u00c9", "\u00c9")),
                             (capital, accent))
        for full, told, sentence in (
                (self.json("NFC"), {}, "normalizer has NFC, expected ALBERT's NFKD, Strip"),
                (self.json("Lowercase", "NFKD", "StripAccents"), {}, "normalizer has Lowercase, "),
                (self.json(), {"do_lower_case": True}, "do_lower_case is True, expected False"),
                (self.json(byte_fallback=True), {}, "byte_fallback is True, expected False"),
                (self.json(unk_id=0), {}, "unk_id is 0, expected 1"),
                ({**self.json(), "pre_tokenizer": {"type": "ByteLevel"}}, {}, "pre_tokenizer.type "
                 "is 'ByteLevel', expected 'WhitespaceSplit' or 'Metaspace'"),
                ({**self.json(), "pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "never"}},
                 {}, "prepend_scheme is 'never', expected 'always' or 'first'"),
                ({**self.json(), "added_tokens": [{"content": "zz"}]}, {}, "added token 'zz'")):
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                read("unigram", {"tokenizer.json": full, "tokenizer_config.json": told})

    def test_no_piece_ends_in_a_digit_and_a_comma(self):
        """ALBERT's rule: 9,9 is '9' ',' '9'."""
        pieces_of = [*self.parts, ("\u25819,", -3, 1), ("9,", -3, 1), ("a,", -3, 1)]
        tokeniser = read("unigram", self.model(pieces_of))
        scores = dict(zip(tokeniser.words, tokeniser.scores.tolist()))
        self.assertEqual([scores[text] for text in ("\u25819,", "9,", "a,")], [-103, -103, -3])

    def test_what_a_user_defined_always_wins(self):
        tokeniser = read("unigram", self.model())
        best = max(score for _, score, kind in self.parts if kind == 1)
        self.assertAlmostEqual(float(tokeniser.scores[tokeniser.words.index("(")]), best - 0.1, 5)

    def test_the_table(self):
        table = table_of(read("unigram", self.model()))
        for key, value in (("A", "a"), ("\u00e9", "e"), ("``", '"'), ("''", '"'), ("\ufb01", "fi"),
                           ("\u2028", " "), ("\x85", " "), ("\x1f", " "), ("\uff21", "a"),
                           ("\u00df", "ss"), ("\u2122", "tm"),
                           ("\u00bd", "1\u20442"), ("\u2581", " ")):
            self.assertEqual(table[key], value, key)
        for key in ("a", ",", " ", "\u6f22"):
            self.assertNotIn(key, table)

    def test_what_is_refused(self):
        good = self.model()["spiece.model"]
        for files, sentence in (
                ({}, "0 files .model and no tokenizer.json"),
                ({"spiece.model": good[:-3]}, "no model of SentencePiece: truncated"),
                ({"spiece.model": b"\xff" * 12}, "no model of SentencePiece"),
                ({"spiece.model": b"\x0b"}, "wire type 3"),
                ({"spiece.model": good + hub_tokenisers.field(2, hub_tokenisers.field(3, 2))},
                 "model_type 2, expected 1, unigram"),
                ({"spiece.model": hub_tokenisers.sentencepiece(
                    self.parts, hub.CHANGES, trainer=hub_tokenisers.field(35, 1))},
                 "byte_fallback is true, expected false"),
                ({"spiece.model": hub_tokenisers.sentencepiece(
                    self.parts, hub.CHANGES, normaliser=hub_tokenisers.field(3, 0))},
                 "add_dummy_prefix is false, expected true"),
                (self.model([*self.parts, ("a\u2581b", -3, 1)]), "goes over a blank"),
                (self.model([*self.parts, ("ab", float("nan"), 1)]), "not finite"),
                (self.model(self.parts[1:]), "'<pad>' is missing"),
                (self.model(self.parts[:5]), "no pieces with scores"),
                ({"tokenizer.json": {"model": {"type": "BPE", "vocab": []}}}, "expected Unigram")):
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                read("unigram", files)


if __name__ == "__main__":
    unittest.main()
