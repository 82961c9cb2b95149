"""The importer of a hub's checkpoints against implementations of its own (hub_models.py)."""
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import hub_models
import hub_tokenisers
import numpy as np
import scripts
import torch
import vit_package
from qama_export import import_encoder, safetensors, tensor_file

SMALL = {"size": (12, 20), "patch": 4, "dim": 24, "depth": 2, "heads": 3, "mlp": 40, "classes": 5}


def images():
    """Name -> (model, its folder's other files, the importer's options)."""
    pixels = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "do_normalize": True}
    vit, timm = hub_models.HuggingVit, hub_models.TimmVit
    return {
        "vit": (vit(**SMALL), {"preprocessor_config": pixels}, []),
        "vit-tanh-no-bias": (vit(**SMALL, act="gelu_new", qkv_bias=False, eps=1e-5), {}, []),
        "deit-teacher": (vit(**SMALL, deit=True), {}, []),
        "deit": (vit(**SMALL, deit=True, teacher=False), {}, []),
        "timm-vit": (timm(**SMALL), {}, []),
        "timm-hidden": (timm(**SMALL, hidden=16), {}, []),
        "timm-tanh": (timm(**SMALL, act="gelu_tanh"), {}, []),
        "timm-deit": (timm(**SMALL, distilled=True), {}, []),
        "timm-deit3": (timm(**SMALL, scale=True, class_position=False), {}, [])}


def samples(model, count, size, channels=3):
    """(input, logits in double) of `count` random images."""
    torch.manual_seed(3)
    inputs = torch.randn(count, channels, *size)
    with torch.no_grad():
        return inputs, model.double()(inputs.double())


def program(folder, *arguments):
    """(exit status, what `qama` printed as JSON or said)."""
    result = subprocess.run([os.environ["QAMA_PROGRAM"], *map(str, arguments), "--json"],
                            cwd=folder, capture_output=True, text=True, check=False)
    return result.returncode, json.loads(result.stdout) if result.stdout else result.stderr


def compare(folder, model, inputs, logits, arguments):
    """Imports the hub's folder `hub`, runs `qama verify` on these samples; what it prints, with the
    largest difference of logits as a part of the largest logit as "relative"."""
    np.savez(folder / "samples.npz", logits=logits.numpy(), **inputs)
    status, text = scripts.call(import_encoder, folder, [
        "hub", "--out", "m.safetensors", "--samples", "samples.npz", "--golden", "g.safetensors",
        *arguments])
    if status:
        raise ValueError(text)
    largest = float(logits.abs().max())
    status, out = program(folder, "verify", "m.safetensors", "g.safetensors", "--tolerance",
                          1e-4 * largest)
    if status:
        raise ValueError(out)
    return {**out, "relative": out["logits_max_abs"] / largest}


