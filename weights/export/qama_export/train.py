"""Trains one model, evaluates it on the official test set, exports it with goldens. Resumable.

    python3 -m qama_export.train --dataset mnist --attention qama --data DIR --out runs/mnist-qama

Writes into --out: log.jsonl (one JSON object a line), checkpoint.pt (everything needed to go on),
weights.pt (for --start-from), model.safetensors and golden.safetensors. With --time-limit the
learning rate schedule shrinks to what fits: the step time is measured all along and the end is
moved accordingly. Forward solves of QAMA layers go through libqama (qama.torch). Several runs at
once: fleet.py.
"""
import argparse
import ctypes
import json
import math
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from qama import library
from qama.torch import Solver
from qama.torch.attention import RULES, HeadNorm
from qama.torch.half_products import half_products
from torch.nn import functional

from . import augment, command, datasets, export, ngrams, rivals, text_teacher, tokeniser
from .models import SimpleViT, build

# What a data set's runs start from; every value has an option of the same name.
PRESETS = {"mnist": dict(dim=64, depth=3, heads=8, dim_head=8, mlp=128, epochs=15, batch=128,
                         lr=2e-3, patch=4),
           "fashion-mnist": dict(dim=96, depth=3, heads=8, dim_head=12, mlp=192, epochs=20,
                                 batch=128, lr=2e-3, patch=4),
           "cifar10": dict(dim=128, depth=4, heads=8, dim_head=16, mlp=256, epochs=60, batch=128,
                           lr=2e-3, patch=4),
           "own-images": dict(dim=96, depth=3, heads=8, dim_head=12, mlp=192, epochs=30, batch=32,
                              lr=2e-3, patch=4),
           "own-texts": dict(dim=64, depth=1, heads=1, dim_head=64, mlp=128, epochs=10, batch=32,
                             lr=1e-3, dropout=0.3, word_dropout=0.1),
           "imdb": dict(dim=64, depth=1, heads=1, dim_head=64, mlp=128, epochs=6, batch=64, lr=1e-3,
                        dropout=0.3, word_dropout=0.1),
           "sst2": dict(dim=64, depth=1, heads=1, dim_head=64, mlp=128, epochs=6, batch=128,
                        lr=1e-3, dropout=0.3, word_dropout=0.1)}
# Options that belong together, by a name; others given beside them count.
# "published": how the authors' published code trains its image models (Table III).
RECIPES = {"published": dict(dim=64, depth=1, heads=8, dim_head=8, mlp=64, patch=4, epochs=50,
                             batch=128, lr=1e-3, lr_schedule="constant", beta2=0.999, clip=0.0,
                             weight_decay=0.0, augment=False, pixels="half", projection=False,
                             seed=42, sweeps=5, eval_sweeps=5, t_start=0.3, t_end=0.03,
                             keep_best=True)}
# Smallest values of options; what a model file may hold is the runtime's to say (check_runs).
LEAST = {1: ("batch", "heads", "dim_head", "dim", "mlp", "golden", "threads", "max_tokens"),
         0: ("epochs", "max_steps", "train_samples", "test_samples", "eval_every", "shift",
             "recalibrate", "neighbours")}
MOST_VALUES = 2 ** 28  # of images that are kept as floats: 1 GiB
LENGTH_STEP = 64  # text batches are padded to a multiple of this: few shapes for the solver


