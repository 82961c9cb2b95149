"""Soft labels for texts: probabilities of an ensemble of convolutional networks, and of models that
are there already, on the training texts and on sentences that have no labels.

    python3 -m qama_export.text_teacher sst2 --data packs --sentences aclImdb --models
    sst2-softmax.safetensors --out soft.npz python3 -m qama_export.train --dataset sst2
    --soft-labels soft.npz ...

The networks are Kim's (2014): filters over 1 to 5 words, the maximum over a text, dropout. They
only teach; no model file contains one. --sentences: folder of the official IMDB files, whose
training reviews are cut into sentences; every other network also learns each sentence's review
label with a second output layer, so that the networks differ. --models have half of the word,
because kinds that differ make different mistakes: SST-2's test loss is 0.38 with one such network,
0.37 with six, 0.39 with the softmax model and 0.35 with one of each. The data set's test texts are
only looked at to print this.
"""
import argparse
import re
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from . import command, datasets, export, tokeniser

WIDTHS = (1, 2, 3, 4, 5)  # words that a filter sees
BATCH = 64
SHORTEST, LONGEST = 4, 45  # tokens of a sentence
REVIEW_WEIGHT = 0.5  # of the review labels' loss
# a text's weight in the loss is its length to this power: test texts are whole sentences
LENGTH_POWER = 0.3


def read_sentences(folder, index, kind):
    """(lists of token ids, labels of their reviews) of IMDB's training reviews. kind: the
    tokeniser's."""
    data = datasets.LOADERS["imdb"](Path(folder))
    found = [(tokeniser.encode(sentence, index, LONGEST + 1, kind), label)
             for review, label in zip(data.train, data.train_labels)
             for sentence in re.split(r"(?<=[.!?])\s+", review.replace("<br />", " "))]
    found = [(ids, label) for ids, label in found if SHORTEST <= len(ids) <= LONGEST]
    return [np.array(ids, np.int32) for ids, _ in found], np.array([label for _, label in found],
                                                                   np.int64)