class Images(unittest.TestCase):
    def test_it_computes_what_the_others_compute(self):
        if not os.environ.get("QAMA_PROGRAM"):
            self.skipTest("the program qama is not built")
        for name, (model, files, arguments) in images().items():
            for parts in (1, 3):
                with self.subTest(name, parts=parts), tempfile.TemporaryDirectory() as folder:
                    folder = Path(folder)
                    hub_models.write(folder / "hub", hub_models.random(model.float()), parts,
                                     **files)
                    inputs, logits = samples(model, 4, SMALL["size"])
                    found = compare(folder, model, {"input": inputs.numpy()}, logits, arguments)
                    self.assertEqual((found["n"], found["argmax_agreement"]), (4, 1))
                    self.assertLessEqual(found["relative"], 1e-5)

    def test_a_picture_gets_the_label_of_the_config(self):
        if not os.environ.get("QAMA_PROGRAM"):
            self.skipTest("the program qama is not built")
        model, files, _ = images()["vit"]
        pixels = np.random.default_rng(5).integers(0, 256, (12, 20, 3), np.uint8)
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            hub_models.write(folder / "hub", hub_models.random(model), **files)
            (folder / "p.ppm").write_bytes(b"P6\n20 12\n255\n" + pixels.tobytes())
            status, text = scripts.call(import_encoder, folder, ["hub", "--out", "m.safetensors"])
            self.assertFalse(status, text)
            status, found = program(folder, "classify", "-m", "m.safetensors", "p.ppm")
            self.assertEqual(status, 0, found)
            values = files["preprocessor_config"]
            image = (torch.from_numpy(pixels).double() / 255 - torch.tensor(
                values["image_mean"]).double()) / torch.tensor(values["image_std"]).double()
            with torch.no_grad():
                expected = model.double()(image.permute(2, 0, 1)[None]).softmax(1)[0]
            answer = found[0] if isinstance(found, list) else found
            self.assertEqual(answer["label"], f"thing {int(expected.argmax())}")
            self.assertAlmostEqual(answer["probability"], float(expected.max()), 5)

    def test_timm_says_how_pictures_are_prepared(self):
        """In pretrained_cfg, or in older files beside the architecture."""
        model = hub_models.random(images()["timm-vit"][0])
        told = {"input_size": [3, 12, 20], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6],
                "crop_mode": "center", "labels": list("abcde")}
        config = {key: value for key, value in model.config.items() if key != "pretrained_cfg"}
        for text in ({**config, **told},
                     {**config, "pretrained_cfg": told, "label_names": told["labels"]}):
            with tempfile.TemporaryDirectory() as folder:
                hub = hub_models.write(Path(folder) / "hub", model)
                (hub / "config.json").write_text(json.dumps(text))
                status, said = scripts.call(import_encoder, folder, ["hub", "--out",
                                                                     "m.safetensors"])
                self.assertFalse(status, said)
                _, metadata = tensor_file.read(Path(folder) / "m.safetensors")
                found = json.loads(metadata["preprocess"])
                self.assertEqual((found["mean"], found["std"], found["fit"]),
                                 (told["mean"], told["std"], "crop"))
                self.assertEqual(json.loads(metadata["labels"]), told["labels"])

    def test_one_file_counts_before_parts(self):
        """Beside an index of a former model, as transformers has it."""
        model = images()["vit"][0]
        with tempfile.TemporaryDirectory() as folder:
            hub = Path(folder) / "hub"
            hub_models.write(hub, hub_models.random(model, 1), 2)
            hub_models.write(hub, hub_models.random(model, 2))
            self.assertTrue((hub / safetensors.INDEX).is_file())
            np.testing.assert_array_equal(safetensors.read(hub)["classifier.weight"],
                                          model.classifier.weight.detach().numpy())

    def test_positions_of_another_size_are_interpolated(self):
        for grid, new in (((3, 5), (6, 7)), ((14, 14), (12, 9)), ((4, 4), (4, 4))):
            table = torch.randn(grid[0] * grid[1], 8)
            expected = torch.nn.functional.interpolate(
                table.view(1, *grid, 8).permute(0, 3, 1, 2), new, mode="bicubic",
                align_corners=False).permute(0, 2, 3, 1).reshape(-1, 8)
            np.testing.assert_allclose(import_encoder.interpolated(table.numpy(), grid, new),
                                       expected.numpy(), atol=2e-5)
        with tempfile.TemporaryDirectory() as folder:
            hub_models.write(Path(folder) / "hub", hub_models.random(images()["vit"][0]))
            status, text = scripts.call(import_encoder, folder, [
                "hub", "--image-size", 16, 24, "--out", "m.safetensors"])
            self.assertFalse(status, text)
            tensors, metadata = tensor_file.read(Path(folder) / "m.safetensors")
            self.assertEqual(tensors["position"].shape, (1 + 4 * 6, 24))
            self.assertEqual(json.loads(metadata["architecture"])["image"],
                             {"height": 16, "width": 24, "channels": 3})

    def test_simple_vit(self):
        if not os.environ.get("QAMA_PROGRAM"):
            self.skipTest("the program qama is not built")
        torch.manual_seed(6)
        model = vit_package.SimpleViT(8, 16, patch=4, classes=5, dim=24, depth=2, heads=3,
                                      hidden=40, dim_head=6).eval()
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "hub").mkdir()
            hub_models.write_safetensors(folder / "hub" / "model.safetensors", model.state_dict())
            inputs, logits = samples(model, 3, (8, 16))
            found = compare(folder, model, {"input": inputs.numpy()}, logits,
                            ["--image-size", 8, 16, "--heads", 3])
            self.assertLessEqual(found["relative"], 1e-5)
            self.assertEqual(found["argmax_agreement"], 1)