def make_parser(**how):
    """how: for argparse, where it is part of another parser."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter, **how)
    add = parser.add_argument
    add("--dataset", required=True, choices=datasets.NAMES)
    add("--data", required=True, help="folder of the official files or of NAME.npz packs; own "
        "data:\n"
        "DIR/LABEL/*, DIR/{train,test}/LABEL/*, or tables (own.py)")
    add("--image", default="32x32x3", help="own-images: the model's HEIGHTxWIDTHxCHANNELS")
    add("--fit", default="stretch", choices=["stretch", "crop", "pad"],
        help="own-images: how an image of another size is brought to the model's")
    add("--out", required=True, help="folder of this run")
    add("--attention", required=True, choices=[*RULES, "qama_v1", "softmax", *rivals.KINDS])
    add("--recipe", choices=sorted(RECIPES), help="options that belong together: published, as "
        "the authors' code trains\nits image models; options beside it count")
    add("--projection", action=argparse.BooleanOptionalAction, default=True,
        help="softmax: a linear map behind the heads")
    add("--pixels", default="set", choices=["set", "half"],
        help="minus the data set's mean over its deviation, or minus a half over a half")
    for name in ("dim", "depth", "heads", "dim-head", "mlp", "patch", "epochs", "batch"):
        add("--" + name, type=int)
    for name in ("lr", "dropout", "word-dropout"):
        add("--" + name, type=float)
    add("--token-pool", default="1x1", help="average pooling of the token grid, ROWSxCOLUMNS")
    add("--pool", default="mean", choices=["mean", "max"],
        help="over the tokens, before the classifier")
    add("--max-tokens", type=int, default=512)
    add("--truncate", default="head", choices=tokeniser.TRUNCATES, help="what is kept of a text of "
        "more than --max-tokens: its begin, or half of it and\nhalf of its end")
    add("--vocabulary", type=int, default=20000)
    add("--neighbours", type=int, default=0,
        help="tokens on either side of a word whose vectors its embedding sees (text)")
    add("--ngrams", help="file of ngrams.py: a score of the n-grams that end with a word stands "
        "beside its vector (text)")
    add("--ngram-start", type=float, default=1.0, help="what a score of 1 adds to a token, along "
        "the direction that the classifier reads,\nwhere --start-from has no scores")
    add("--lengths", default="mixed", choices=["mixed", "sorted"],
        help="of the texts in a batch: as they come (batch statistics are those of the whole set), "
        "or similar\n"
        "(less padding; with batch norm, evaluation then sees other statistics than "
        "training)")
    add("--length-power", type=float, default=0.0,
        help="texts are drawn with a probability of their length to this power (0: each once an "
        "epoch); where test\n"
        "texts are whole sentences and training texts mostly short parts of "
        "them")
    add("--average", type=float, default=0.0,
        help="evaluate and export a running average of the weights with this decay a step (0.998: "
        "of the last 500)")
    add("--recalibrate", type=int, default=0,
        help="training batches, without dropout, from which batch norm takes its statistics before "
        "an evaluation\n"
        "and the export (dropout and --average make the running ones unfit)")
    add("--keep-statistics", action="store_true", help="batch norm keeps the statistics of "
        "--start-from, a model file; batches\nof texts of similar lengths then do no harm")
    add("--vector-lr", type=float, default=1.0, help="learning rate of the word vectors, as a part "
        "of --lr")
    add("--vectors", help="folder of word vectors for text read from official files")
    add("--gelu", default="erf", choices=["erf", "tanh"])
    add("--normalisation", default="batch", choices=["none", "instance", "batch"])
    add("--energy-norm", default="batch", choices=["none", "layer", "batch"])
    for kind, layer in rivals.KINDS.items():
        for name, value in layer.options.items():
            add("--" + name.replace("_", "-"), type=int, default=value, help=kind)
    add("--rho0", type=float, default=0.16)
    add("--gamma0", type=float, default=0.8)
    add("--bits", type=int, default=4, help="qama_v1: of the soft selection")
    add("--quadratic", type=float, default=1.0, help="qama_v1")
    add("--linear", type=float, default=1.0, help="qama_v1")
    add("--penalty", type=float, default=2.0, help="qama_v1")
    add("--sweeps", type=int, default=10, help="of the annealer while training")
    add("--restarts", type=int, default=1)
    add("--annealer", help="device of the solves while training, as a URI (default: cpu:); "
        "published: is the\nannealer of the paper's authors")
    add("--eval-sweeps", type=int, default=20, help="written into the model file and used to "
        "evaluate")
    add("--eval-restarts", type=int, default=1)
    add("--t-start", type=float, default=1.2)
    add("--t-end", type=float, default=0.1)
    add("--lr-schedule", default="cycle", choices=["cycle", "constant"],
        help="of the learning rate")
    add("--beta2", type=float, default=0.99, help="of Adam")
    add("--weight-decay", type=float, default=0.05)
    add("--label-smoothing", type=float, default=0.0)
    add("--warmup", type=float, default=0.15, help="part of the steps with a rising learning rate")
    add("--augment", action=argparse.BooleanOptionalAction, default=True)
    add("--shift", type=int, help="largest shift of the augmentation in pixels (default: the data "
        "set's)")
    add("--corrupt", default="", help="kinds of augment.py beside shift and mirror, "
        "comma-separated: "
        f"{','.join(augment.KINDS)}")
    add("--corrupt-share", type=float, default=1.0, help="part of the images that --corrupt may "
        "change")
    add("--patch-norm-eps", type=float, default=1e-5, help="added to the variance of a patch: what "
        "is far below\nits root is taken for noise")
    add("--clip", type=float, default=1.0, help="largest gradient norm; 0: any")
    add("--seed", type=int, default=1)
    add("--device", default="cpu", choices=["cpu", "cuda"])
    add("--products", default="float", choices=["float", "bf16"],
        help="matrix products of the forward and backward pass (half_products.py); evaluation is "
        "always in float")
    add("--threads", type=int, default=1, help="of the solver; on the CPU also of torch")
    add("--library", help="libqama.so (default: $QAMA_LIBRARY, build/release, the system's)")
    add("--time-limit", type=float, default=0, help="seconds for everything; 0: none")
    add("--limit-from", type=float, default=0, help="Unix time at which the limit began; 0: now")
    add("--max-steps", type=int, default=0, help="0: epochs decide")
    add("--eval-every", type=int, default=1, help="epochs between evaluations; 0: only at the end")
    add("--keep-best", action="store_true", help="also best.safetensors, of the evaluation with "
        "the best accuracy")
    add("--train-samples", type=int, default=0, help="first samples only (smoke tests); 0: all")
    add("--test-samples", type=int, default=0)
    add("--golden", type=int, default=4, help="test samples in golden.safetensors")
    add("--resume", action="store_true", help="go on from OUT/checkpoint.pt where there is one")
    add("--restart", action="store_true", help="begin anew where OUT holds a training already")
    add("--checkpoint-every", type=float, default=60, help="seconds between checkpoints within an "
        "epoch")
    add("--start-from", help="weights.pt of another run of the same shape, or any model file: "
        "every tensor of the same\n"
        "name and shape is taken, word vectors by their words")
    add("--teacher", help="model file of the same task, whose probabilities are part of what is to "
        "be learnt")
    add("--soft-labels", help="file of text_teacher.py, in place of --teacher and of the training "
        "texts")
    add("--teacher-weight", type=float, default=0.5,
        help="of the teacher's part of the loss; the labels have the rest")
    add("--teacher-temperature", type=float, default=2.0)
    add("--feature-weight", type=float, default=0.0,
        help="of what the blocks of --teacher put out, as a loss beside the others: the mean\n"
        "square of the difference, as a part of the teacher's")
    return parser


def parse(arguments=None, parser=None):
    """parser: one that has the options of make_parser(), too."""
    parser = parser or make_parser()
    recipe, _ = parser.parse_known_args(arguments)
    if recipe.recipe:
        parser.set_defaults(**RECIPES[recipe.recipe])
    options = parser.parse_args(arguments)
    for name, value in PRESETS[options.dataset].items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    for name in ("dropout", "word_dropout"):
        if getattr(options, name) is None:
            setattr(options, name, 0.0)
    unknown = set(filter(None, options.corrupt.split(","))) - set(augment.KINDS)
    if unknown:
        parser.error(f"--corrupt {','.join(sorted(unknown))}: expected of "
                     f"{', '.join(augment.KINDS)}")
    if not 0 <= options.corrupt_share <= 1:
        parser.error(f"--corrupt-share {options.corrupt_share}: expected 0 to 1")
    if options.corrupt_share < 1 and not options.corrupt:
        parser.error("--corrupt-share needs --corrupt")
    try:
        options.image = tuple(int(n) for n in options.image.split("x"))
        if len(options.image) != 3 or min(options.image) < 1:
            raise ValueError
    except ValueError:
        parser.error(f"--image {options.image}, expected HEIGHTxWIDTHxCHANNELS")
    for least, names in LEAST.items():
        for name in names:
            if (getattr(options, name) or 0) < least:
                parser.error(f"--{name.replace('_', '-')} {getattr(options, name)}, expected at "
                             f"least {least}")
    if options.resume and options.restart:
        parser.error("--resume and --restart exclude each other")
    if options.soft_labels and (options.teacher or not datasets.is_text(options.dataset)):
        parser.error("--soft-labels is for texts and without --teacher")
    if options.keep_statistics and (options.recalibrate or not
                                    (options.start_from or "").endswith(".safetensors")):
        parser.error("--keep-statistics needs --start-from MODEL.safetensors, without "
                     "--recalibrate")
    if options.feature_weight and not options.teacher:
        parser.error("--feature-weight needs --teacher")
    if options.ngrams and not datasets.is_text(options.dataset):
        parser.error("--ngrams is for texts")
    if options.truncate != "head" and (options.soft_labels or
                                       not datasets.is_text(options.dataset)):
        parser.error("--truncate is for texts and without --soft-labels, which hold cut ones")
    return options


def architecture(options, data, scores=None):
    """The architecture record of the model file. scores: ngrams.Scores, or None."""
    record = {}
    if datasets.is_text(options.dataset):
        width = 100 if data.vectors is None else data.vectors.shape[1]
        record.update(kind="text_transformer", sequence={"max_tokens": options.max_tokens,
                                                         "vocabulary": len(data.vocabulary),
                                                         "embedding": width})
        if options.neighbours:
            record["sequence"]["neighbours"] = options.neighbours
        if scores is not None:
            record["sequence"].update(ngrams=scores.longest, ngram_rows=len(scores.table))
    else:
        channels, height, width = data.train.shape[1:]
        record.update(kind="simple_vit", image={"height": height, "width": width,
                                                "channels": channels},
                      patch=options.patch, token_pool=[int(n)
                                                       for n in options.token_pool.split("x")])
        if options.patch_norm_eps != 1e-5:
            record["patch_norm_eps"] = options.patch_norm_eps
    record.update(dim=options.dim, depth=options.depth, heads=options.heads,
                  dim_head=options.dim_head,
                  mlp=options.mlp, classes=len(data.labels), gelu=options.gelu, norm_eps=1e-5,
                  pool=options.pool, attention=attention_record(options))
    return record


def attention_record(options):
    """`attention` of the architecture record."""
    if options.attention == "softmax":
        return {"kind": "softmax", **({} if options.projection else {"projection": False})}
    if options.attention in rivals.KINDS:
        layer = rivals.KINDS[options.attention]
        return {"kind": options.attention,
                **{name: getattr(options, name) for name in layer.options}}
    if options.attention == "qama":
        numbers = {"normalisation": options.normalisation, "energy_norm": options.energy_norm,
                   "rho0": options.rho0, "gamma0": options.gamma0}
    elif options.attention in RULES:
        numbers = {"rho0": options.rho0, "gamma0": options.gamma0}
    else:
        numbers = {name: getattr(options, name) for name in ("bits", "quadratic", "linear",
                                                             "penalty")}
    return {"kind": options.attention, **numbers,
            "anneal": {"sweeps": options.eval_sweeps, "restarts": options.eval_restarts,
                       "t_start": options.t_start, "t_end": options.t_end, "seed": 1}}


@dataclass(frozen=True)
class Origin:
    """What a run has from a model that it converts, in place of the options and the data set."""
    record: dict  # of the architecture
    preprocess: dict
    labels: list
    vocabulary: list | None

    def check(self, data):
        """ValueError unless `data` is of the model's task."""
        pairs = {"labels": (list(data.labels), list(self.labels))}
        if "image" in self.record:
            shape = [self.record["image"][key] for key in ("channels", "height", "width")]
            pairs["images"] = list(data.train.shape[1:]), shape
        else:
            record = datasets.preprocess_record(data.name, self.preprocess["truncate"])
            pairs["texts"] = record, self.preprocess
        for what, (got, expected) in pairs.items():
            if got != expected:
                raise ValueError(f"{what} of the data set: {got}, expected those of the model, "
                                 f"{expected}")