class Convolutions(nn.Module):
    """tokens int [B,T] (0 = padding) -> logits [B,classes], of the data set's task or of the
    review's label."""

    def __init__(self, vectors, filters, classes):
        super().__init__()
        self.embed = nn.Embedding.from_pretrained(vectors.clone(), freeze=False, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(vectors.shape[1], filters, width, padding=width // 2)
                                   for width in WIDTHS)
        self.head = nn.Linear(filters * len(WIDTHS), classes)
        self.review = nn.Linear(filters * len(WIDTHS), classes)

    def forward(self, tokens, review=False):
        x = self.embed(tokens)
        if self.training:
            x = x * (torch.rand(tokens.shape) > 0.1)[..., None]
        x = functional.dropout(x, 0.2, self.training).transpose(1, 2)
        x = torch.cat([functional.relu(conv(x)).amax(2) for conv in self.convs], 1)
        return (self.review if review else self.head)(functional.dropout(x, 0.5, self.training))


def batch_of(texts, chosen):
    """int64 [B,T], T at least the widest filter."""
    width = max(max(WIDTHS), max(len(texts[i]) for i in chosen))
    return torch.from_numpy(datasets.padded([texts[i] for i in chosen], width)[0]).long()


def endless(texts, random):
    """Batches of indices, similar lengths together, epoch after epoch."""
    lengths = np.array([len(text) for text in texts])
    while True:
        order = np.argsort(lengths + random.random(len(texts)) * 3)
        rows = order[:len(order) // BATCH * BATCH].reshape(-1, BATCH)
        yield from random.permutation(rows)


def train(data, vectors, reviews, options, seed):
    """One network; reviews: (texts, labels) to learn beside the task, or None."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = Convolutions(vectors, options.filters, len(data.labels))
    vector, rest = list(model.embed.parameters()), [p for n, p in model.named_parameters()
                                                    if "embed" not in n]
    optimizer = torch.optim.AdamW([{"params": vector, "part": 0.3, "weight_decay": 0.0},
                                   {"params": rest, "part": 1.0, "weight_decay": 0.02}])
    steps = max(1, int(len(data.train) // BATCH * options.epochs))
    labels = torch.from_numpy(data.train_labels)
    batches, others = endless(data.train, random), endless(reviews[0], random) if reviews else None
    for step in range(steps):
        part = min(step / 500, 0.5 + 0.5 * np.cos(np.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * part * group["part"]
        chosen = next(batches)
        weight = torch.tensor([len(data.train[i]) for i in chosen]).float() ** LENGTH_POWER
        each = functional.cross_entropy(model(batch_of(data.train, chosen)), labels[chosen],
                                        reduction="none")
        loss = (each * weight).sum() / weight.sum()
        if reviews:
            chosen = next(others)
            logits = model(batch_of(reviews[0], chosen), review=True)
            marks = torch.from_numpy(reviews[1][chosen])
            loss = loss + REVIEW_WEIGHT * functional.cross_entropy(logits, marks)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return model.eval()


def probabilities(logits_of, texts):
    """float32 [len(texts), classes]; logits_of: tokens [B,T] and lengths [B] -> logits."""
    order = np.argsort([len(text) for text in texts])
    found = [None] * len(texts)
    with torch.no_grad():
        for begin in range(0, len(order), 256):
            chosen = order[begin:begin + 256]
            lengths = torch.tensor([len(texts[i]) for i in chosen])
            for i, row in zip(chosen, logits_of(batch_of(texts, chosen), lengths).softmax(1)):
                found[i] = row
    return torch.stack(found)


def load_model(path, vocabulary, options):
    """A model file of the same words, as logits_of."""
    model, _, words = export.import_model(path)
    if words != vocabulary:
        raise ValueError(f"{path}: its vocabulary of {len(words or [])} words is not the data "
                         f"set's of {len(vocabulary)}")
    model.set_solver(export.anneal_solver(model.record, options.threads, options.library))
    return model.eval()


def write(path, vocabulary, texts, labels, soft):
    """texts: lists of ids; labels: int64, -1 where there is none; soft: probabilities [n,
    classes]."""
    tokens, lengths = datasets.pack_texts(texts)
    with command.replacing(path) as out:
        np.savez_compressed(out, tokens=tokens, lengths=lengths, labels=labels.astype(np.int32),
                            probabilities=soft.numpy().astype(np.float16),
                            vocabulary=datasets.pack_words(vocabulary))


def read(path, vocabulary, max_tokens):
    """(texts, labels, probabilities float32 tensor) of a file that was made with the same
    vocabulary."""
    with np.load(path) as pack:
        arrays = {key: pack[key] for key in pack.files}
    words = datasets.unpack_words(arrays["vocabulary"])
    if words != vocabulary:
        raise ValueError(f"{path}: its vocabulary of {len(words)} words is not the data set's of "
                         f"{len(vocabulary)}")
    texts = datasets.unpack_texts(arrays["tokens"], arrays["lengths"], max_tokens)
    return texts, arrays["labels"].astype(np.int64), torch.from_numpy(
        arrays["probabilities"].astype(np.float32))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("dataset", choices=[name for name in datasets.NAMES if datasets.is_text(name)])
    add("--data", required=True, help="folder of the official files or of NAME.npz packs")
    add("--out", required=True, help="FILE.npz")
    add("--sentences", help="folder of the official IMDB files")
    add("--sentence-count", type=int, default=70000,
        help="how many of them get soft labels (drawn at random)")
    add("--vectors", help="folder of word vectors for text read from official files")
    add("--vocabulary", type=int, default=20000)
    add("--max-tokens", type=int, default=64)
    add("--members", type=int, default=6)
    add("--models", nargs="*", default=[], help="model files of the same task and words")
    add("--library", help="libqama.so for QAMA among them (default: as qama_export.train)")
    add("--filters", type=int, default=128, help="of each width")
    add("--epochs", type=float, default=3.0)
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.members < 1:
        parser.error(f"--members {options.members}, expected at least 1")
    torch.set_num_threads(options.threads)
    data = datasets.load(options.dataset, options.data, max_tokens=options.max_tokens,
                         vocabulary_size=options.vocabulary, vectors=options.vectors)
    torch.manual_seed(options.seed)
    vectors = 0.1 * torch.randn(len(data.vocabulary), 100 if data.vectors is None
                                else data.vectors.shape[1])
    datasets.fill_vectors(vectors, data)
    vectors[0] = 0
    # Before the networks, which take long: a file that does not fit is said at once.
    models = [load_model(path, data.vocabulary, options) for path in options.models]
    texts, labels, reviews = list(data.train), data.train_labels, None
    if options.sentences:
        reviews = read_sentences(options.sentences, tokeniser.index_of(data.vocabulary),
                                 datasets.TOKENISERS[options.dataset])
        order = np.random.default_rng(options.seed).permutation(len(reviews[0]))
        chosen = order[:options.sentence_count]
        texts += [reviews[0][i] for i in chosen]
        labels = np.concatenate([labels, np.full(len(chosen), -1)])
    began, target = time.monotonic(), torch.from_numpy(data.test_labels)

    def mean_of(name, members):
        """Mean probabilities of the texts and of the test texts."""
        sums = [0, 0]
        for number, logits_of in enumerate(members, 1):
            sums = [total + probabilities(logits_of, part)
                    for total, part in zip(sums, (texts, data.test))]
            report(f"{number} of the {name}", sums[1] / number)
        return [total / number for total in sums]

    def report(name, p):
        print(f"{name}: accuracy {(p.argmax(1) == target).float().mean():.4f}, "
              f"test loss {functional.nll_loss(p.log(), target):.4f}, "
              f"{time.monotonic() - began:.0f} s", flush=True)

    def networks():
        for member in range(options.members):
            model = train(data, vectors, reviews if member % 2 else None, options, options.seed
                          + member)
            yield lambda tokens, lengths, model=model: model(tokens)
    soft, test = mean_of("networks", networks())
    if models:
        others = mean_of("models", models)
        soft, test = (soft + others[0]) / 2, (test + others[1]) / 2
        report("both", test)
    write(options.out, data.vocabulary, texts, labels, soft)
    print(f"{options.out}: {len(texts)} texts, {int((labels < 0).sum())} of them without labels")


if __name__ == "__main__":
    command.run(main)