# What a tokeniser meets: capitals, accents (composed and not), punctuation of all kinds,
# ideographs, Hangul, Greek, Cyrillic, symbols, controls, blanks of all widths, unknown words, long
# ones.
TEXTS = [
    "The film's a re-make; unaffable, WASN'T it?",
    "na\u00efve caf\u00e9 Cafe\u0301 \u00c5ngstr\u00f6m \u0130stanbul stra\u00dfe",
    "\u6f22\u5b57 and kana \u304b\u306a, a\u4e2db \ud55c\uad6d\uc5b4",
    "\u039f\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03c2 \u041f\u0440\u0438\u0432\u0435\u0442\u2026 "
    "\u00abx\u00bb \u2014 \u00bfy? 50\u00a0% $3.20 #a_b ^~`",
    "a\tb\nc\u200bd\u00ade\u2028f\x01g \u2003h\ufeff",
    "x" * 99 + " " + "x" * 100 + " " + "y" * 101 + " " + "z" * 1500 + " end",
    "``quoted'' \ufb01ne \uff21\uff22\uff23 \u00bd \u2122 \u2460 films films films",
    "\U0001f600 ok \u0905\u0928\u0941 \u05d0\u05d1", "[CLS] [UNK] <pad> [SEP]", "the " * 60]
# A table of SentencePiece's.
CHANGES = {"\u00df": "ss", "\u2122": "tm", "\u00a5": "yen", "\u2028": " "}