def preprocessing(options):
    """The preprocess record of the model file."""
    record = datasets.preprocess_record(options.dataset, options.truncate)
    if options.pixels == "half" and record["kind"] == "image":
        record.update(mean=[0.5] * len(record["mean"]), std=[0.5] * len(record["std"]))
    return record


class Images:
    """Batches of an image set that lies on the device as bytes."""

    def __init__(self, options, data, device, preprocess):
        self.preprocess = preprocess
        self.parts = {part: (torch.from_numpy(np.array(x)).to(device),
                             torch.from_numpy(y).to(device))
                      for part, x, y in (("train", data.train, data.train_labels),
                                         ("test", data.test, data.test_labels))}
        self.policy = None
        if options.augment:
            shift, mirror = augment.POLICIES[options.dataset]
            self.policy = (shift if options.shift is None else options.shift, mirror)
        self.corrupt = options.corrupt.split(",") if options.corrupt else []
        self.corrupt_share = options.corrupt_share
        self.numbers = {}

    def prepare(self, patch):
        """Without augmentation every epoch asks for the same: images become what `patch`, a model's
        first layer, takes (Patch.numbers)."""
        values = sum(images.numel() for images, _ in self.parts.values())
        if self.policy or self.corrupt or not patch.norms or values > MOST_VALUES:
            return
        for part, (images, _) in self.parts.items():
            self.numbers[part] = torch.cat([patch.numbers(datasets.normalise(some, self.preprocess))
                                            for some in images.split(1000)])

    def epoch_order(self, generator, batch):
        count = len(self.parts["train"][1])
        return torch.randperm(count, generator=generator)[:count // batch * batch].view(-1, batch)

    def train(self, chosen):
        images, labels = self.parts["train"]
        if self.numbers:
            return (self.numbers["train"][chosen],), labels[chosen]
        images = images[chosen]
        if self.policy:
            images = augment.shift_and_mirror(images, *self.policy)
        if self.corrupt:
            images = augment.apply(images, self.corrupt, self.corrupt_share)
        return (datasets.normalise(images, self.preprocess),), labels[chosen]

    def test(self, batch):
        images, labels = self.parts["test"]
        for begin in range(0, len(labels), batch):
            part = slice(begin, begin + batch)
            inputs = (self.numbers["test"][part] if self.numbers else
                      datasets.normalise(images[part], self.preprocess))
            yield (inputs,), labels[part]


class Texts:
    """Batches of texts, padded to a multiple of LENGTH_STEP. scores: ngrams.Scores, or None."""

    def __init__(self, options, data, device, scores=None):
        self.parts, self.device, self.scores = {}, device, None
        if scores is not None and scores.of_texts is not None:
            self.scores = torch.from_numpy(scores.of(data.train, options.max_tokens)).to(device)
        for part, x, y in (("train", data.train, data.train_labels), ("test", data.test,
                                                                      data.test_labels)):
            tokens, lengths = datasets.padded(x, options.max_tokens)
            self.parts[part] = (torch.from_numpy(tokens).to(device), torch.from_numpy(lengths),
                                torch.from_numpy(y).to(device))
        self.max_tokens, self.word_dropout = options.max_tokens, options.word_dropout
        self.sorted, self.length_power = options.lengths == "sorted", options.length_power

    def epoch_order(self, generator, batch):
        lengths = self.parts["train"][1]
        if self.length_power:
            chosen = torch.multinomial(lengths.float() ** self.length_power, len(lengths), True,
                                       generator=generator)
        else:
            chosen = torch.randperm(len(lengths), generator=generator)
        if not self.sorted:
            return chosen[:len(chosen) // batch * batch].view(-1, batch)
        # Equal lengths in random order, then batches in random order.
        noisy = lengths[chosen].float() + torch.rand(len(chosen), generator=generator) * 8
        rows = chosen[noisy.argsort()][:len(chosen) // batch * batch].view(-1, batch)
        return rows[torch.randperm(len(rows), generator=generator)]

    def select(self, part, chosen):
        tokens, lengths, labels = self.parts[part]
        lengths = lengths[chosen.cpu()]
        width = min(-(-int(lengths.max()) // LENGTH_STEP) * LENGTH_STEP, self.max_tokens)
        return tokens[chosen, :width], lengths.to(self.device), labels[chosen]

    def train(self, chosen):
        tokens, lengths, labels = self.select("train", chosen)
        if self.word_dropout:
            # Each text has its own rate, so that whole texts, which evaluation sees, are no
            # strangers.
            rate_of_text = self.word_dropout * torch.rand(len(tokens), 1, device=self.device)
            drop = (torch.rand(tokens.shape, device=self.device) < rate_of_text) & (tokens > 0)
            tokens = tokens.masked_fill(drop, 1)
        if self.scores is None:
            return (tokens, lengths), labels
        scores = self.scores[chosen, :tokens.shape[1]].float()
        if self.word_dropout:
            scores = scores.masked_fill(drop, 0.0)
        return (tokens, lengths, scores), labels

    def test(self, batch):
        order = self.parts["test"][1].argsort()
        for begin in range(0, len(order), batch):
            tokens, lengths, labels = self.select("test",
                                                  order[begin:begin + batch].to(self.device))
            yield (tokens, lengths), labels


def evaluate(model, batches, batch=250):
    """(accuracy, mean loss) on the test set, eval mode: what the exported model computes."""
    model.eval()
    right, loss, count = 0.0, 0.0, 0
    with torch.no_grad():
        for inputs, labels in batches.test(batch):
            if command.stop.signal:
                raise command.Stopped("during an evaluation")
            logits = model(*inputs)
            loss += functional.cross_entropy(logits, labels, reduction="sum").double()
            right += (logits.argmax(1) == labels).sum()
            count += len(labels)
    model.train()
    return float(right) / count, float(loss) / count


def rate(progress, warmup):
    """One cycle: cosine up for `warmup` of the way, cosine down to zero; both as a part of the
    peak."""
    if progress < warmup:
        return 0.05 + 0.95 * 0.5 * (1 - math.cos(math.pi * progress / warmup))
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


def make_optimizer(model, options):
    """AdamW; vectors (biases, norms, affine numbers) and w_eps are not decayed."""
    vectors = [p for n, p in model.named_parameters() if n == "embed.weight"]
    decayed = [p for n, p in model.named_parameters() if p.dim() > 1 and not n.endswith("w_eps")
               and n != "embed.weight"]
    ids = {id(p) for p in decayed + vectors}
    rest = [p for p in model.parameters() if id(p) not in ids]
    extra = {"fused" if options.device == "cuda" else "foreach": True}
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": rest,
                                                                          "weight_decay": 0.0}]
    if vectors:
        groups.append({"params": vectors, "weight_decay": 0.0, "part": options.vector_lr})
    return torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, options.beta2), **extra)


def take_over(model, path, vocabulary, ngram_start=1.0):
    """Fills `model` from a model file of another shape or task: tensors of the same name and shape,
    and the vectors of the words (vocabulary: list, or None without text) that both know. Scores of
    n-grams that the other has not begin as --ngram-start says. Returns the names of the tensors,
    and how many words were taken.
    """
    other, _, words = export.import_model(path)
    found, state = other.state_dict(), model.state_dict()
    taken, known = set(), 0
    for name, value in state.items():
        if name == "embed.weight" and vocabulary is not None and words is not None:
            rows = {word: row for row, word in enumerate(words)}
            pairs = [(row, rows[word]) for row, word in enumerate(vocabulary) if word in rows]
            here, there = (torch.tensor(side) for side in zip(*pairs))
            value[here] = found[name][there]
            known = len(pairs)
        elif name != "embed.ngrams" and name in found and found[name].shape == value.shape:
            value.copy_(found[name])
            taken.add(name)
        elif (name == "embed.proj.weight" and "embed.ngrams" in state and name in found
              and value.shape == (len(found[name]), found[name].shape[1] + 1)):
            direction = found["norm.weight"] * (found["head.weight"][1] - found["head.weight"][0])
            direction = direction - direction.mean()  # of which no norm leaves anything
            value[:, :-1] = found[name]
            value[:, -1] = ngram_start * direction / direction.norm()
            taken.add(name)
    return taken, known


class Teacher:
    """Hinton et al. 2015: part of the loss is the divergence from softened probabilities, those of
    a trained model or those of a file (--soft-labels), where samples may have no label; then they
    are all that there is to learn.
    """

    def __init__(self, options, device, probabilities=None):
        self.model = self.solver = None
        self.path, self.feature_weight = options.teacher, options.feature_weight
        if probabilities is None:
            self.model, self.metadata, self.vocabulary = export.import_model(options.teacher)
            self.solver = export.anneal_solver(self.model.record, options.threads, options.library)
            self.model.set_solver(self.solver)
            self.model.to(device)
        else:
            self.logits = probabilities.clamp(min=1e-4).log().to(device)
        self.weight, self.temperature = options.teacher_weight, options.teacher_temperature

    def check(self, record, preprocess, data):
        """ValueError unless the inputs and labels of a model with these records, trained on `data`,
        are the teacher's, and its features where they count."""
        if self.model is None:
            return
        own, pairs = self.model.record, {"labels": (self.metadata["labels"], list(data.labels))}
        pairs["inputs"] = own["kind"], record["kind"]
        pairs["images"] = own.get("image"), record.get("image")
        for key in ("mean", "std", "scale", "tokeniser", "truncate"):
            pairs[key] = self.metadata["preprocess"].get(key), preprocess.get(key)
        for what, (got, expected) in pairs.items():
            if got != expected:
                raise ValueError(f"{self.path}: a teacher with {what} {got}, expected {expected} "
                                 "as in training")
        if "sequence" in record:
            most, needed = (one["sequence"]["max_tokens"] for one in (own, record))
            if self.vocabulary != data.vocabulary or most < needed:
                raise ValueError(f"{self.path}: a teacher with {len(self.vocabulary)} words and "
                                 f"{most} tokens, expected the {len(data.vocabulary)} words of the "
                                 f"training and {needed} tokens or more")
        for key in ("dim", "depth") if self.feature_weight else ():
            if record[key] != self.model.record[key]:
                raise ValueError(f"--feature-weight: a teacher of {key} {self.model.record[key]}, "
                                 f"expected {record[key]} as in training")

    def loss(self, inputs, chosen, logits, of_labels, trace):
        """Mean loss of the samples `chosen`; of_labels: cross entropy from the label of each, 0
        where there is none; trace: what the student's blocks put out, None without
        --feature-weight."""
        own = None if trace is None else {}
        with torch.no_grad():
            known = (self.logits[chosen] if self.model is None else
                     self.model(*inputs, trace=own))
            target = (known / self.temperature).softmax(1)
        # The gradients of softened logits are smaller by the square of the temperature.
        distance = functional.kl_div((logits / self.temperature).log_softmax(1), target,
                                     reduction="batchmean")
        loss = (1 - self.weight) * of_labels.mean() + self.weight * self.temperature ** 2 * distance
        return loss if trace is None else loss + self.feature_weight * self.distance(inputs, trace,
                                                                                     own)

    def distance(self, inputs, trace, own):
        """Mean over the blocks of the squared difference of what they put out, as a part of the
        squared features of the teacher."""
        total, depth = 0.0, self.model.depth
        for block in range(depth):
            here, there = (side[f"block.{block}.out"] for side in (trace, own))
            if len(inputs) > 1:  # texts: tokens that are there
                real = torch.arange(here.shape[1])[None] < inputs[1].cpu()[:, None]
                here, there = (side[real.to(side.device)] for side in (here, there))
            total = total + (here - there).square().sum() / there.square().sum()
        return total / depth


def check_folder(out, options):
    """ValueError where a training lies in `out` and nobody says what becomes of it."""
    model, saved, log = (out / name for name in ("model.safetensors", "checkpoint.pt", "log.jsonl"))
    if options.restart:
        saved.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
    elif options.resume:
        return
    elif is_finished(out):
        raise ValueError(f"{out} holds a finished training ({model.name}): --restart begins anew, "
                         "--resume goes on if there are more epochs now, another --out keeps it")
    elif saved.exists():
        raise ValueError(f"{out} holds a training that was stopped ({saved.name}): --resume goes "
                         "on, --restart begins anew")


def is_finished(out):
    """Whether the training in the folder `out` wrote its model, and did not go on since."""
    model, saved = out / "model.safetensors", out / "checkpoint.pt"
    return model.exists() and not (saved.exists()
                                   and saved.stat().st_mtime > model.stat().st_mtime)


class Progress:
    """Where a training is and how long it takes: a line that is written over on a terminal; a line
    after five seconds and every half minute elsewhere. On standard error."""

    def __init__(self, run):
        self.run, self.terminal = run, sys.stderr.isatty()
        self.began, self.first = time.monotonic(), run.step
        self.last, self.drawn = self.began, False
        self.pause = 0.5 if self.terminal else 5

    def left(self):
        """Seconds until all steps are done, at the pace so far."""
        done = max(1, self.run.step - self.first)
        return (time.monotonic() - self.began) / done * (self.run.total - self.run.step)

    def update(self):
        run, now = self.run, time.monotonic()
        if now - self.last < self.pause:
            return
        self.last, self.pause = now, 0.5 if self.terminal else 30
        line = (f"{run.out.name}: epoch {1 + (run.step - 1) // run.epoch_steps} of "
                f"{math.ceil(run.total / run.epoch_steps)}, step {run.step} of {run.total}, "
                f"{duration(self.left())} left")
        self.drawn = self.terminal
        print(f"\r\033[K{line}" if self.terminal else line, end="" if self.terminal else "\n",
              file=sys.stderr, flush=True)

    def clear(self):
        if self.drawn:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self.drawn = False


def duration(seconds):
    """Some seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Run:
    """One training run; everything that a checkpoint restores."""

    def __init__(self, options, origin=None):
        """origin: that of a model that is converted (convert.py)."""
        late = time.time() - options.limit_from if options.limit_from else 0.0
        self.began = time.monotonic() - late
        self.options, self.device = options, torch.device(options.device)
        self.out = Path(options.out)
        check_folder(self.out, options)
        self.out.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(options.threads if options.device == "cpu" else 1)
        torch.manual_seed(options.seed)
        self.data = datasets.load(options.dataset, options.data, max_tokens=options.max_tokens,
                                  vocabulary=origin.vocabulary if origin else None,
                                  vocabulary_size=options.vocabulary, vectors=options.vectors,
                                  pictures={"shape": options.image, "patch": options.patch,
                                            "fit": options.fit, "library": options.library,
                                            **(export.pictures_of(origin.record, origin.preprocess)
                                               if origin else {})},
                                  truncate=options.truncate)
        for part, limit in (("train", options.train_samples), ("test", options.test_samples)):
            if limit:
                order = np.random.default_rng(1).permutation(len(getattr(self.data, part)))[:limit]
                rows = getattr(self.data, part)
                setattr(self.data, part,
                        [rows[i] for i in order] if isinstance(rows, list) else rows[order])
                setattr(self.data, part + "_labels", getattr(self.data, part + "_labels")[order])
        probabilities = None
        if options.soft_labels:
            self.data.train, self.data.train_labels, probabilities = text_teacher.read(
                options.soft_labels, self.data.vocabulary, options.max_tokens)
        scores = (ngrams.Scores(options.ngrams, self.data, options.truncate)
                  if options.ngrams else None)
        self.preprocess = origin.preprocess if origin else preprocessing(options)
        self.batches = (Texts(options, self.data, self.device, scores)
                        if datasets.is_text(options.dataset) else
                        Images(options, self.data, self.device, self.preprocess))
        if origin:
            origin.check(self.data)
        self.model = build(origin.record if origin else architecture(options, self.data, scores),
                           options.dropout)
        if datasets.is_text(options.dataset) and not origin:
            datasets.fill_vectors(self.model.embed.weight, self.data)
        if scores is not None:
            self.model.embed.ngrams.copy_(torch.from_numpy(scores.table)[:, None])
        self.check_runs()
        self.model.to(self.device)
        self.optimizer = make_optimizer(self.model, options)
        self.solvers = None
        if options.attention in (*RULES, "qama_v1"):
            training = Solver(seed=options.seed, sweeps=options.sweeps, restarts=options.restarts,
                              t_start=options.t_start, t_end=options.t_end, threads=options.threads,
                              uri=options.annealer, path=options.library)
            evaluation = export.anneal_solver(self.model.record, options.threads, options.library)
            self.solvers = {"train": training, "eval": evaluation}
            self.model.set_solver(training)
        steps = len(self.batches.epoch_order(torch.Generator().manual_seed(1), options.batch))
        if steps == 0:
            raise ValueError(f"{len(self.data.train)} training samples, expected at least one "
                             "batch of "
                             f"{options.batch}")
        self.epoch_steps = steps
        self.planned = options.max_steps or steps * options.epochs
        self.step, self.total, self.spent = 0, self.planned, 0.0
        self.progress, self.saved_at = None, None
        self.best, self.evaluated = None, 0  # the step of the last evaluation
        self.log_file = open(self.out / "log.jsonl", "a", encoding="utf-8")
        self.average = None
        if options.start_from and options.start_from.endswith(".safetensors"):
            taken, known = take_over(self.model, options.start_from, self.data.vocabulary,
                                     options.ngram_start)
            if not options.keep_statistics:
                self.unfold(taken)
            for norm in (m for m in self.model.modules() if isinstance(m, HeadNorm)):
                norm.fixed = options.keep_statistics
            self.log(event="taken over", tensors=len(taken), words=known)
        elif options.start_from:
            self.model.load_state_dict(torch.load(options.start_from, map_location=self.device))
        self.teacher = None
        if options.teacher or options.soft_labels:
            self.teacher = Teacher(options, self.device, probabilities)
            self.teacher.check(self.model.record, self.preprocess, self.data)
        elif isinstance(self.model, SimpleViT) and "class_tokens" not in self.model.record:
            self.batches.prepare(self.model.patch)
        if options.average:
            self.average = {name: value.clone() for name, value in self.model.state_dict().items()}
        if options.resume and (self.out / "checkpoint.pt").exists():
            self.restore()

    def check_runs(self):
        """ValueError where the runtime refuses such a model: better now than behind the training.
        Without libqama, which softmax does not need, nobody can tell."""
        path = self.options.library or library.find()
        try:
            close = library.load(path).qama_model_close
        except OSError:
            return
        close(export.opened(self.model, self.preprocess, self.data.labels, self.data.vocabulary,
                            path))

    def elapsed(self):
        return time.monotonic() - self.began

    def log(self, **values):
        line = json.dumps({**values, "step": self.step,
                           "epoch": round(self.step / self.epoch_steps, 3),
                           "seconds": round(self.spent + self.elapsed(), 1)})
        if self.progress:
            self.progress.clear()
        self.log_file.write(line + "\n")
        self.log_file.flush()
        print(self.out.name, line, flush=True)

    def checkpoint(self):
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                 "step": self.step, "total": self.total, "spent": self.spent + self.elapsed(),
                 "random": torch.get_rng_state(), "calls": self.solvers["train"].calls
                 if self.solvers else 0,
                 "average": self.average, "best": self.best, "evaluated": self.evaluated}
        if self.teacher and self.teacher.solver:
            state["teacher_calls"] = self.teacher.solver.calls
        if self.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state()
        command.write_checkpoint(self.out / "checkpoint.pt", state)
        self.saved_at = time.monotonic()

    def keep(self):
        """Within an epoch: a checkpoint from time to time, one in the first epoch, and one when the
        user stops the training."""
        if command.stop.signal:
            self.checkpoint()
            raise command.Stopped(f"at step {self.step} of {self.total}")
        early = self.step == max(1, min(self.epoch_steps // 2, 200))
        due = time.monotonic() - (self.saved_at or self.began) > self.options.checkpoint_every
        if early or due:
            self.checkpoint()

    def restore(self):
        state = torch.load(self.out / "checkpoint.pt", map_location="cpu")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.spent = state["step"], state["spent"]
        self.total = self.planned
        if self.average is not None:
            self.average = state["average"]
        self.best = state.get("best")
        self.evaluated = state.get("evaluated", self.step)
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and "random_cuda" in state:
            torch.cuda.set_rng_state(state["random_cuda"])
        if self.solvers:
            self.solvers["train"].calls = state["calls"]
        if self.teacher and self.teacher.solver:
            self.teacher.solver.calls = state.get("teacher_calls", 0)
        self.log(event="resumed")

    def follow_average(self):
        """Moves the average towards the weights; early on with a shorter memory, so that it forgets
        the start."""
        decay = min(self.options.average, self.step / (self.step + 10))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - decay)

    def unfold(self, taken):
        """A model file holds folded batch statistics: finds them again on training batches. Norms
        that are not among the tensors `taken` from the file stay as they began."""
        norms = [m for name, m in self.model.named_modules() if isinstance(m, HeadNorm)
                 and m.kind == "batch" and f"{name}.running_var" in taken]
        if not norms:
            return
        for norm in norms:
            norm.unfolding = []
        self.model.eval()
        order = self.batches.epoch_order(torch.Generator().manual_seed(self.options.seed),
                                         self.options.batch)
        for chosen in order[:30]:
            inputs, _ = self.batches.train(chosen.to(self.device))
            with torch.no_grad():
                self.model(*inputs)
        for norm in norms:
            norm.unfold()
        self.model.train()

    def recalibrate(self):
        """Batch norm's running statistics become the means over some training batches as evaluation
        sees them."""
        norms = [m for m in self.model.modules() if isinstance(m, HeadNorm) and m.kind == "batch"]
        self.model.eval()
        momentum, word_dropout = [m.momentum for m in norms], getattr(self.batches, "word_dropout",
                                                                      0.0)
        self.batches.word_dropout = 0.0
        order = self.batches.epoch_order(torch.Generator().manual_seed(self.options.seed),
                                         self.options.batch)
        for index, chosen in enumerate(order[:self.options.recalibrate]):
            for norm in norms:
                norm.training, norm.momentum = True, 1.0 / (index + 1)
            inputs, _ = self.batches.train(chosen.to(self.device))
            with torch.no_grad():
                self.model(*inputs)
        for norm, value in zip(norms, momentum):
            norm.training, norm.momentum = False, value
        self.batches.word_dropout = word_dropout
        self.model.train()

    def evaluate(self, last=False):
        """(accuracy, loss); the model then is as before, or after the last one as it was
        evaluated."""
        if self.solvers:
            self.solvers["eval"].reset()
            self.model.set_solver(self.solvers["eval"])
        trained = None
        if self.average is not None or self.options.recalibrate:
            trained = {name: value.clone() for name, value in self.model.state_dict().items()}
        if self.average is not None:
            self.model.load_state_dict(self.average)
        if self.options.recalibrate:
            self.recalibrate()
        result = evaluate(self.model, self.batches)
        if self.options.keep_best and (self.best is None or result[0] > self.best["accuracy"]):
            self.best = {"accuracy": result[0], "steps": self.step,
                         "model": {name: value.cpu().clone()
                                   for name, value in self.model.state_dict().items()}}
        if trained is not None and not last:
            self.model.load_state_dict(trained)
        if self.solvers:
            self.model.set_solver(self.solvers["train"])
        return result

    def evaluate_epoch(self, done):
        """Evaluates the model behind `done` epochs, if that is asked for and was not done before
        the training was stopped."""
        every = self.options.eval_every
        if done and every and done % every == 0 and self.evaluated != self.step:
            accuracy, loss = self.evaluate()
            self.evaluated = self.step
            self.log(accuracy=round(accuracy, 4), test_loss=round(loss, 5))
            self.checkpoint()

    def train(self):
        options = self.options
        # Time kept back for the last evaluation, the export and slower moments.
        reserve = 0.06 * options.time_limit + 8
        pace_from, paced_steps, paced_seconds = None, 0, 0.0
        running, counted = torch.zeros((), device=self.device), 0
        self.model.train()
        self.progress = Progress(self)
        while self.step < self.total:
            epoch, first = divmod(self.step, self.epoch_steps)
            if first == 0:
                self.evaluate_epoch(epoch)
            generator = torch.Generator().manual_seed(options.seed * 100003 + epoch)
            order = self.batches.epoch_order(generator, options.batch).to(self.device)
            for chosen in order[first:]:
                if self.step >= self.total:
                    break
                now = self.elapsed()
                if pace_from is not None:
                    paced_seconds += now - pace_from
                    paced_steps += 1
                pace_from = now if paced_steps or self.step > 4 else None
                if options.time_limit and paced_steps >= 20:
                    # Also counts evaluations and checkpoints, because pace_from is not reset for
                    # them.
                    left = (options.time_limit - reserve - now) * paced_steps / paced_seconds
                    self.total = min(self.planned, self.step + max(int(left), 0))
                    if self.step >= self.total:
                        break
                lr = options.lr
                if options.lr_schedule == "cycle":
                    lr *= rate(self.step / self.total, options.warmup)
                for group in self.optimizer.param_groups:
                    group["lr"] = lr * group.get("part", 1.0)
                inputs, labels = self.batches.train(chosen)
                trace = {} if options.feature_weight else None
                with half_products() if options.products == "bf16" else nullcontext():
                    logits = self.model(*inputs, trace=trace)
                    loss = functional.cross_entropy(logits, labels,
                                                    label_smoothing=options.label_smoothing,
                                                    ignore_index=-1, reduction="none")
                loss = (loss.mean() if self.teacher is None else
                        self.teacher.loss(inputs, chosen, logits, loss, trace))
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                if options.clip:
                    torch.nn.utils.clip_grad_norm_(self.model.parameters(), options.clip)
                self.optimizer.step()
                running += loss.detach()
                counted += 1
                self.step += 1
                if self.average is not None:
                    self.follow_average()
                if self.step % 100 == 0:
                    self.log(loss=round(float(running) / counted, 5), lr=round(lr, 7),
                             total=self.total)
                    running.zero_()
                    counted = 0
                self.progress.update()
                self.keep()
        self.progress.clear()
        self.checkpoint()

    def finish(self):
        """Last evaluation, weights, model file, goldens."""
        accuracy, loss = self.evaluate(last=True)
        self.log(accuracy=round(accuracy, 4), test_loss=round(loss, 5), event="finished")
        command.write_checkpoint(self.out / "weights.pt", self.model.state_dict())
        self.model.cpu().eval()
        if self.best:
            last = {name: value.clone() for name, value in self.model.state_dict().items()}
            self.model.load_state_dict(self.best["model"])
            self.log(best=round(self.best["accuracy"], 4), event="best",
                     best_epoch=round(self.best["steps"] / self.epoch_steps, 3))
            self.write("best.safetensors", self.best["accuracy"], self.best["steps"])
            self.model.load_state_dict(last)
        preprocess, digest = self.write("model.safetensors", accuracy, self.step)
        if self.solvers:
            self.solvers["eval"].reset()
            self.model.set_solver(self.solvers["eval"])
        inputs, labels = export.golden_inputs(self.model, preprocess, self.data,
                                              self.options.golden)
        export.write_golden(self.model, self.out / "golden.safetensors", digest, inputs, labels)
        return accuracy

    def write(self, name, accuracy, steps):
        """The model file `name` of the weights as they are; its preprocess record, its SHA-256."""
        skipped = ("data", "out", "library", "vectors", "start_from", "teacher", "soft_labels",
                   "ngrams", "resume", "restart", "checkpoint_every", "golden", "time_limit",
                   "limit_from")
        if not self.options.ngrams:
            skipped += ("ngram_start",)
        if self.teacher is None:
            skipped += ("teacher_weight", "teacher_temperature")
        if not self.options.feature_weight:
            skipped += ("feature_weight",)
        # Options of attention kinds that this model has not would only mislead.
        for kind, layer in rivals.KINDS.items():
            if kind != self.options.attention:
                skipped += tuple(layer.options)
        if self.options.attention != "qama_v1":
            skipped += ("bits", "quadratic", "linear", "penalty")
        training = {"test_accuracy": accuracy, "test_samples": len(self.data.test_labels),
                    "steps": steps, "epochs": round(steps / self.epoch_steps, 2),
                    "torch": torch.__version__, "seconds": round(self.spent + self.elapsed()),
                    "options": {k: v for k, v in vars(self.options).items() if k not in skipped}}
        for start in ("start_from", "teacher", "soft_labels", "ngrams"):
            if getattr(self.options, start):
                # A run's name, or a model file's: where they lie is this machine's business.
                path = Path(getattr(self.options, start))
                training[start] = (path.parent.name if path.stem in ("model", "weights") else
                                   path.stem)
        return self.preprocess, export.export_model(self.model, self.out / name, self.preprocess,
                                                    self.data.labels, training,
                                                    self.data.vocabulary)


def keep_memory():
    """Tells glibc to keep what is freed: a step's tensors are those of the step before, and fresh
    pages for each cost a sixth of the time [measured]. Other libraries have no such call."""
    settings = {-1: 2 ** 30, -3: 2 ** 30}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    for parameter, value in settings.items():
        if mallopt:
            mallopt(parameter, value)


def go(options, origin=None):
    """Trains from begin to end; a signal ends it with a checkpoint."""
    keep_memory()
    run = Run(options, origin)
    command.stop.watch()
    parameters = sum(p.numel() for p in run.model.parameters())
    run.log(event="started", parameters=parameters, planned=run.planned,
            torch=torch.__version__, options=vars(run.options))
    try:
        run.train()
        run.finish()
    except command.Stopped as stopped:
        if run.saved_at is None:
            raise command.Stopped("before there was anything to keep") from stopped
        raise command.Stopped(f"{stopped}; {run.out}/checkpoint.pt is kept, and the same command "
                              "with --resume goes on from there") from stopped
    finally:
        run.log_file.close()


def main():
    go(parse())


if __name__ == "__main__":
    command.run(main)
