"""Scores of n-grams for a text model's embedding: what every n-gram of the training texts says for
the second of two labels, learnt by logistic regression.

    python3 -m qama_export.ngrams imdb --data DIR --out scores.npz
    python3 -m qama_export.train --dataset imdb --ngrams scores.npz ...

The features are those of Wang and Manning (2012): an n-gram counts with its naive Bayes log-count
ratio. An n-gram's row of the table is a hash of its words (ops/token_embedding.h), so others may
share it. A network that saw the scores of its training texts from a table that knows their labels
would trust them too much. So the texts are cut into folds: in training a text has the scores of the
table that was learnt from the other folds. The model file has the table learnt from all texts.
"""
import argparse
import time

import numpy as np
import torch

from . import command, datasets, tokeniser
from .models import ngram_hashes

COUNT = 2  # a row that fewer n-grams of the training texts have has no score
SMOOTHING = 1.0  # added to the counts of a row
LENGTH_POWER = 0.5  # a text's scores are summed and divided by its length to this power


class Scores:
    """A file of this script. table: float32 [rows], longest: words of the longest n-gram; of_texts:
    those of the training texts' tokens, one behind the other, or None where the file is of another
    data set."""

    def __init__(self, path, data, truncate):
        with np.load(path) as pack:
            arrays = {key: pack[key] for key in pack.files}
        words = datasets.unpack_words(arrays["vocabulary"])
        if words != data.vocabulary:
            raise ValueError(f"{path}: its vocabulary of {len(words)} words is not the data set's "
                             f"of {len(data.vocabulary)}")
        self.path, self.table = path, arrays["table"].astype(np.float32)
        self.longest = int(arrays["longest"])
        own = str(arrays["dataset"]) == data.name
        if own and str(arrays["truncate"]) != truncate:
            raise ValueError(f"{path}: made with --truncate {arrays['truncate']}, expected "
                             f"{truncate} as in training")
        self.of_texts, self.lengths = (arrays["scores"], arrays["lengths"]) if own else (None, None)

    def of(self, texts, width):
        """float16 [len(texts), width], 0 behind a text."""
        lengths = [len(ids) for ids in texts]
        if not np.array_equal(lengths, self.lengths):
            raise ValueError(f"{self.path}: its {len(self.lengths)} texts are not the "
                             f"{len(lengths)} training texts, expected the same data and "
                             "--max-tokens")
        out = np.zeros((len(texts), width), np.float16)
        for row, part in zip(out, np.split(self.of_texts, np.cumsum(lengths)[:-1])):
            row[:len(part)] = part
        return out


def rows_of(texts, longest, rows):
    """int64 [tokens of all texts, longest]: the rows of the n-grams that end with a token, `rows`
    where they would begin before the text."""
    lengths = np.array([len(ids) for ids in texts])
    place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    tokens = torch.from_numpy(np.concatenate(texts).astype(np.int64))[None]
    found = [hashes[0].numpy() % rows for hashes in ngram_hashes(tokens, longest)]
    return np.stack([np.where(place >= words, row, rows) for words, row in enumerate(found)], 1)


def sums(weights, found, lengths):
    """Each text's sum of weights[found], over its length to LENGTH_POWER."""
    begins = np.cumsum(lengths) - lengths
    return np.add.reduceat(weights[found].sum(1), begins) / lengths ** LENGTH_POWER