def wordpiece_files():
    """vocab.txt of BERT, with the special ones where BERT has them, and its words."""
    words = ["[PAD]", *(f"[unused{i}]" for i in range(7)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = ("abcdefghijklmnopqrstuvwxyz0123456789\u03b1\u03b4\u03b5\u03b9\u03bf\u03c3\u03c5"
               "\u043f\u0440\u0438\u0432\u0435\u0442")
    words += [*letters, *(f"##{c}" for c in letters), *"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
              "the", "film", "##s", "un", "##aff", "##able", "cafe", "naive", "\u6f22", "\u4e2d",
              "##ing", "\u1112", "##\u1161", "##\u11ab", "\u2014", "\u00ab", "end", "was"]
    return list(dict.fromkeys(words))


def unigram_files():
    """Pieces of a SentencePiece model: (text, score, type)."""
    blank = hub_tokenisers.BLANK
    pieces = [("<pad>", 0, 3), ("<unk>", 0, 2), ("[CLS]", 0, 3), ("[SEP]", 0, 3), ("[MASK]", 0, 3),
              ("(", 0, 4), ("-", 0, 4)]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,;'?!\"%$#\u03b1\u03c3\u043f"
    plain = [blank, *letters, "the", f"{blank}the", "film", f"{blank}film", "un", "aff", "able",
             f"{blank}un", "ss", "tm", "re", "make", "fi", "ne", f"{blank}cafe", "in", "ing", "ed"]
    return pieces + [(text, round(-2.0 - 0.0371 * i + 1.7 * min(len(text), 4), 4) - 9, 1)
                     for i, text in enumerate(dict.fromkeys(plain))]


class Texts(unittest.TestCase):
    """BERT, DistilBERT and ALBERT: tokens by their ids, and texts by their tokenisers."""

    @staticmethod
    def models():
        words, pieces = wordpiece_files(), unigram_files()
        small = {"tokens": 40, "dim": 24, "depth": 2, "heads": 3, "mlp": 40, "classes": 3}
        vocab = {"vocab.txt": "\n".join(words).encode() + b"\n"}
        model = {"spiece.model": hub_tokenisers.sentencepiece(pieces, CHANGES)}

        def by_words(text):
            return hub_tokenisers.wordpieces(text, set(words))

        def by_scores(text):
            normal = max(score for _, score, kind in pieces if kind == 1)
            scores = {piece: score if kind == 1 else len(piece) * normal - 0.1
                      for piece, score, kind in pieces if kind in (1, 4)}
            return hub_tokenisers.unigrams(text, scores, CHANGES)

        names = [piece for piece, _, _ in pieces]
        return {
            "bert": (hub_models.Bert(len(words), **small), vocab, words, by_words),
            "bert-tanh": (hub_models.Bert(len(words) + 5, **small, act="gelu_new"), vocab, words,
                          by_words),
            "distilbert": (hub_models.DistilBert(len(words), **small), vocab, words, by_words),
            "albert": (hub_models.Albert(len(names), width=10, **{**small, "depth": 4}), model,
                       names, by_scores),
            "albert-groups": (hub_models.Albert(len(names), width=10, groups=2,
                                                **{**small, "depth": 4}), model, names, by_scores)}

    @staticmethod
    def write(folder, model, files):
        hub_models.write(folder / "hub", model)
        for name, data in files.items():
            (folder / "hub" / name).write_bytes(data)

    def test_it_computes_what_the_others_compute(self):
        if not os.environ.get("QAMA_PROGRAM"):
            self.skipTest("the program qama is not built")
        for name, (model, files, words, _) in self.models().items():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                self.write(folder, hub_models.random(model.float()), files)
                torch.manual_seed(4)
                tokens = torch.randint(0, len(words), (5, 40))
                lengths = torch.tensor([40, 33, 17, 16, 3])
                with torch.no_grad():
                    logits = model.double()(tokens, lengths)
                found = compare(folder, model, {"tokens": tokens.numpy(), "lengths":
                                                lengths.numpy()}, logits, [])
                self.assertEqual((found["n"], found["argmax_agreement"]), (5, 1))
                self.assertLessEqual(found["relative"], 1e-5)

    def test_an_albert_without_a_word_on_its_gelu(self):
        model, files, *_ = self.models()["albert"]
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            self.write(folder, hub_models.random(model), files)
            config = {key: value for key, value in model.config.items() if key != "hidden_act"}
            (folder / "hub" / "config.json").write_text(json.dumps(config))
            status, text = scripts.call(import_encoder, folder, ["hub", "--out", "m.safetensors"])
            self.assertFalse(status, text)
            _, metadata = tensor_file.read(folder / "m.safetensors")
            self.assertEqual(json.loads(metadata["architecture"])["gelu"], "tanh")

    def test_texts_become_the_same_pieces(self):
        if not os.environ.get("QAMA_PROGRAM"):
            self.skipTest("the program qama is not built")
        for name, (model, files, words, split) in self.models().items():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                self.write(folder, hub_models.random(model.float()), files)
                status, text = scripts.call(import_encoder, folder, ["hub", "--out",
                                                                     "m.safetensors"])
                self.assertFalse(status, text)
                model = model.double()
                for number, text in enumerate(TEXTS):
                    (folder / "t.txt").write_bytes(text.encode())
                    status, found = program(folder, "classify", "-m", "m.safetensors", "t.txt")
                    self.assertEqual(status, 0, found)
                    answer = found[0] if isinstance(found, list) else found
                    pieces = split(text)
                    unknown = "<unk>" if "albert" in name else "[UNK]"
                    ids = [words.index(piece) for piece in ["[CLS]", *pieces[:38], "[SEP]"]]
                    with torch.no_grad():
                        expected = model(torch.tensor([ids]), torch.tensor([len(ids)])).softmax(1)
                    self.assertEqual(answer["unknown_words"], pieces[:38].count(unknown), number)
                    self.assertEqual(answer["truncated"], len(pieces) > 38, number)
                    self.assertAlmostEqual(answer["probability"], float(expected.max()), 4, number)
                    self.assertEqual(answer["class"], int(expected.argmax()), number)


class Refusals(unittest.TestCase):
    def refusal(self, folder, *arguments):
        status, text = scripts.call(import_encoder, folder, ["hub", "--out", "m.safetensors",
                                                             *arguments])
        self.assertEqual(status, 1, text)
        self.assertFalse((Path(folder) / "m.safetensors").exists())
        self.assertEqual(text.count("\n"), 1, text)
        return text

    def test_tensors(self):
        model = hub_models.random(images()["vit"][0])
        layer = "vit.encoder.layer.1."
        for change, sentence in (
                ({"vit.embeddings.cls_token": None}, "'vit.embeddings.cls_token' missing, expected "
                 "a ViT"),
                ({layer + "output.dense.bias": None}, f"'{layer}output.dense.bias' missing"),
                ({"vit.pooler.dense.weight": torch.zeros(2, 2)}, "'vit.pooler.dense.weight', which "
                 "a ViT of Hugging Face .* has not"),
                ({layer + "intermediate.dense.weight": torch.zeros(40, 23)}, "shape .40, 23., "
                 "expected .40, 24."),
                ({"vit.embeddings.position_embeddings": torch.zeros(1, 15, 24)}, "shape .1, 15, "
                 "24., expected .1, 16, 24."),
                ({"vit.layernorm.bias": torch.full((24,), float("inf"))}, "not finite"),
                ({"vit.layernorm.bias": torch.zeros(24, dtype=torch.int64)}, "int64 numbers"),
                ({"classifier.weight": torch.zeros(1, 24), "classifier.bias": torch.zeros(1)},
                 "1 class, which is a regression"),
                ({"classifier.weight": torch.zeros(5, 24, 1)}, "shape .5, 24, 1., expected .any")):
            with self.subTest(sentence), tempfile.TemporaryDirectory() as folder:
                hub_models.write(Path(folder) / "hub", model, change=change)
                self.assertRegex(self.refusal(folder), sentence)

    def test_configs(self):
        model = hub_models.random(images()["vit"][0])
        for change, sentence in (
                ({"problem_type": "regression"}, "problem_type is 'regression', expected 'single"),
                ({"model_type": "swin"}, "model_type is 'swin', expected one of vit, "),
                ({"hidden_act": "relu"}, "hidden_act is 'relu', expected one of gelu"),
                ({"hidden_act": ["gelu"]}, "hidden_act is .'gelu'., expected one of gelu"),
                ({"model_type": ["vit"]}, "model_type is .'vit'., expected a name"),
                ({"layer_norm_eps": None}, "layer_norm_eps is None, expected a number between"),
                ({"layer_norm_eps": 1e-46}, "layer_norm_eps is 1e-46, expected a number between"),
                ({"num_labels": 7}, "num_labels is 7, expected 5, the classes of the checkpoint"),
                ({"id2label": {str(i): "x" for i in range(6)}}, "id2label has 6 names, expected 5"),
                ({"id2label": list("abcde")}, "id2label is .'a', .*, expected an object"),
                ({"id2label": {str(i): " " for i in range(5)}}, "label '' of class 0, expected "
                 "text"),
                ({"id2label": {str(i): "a\x1b" for i in range(5)}}, "of class 0, expected text"),
                ({"pretrained_cfg": 7}, "pretrained_cfg is 7, expected an object"),
                ({"id2label": {"0": "cat"}}, "id2label has None for class 1 of 5, expected a name"),
                ({"hidden_size": 0}, "hidden_size is 0, expected a number from 1"),
                ({"num_attention_heads": 5}, "5 heads of a model 24 wide"),
                ({"image_size": [12]}, "image_size is .12., expected one side or two"),
                ({"image_size": [13, 20]}, "image of 13 x 20, expected multiples of the patch")):
            with self.subTest(sentence), tempfile.TemporaryDirectory() as folder:
                hub_models.write(Path(folder) / "hub", model)
                (Path(folder) / "hub" / "config.json").write_text(
                    json.dumps({**model.config, **change}))
                self.assertRegex(self.refusal(folder), sentence)

    def test_configs_of_timm(self):
        model = hub_models.random(images()["timm-vit"][0])
        for change, sentence in (
                ({"global_pool": "avg"}, "global_pool is 'avg', expected 'token'"),
                ({"model_args": {"num_heads": 3, "global_pool": "avg"}}, "global_pool is 'avg'"),
                ({"model_args": {"num_heads": 3, "norm_layer": "layernorm2d"}}, "model_args has "
                 "'norm_layer', which is not read"),
                ({"model_args": {"num_heads": 3, "act_layer": "quick_gelu"}}, "act_layer is "
                 "'quick_gelu', expected 'gelu' or 'gelu_tanh'"),
                ({"num_classes": 9}, "num_classes is 9, expected 5"),
                ({"label_names": "abcde"}, "label_names is 'abcde', expected a list of names"),
                ({"label_names": [1, 2, 3, 4, 5]}, "label_names is .1, .*, expected a list of")):
            with self.subTest(sentence), tempfile.TemporaryDirectory() as folder:
                hub_models.write(Path(folder) / "hub", model)
                (Path(folder) / "hub" / "config.json").write_text(
                    json.dumps({**model.config, **change}))
                self.assertRegex(self.refusal(folder), sentence)

    def test_what_is_said_of_pictures(self):
        model = hub_models.random(images()["vit"][0])
        for told, sentence in (
                ({"do_rescale": False}, "do_rescale is false, expected true"),
                ({"image_std": [0, 1, 1]}, "std is .0, 1, 1., expected 3 numbers, .*, above 0"),
                ({"image_mean": [float("nan"), 0, 0]}, "mean is .nan, 0, 0., expected 3 numbers"),
                ({"image_mean": 0.5}, "mean is 0.5, expected 3 numbers")):
            with self.subTest(sentence), tempfile.TemporaryDirectory() as folder:
                hub_models.write(Path(folder) / "hub", model, preprocessor_config=told)
                self.assertRegex(self.refusal(folder), sentence)

    def test_options_that_the_checkpoint_contradicts(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("vit", "timm-vit"):
                hub_models.write(Path(folder) / "hub", hub_models.random(images()[name][0]))
                for option, sentence in (
                        (("--heads", 4), "--heads 4, expected 3, as the checkpoint says"),
                        (("--channels", 1), "--channels 1, expected 3, as the checkpoint says"),
                        (("--image-size", 4, 8, 12), "--image-size is .4, 8, 12., expected one"),
                        (("--labels", *"abcd", ""), "label '' of class 4, expected text")):
                    with self.subTest(sentence):
                        self.assertRegex(self.refusal(folder, *option), sentence)

    def test_a_decoder(self):
        model, files, *_ = Texts.models()["bert"]
        with tempfile.TemporaryDirectory() as folder:
            Texts.write(Path(folder), hub_models.random(model), files)
            (Path(folder) / "hub" / "config.json").write_text(
                json.dumps({**model.config, "is_decoder": True}))
            self.assertRegex(self.refusal(folder), "is_decoder is true, expected false")

    def test_a_simple_vit_of_an_odd_width(self):
        model = vit_package.SimpleViT(8, 8, patch=4, classes=5, dim=24, depth=1, heads=3,
                                      hidden=40, dim_head=6)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "hub").mkdir()
            tensors = model.state_dict()
            tensors["to_patch_embedding.2.weight"] = torch.zeros(22, 48)
            hub_models.write_safetensors(Path(folder) / "hub" / "model.safetensors", tensors)
            self.assertRegex(self.refusal(folder, "--image-size", 8),
                             "a SimpleViT 22 wide, expected a multiple of 4")

    def test_samples(self):
        record = {"classes": 3, "sequence": {"max_tokens": 40}}
        good = {"tokens": np.full((2, 40), 9), "lengths": np.array([40, 3]),
                "logits": np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])}

        def write(folder, **change):
            np.savez(Path(folder) / "s.npz", **{**good, **change})
            import_encoder.write_golden(Path(folder) / "g", Path(folder) / "s.npz", record,
                                        "0" * 64, range(50))

        with tempfile.TemporaryDirectory() as folder:
            write(folder)
            for change, sentence in (
                    ({"tokens": good["tokens"] + 1000}, "array 'tokens' has 1009, expected ids"),
                    ({"tokens": good["tokens"] - 10}, "array 'tokens' has -1, expected ids of"),
                    ({"tokens": good["tokens"] + 0.5}, "'tokens' is of float64, expected whole"),
                    ({"tokens": good["tokens"][:1]}, "'tokens' has 1 samples, expected 2"),
                    ({"lengths": np.array([0, 3])}, "array 'lengths', expected 1 to 40"),
                    ({"lengths": np.array([41, 3])}, "array 'lengths', expected 1 to 40"),
                    ({"logits": good["logits"] * np.nan}, "'logits' is of float64, expected fin"),
                    ({name: value[:0] for name, value in good.items()}, "has 0 samples, expected "
                     "1 or more")):
                with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                    write(folder, **change)

    def test_files(self):
        model = hub_models.random(images()["vit"][0])
        with tempfile.TemporaryDirectory() as folder:
            hub = hub_models.write(Path(folder) / "hub", model, 2)
            index = json.loads((hub / safetensors.INDEX).read_text())
            first = sorted(index["weight_map"].values())[0]
            for places, sentence in (
                    ({**index["weight_map"], "more": first}, "tensor 'more' is in none"),
                    ({"x": "../" + first}, "expected a file beside the index"),
                    ({}, "no weight_map")):
                (hub / safetensors.INDEX).write_text(json.dumps({"weight_map": places}))
                self.assertRegex(self.refusal(folder), sentence)
            second = sorted(index["weight_map"].values())[-1]
            kept = (hub / second).read_bytes()
            (hub / second).write_bytes((hub / first).read_bytes())
            (hub / safetensors.INDEX).write_text(json.dumps(index))
            self.assertRegex(self.refusal(folder), "is in two of the parts")
            (hub / second).write_bytes(kept)
            (hub / safetensors.INDEX).write_text('{"weight_map": {"a": "b", "a": "c"}}')
            self.assertRegex(self.refusal(folder), "no JSON: key 'a' stands twice")
            (hub / safetensors.INDEX).write_text("[" * 100000)
            self.assertRegex(self.refusal(folder), "no JSON: nested too deeply")
            (hub / safetensors.INDEX).unlink()
            self.assertRegex(self.refusal(folder), "neither model.safetensors nor")
            raw = (hub / first).read_bytes()
            header = json.loads(raw[8:8 + int.from_bytes(raw[:8], "little")])
            name = min(set(header) - {"__metadata__"})

            def with_entry(**change):
                text = json.dumps({**header, name: {**header[name], **change}}).encode()
                return len(text).to_bytes(8, "little") + text + raw[8 + len(text):]

            for data, sentence in (
                    (b"", "no safetensors file"), (raw[:100], "no safetensors file"),
                    (b"\xff" * 8 + raw, "no safetensors file"),
                    ((2).to_bytes(8, "little") + b"[]", "header is no object"),
                    ((2).to_bytes(8, "little") + b"{]", "header is no JSON"),
                    (with_entry(dtype="F8"), "type 'F8', expected one of F64"),
                    (with_entry(shape=[1 << 40]), "expected"),
                    (with_entry(shape=[-1]), "shape"), (with_entry(data_offsets=[0, 1 << 60]),
                                                        "place")):
                (hub / safetensors.SINGLE).write_bytes(data)
                with self.subTest(sentence):
                    self.assertRegex(self.refusal(folder), sentence)

    def test_it_needs_no_torch(self):
        text = ("import sys; sys.modules['torch'] = None; import qama_export.import_encoder")
        with contextlib.redirect_stderr(io.StringIO()):
            subprocess.run([sys.executable, "-c", text], check=True)


if __name__ == "__main__":
    unittest.main()