def learn(found, lengths, labels, rows, decay, steps):
    """(weights float32 [rows + 1], the last of which is 0; bias) of a logistic regression.

    found: as rows_of; labels: 0 or 1 a text; decay: of the squared weights, in units of one text.
    """
    flat, texts = found.reshape(-1), np.repeat(np.arange(len(lengths)), lengths * found.shape[1])
    labels = labels.astype(np.float32)
    positive = np.bincount(flat, weights=labels[texts], minlength=rows + 1)
    count = np.bincount(flat, minlength=rows + 1).astype(np.float64)
    kept = np.flatnonzero(count[:rows] >= COUNT)
    place = np.full(rows + 1, -1, np.int64)
    place[kept] = np.arange(len(kept))
    flat = place[flat]
    texts, flat = texts[flat >= 0], flat[flat >= 0].astype(np.int32)
    counts = np.bincount(texts, minlength=len(lengths))
    if counts.min() == 0:
        raise ValueError(f"text {int(counts.argmin())} has no n-gram that another one has")
    begins = np.cumsum(counts) - counts
    negative = count - positive
    ratio = (np.log((positive[kept] + SMOOTHING) / positive.sum())
             - np.log((negative[kept] + SMOOTHING) / negative.sum())).astype(np.float32)
    scale = (1.0 / lengths ** LENGTH_POWER).astype(np.float32)
    value = torch.full((len(kept) + 1,), 0.5)  # of every row, and the bias
    value[-1] = 0.0
    value.requires_grad_()
    optimizer = torch.optim.LBFGS([value], max_iter=steps, history_size=8,
                                  line_search_fn="strong_wolfe")

    def closure():
        x = value.detach().numpy()
        z = np.add.reduceat((x[:-1] * ratio)[flat], begins) * scale + x[-1]
        error = 0.5 + 0.5 * np.tanh(z / 2) - labels
        loss = np.mean(np.logaddexp(0.0, z) - labels * z)
        loss += decay / 2 / len(lengths) * (x[:-1] ** 2).sum()
        gradient = np.bincount(flat, weights=np.repeat(error * scale, counts),
                               minlength=len(kept)) * ratio + decay * x[:-1]
        value.grad = torch.from_numpy(np.append(gradient, error.sum()).astype(np.float32)
                                      / len(lengths))
        return torch.tensor(float(loss))
    optimizer.step(closure)
    weights = np.zeros(rows + 1, np.float32)
    weights[kept] = value.detach().numpy()[:-1] * ratio
    return weights, float(value.detach()[-1])


def report(name, z, labels, began):
    """z: logits of the texts."""
    print(f"{name}: accuracy {np.mean((z > 0) == labels):.4f}, loss "
          f"{np.mean(np.logaddexp(0.0, z) - labels * z):.4f}, {time.monotonic() - began:.0f} s",
          flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("dataset", choices=[name for name in datasets.NAMES if datasets.is_text(name)])
    add("--data", required=True, help="folder of the official files or of NAME.npz packs")
    add("--out", required=True, help="FILE.npz")
    add("--vectors", help="folder of word vectors for text read from official files")
    add("--vocabulary", type=int, default=20000)
    add("--max-tokens", type=int, default=512)
    add("--truncate", default="head", choices=tokeniser.TRUNCATES, help="as qama_export.train")
    add("--longest", type=int, default=2, help="words of the longest n-gram")
    add("--rows", type=int, default=2 ** 20, help="of the table")
    add("--folds", type=int, default=5)
    add("--decay", type=float, default=0.1)
    add("--steps", type=int, default=60, help="of the optimiser")
    add("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.folds < 2:
        parser.error(f"--folds {options.folds}, expected at least 2")
    torch.set_num_threads(1)
    data = datasets.load(options.dataset, options.data, max_tokens=options.max_tokens,
                         vocabulary_size=options.vocabulary, vectors=options.vectors,
                         truncate=options.truncate)
    if len(data.labels) != 2:
        raise ValueError(f"{options.dataset} has {len(data.labels)} labels, expected 2")
    began = time.monotonic()
    found = rows_of(data.train, options.longest, options.rows)
    lengths = np.array([len(ids) for ids in data.train])
    fold = np.random.default_rng(options.seed).integers(options.folds, size=len(lengths))
    of_tokens = np.repeat(fold, lengths)
    scores, logits = np.zeros(len(found), np.float32), np.zeros(len(lengths))
    for number in range(options.folds):
        rest, own = fold != number, fold == number
        weights, offset = learn(found[of_tokens != number], lengths[rest], data.train_labels[rest],
                                options.rows, options.decay, options.steps)
        part = found[of_tokens == number]
        scores[of_tokens == number] = weights[part].sum(1)
        logits[own] = sums(weights, part, lengths[own]) + offset
        report(f"fold {number + 1}, texts that its table has not seen", logits[own],
               data.train_labels[own], began)
    table, bias = learn(found, lengths, data.train_labels, options.rows, options.decay,
                        options.steps)
    report("all of them", logits, data.train_labels, began)
    report("test texts", sums(table, rows_of(data.test, options.longest, options.rows),
                              np.array([len(ids) for ids in data.test])) + bias, data.test_labels,
           began)
    unit = scores.std()
    with command.replacing(options.out) as out:
        np.savez_compressed(out, table=table[:-1] / unit, scores=(scores / unit).astype(np.float16),
                            lengths=lengths, longest=options.longest, dataset=options.dataset,
                            truncate=options.truncate,
                            vocabulary=datasets.pack_words(data.vocabulary))
    print(f"{options.out}: {int((table != 0).sum())} of {options.rows} rows have a score")


if __name__ == "__main__":
    command.run(main)
