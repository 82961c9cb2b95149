"""Replaces softmax attention by QAMA in a trained model, in all blocks or in some, and trains the
result to do what the original does.

    python3 -m qama_export.convert MODEL --blocks all --to qama --dataset cifar10 --data DIR
        --out runs/cifar10-converted

MODEL is any model file with softmax attention that this package trains: shipped, trained here or
imported. The original is where every tensor begins that both have, and the teacher: of its
probabilities (--teacher-weight) and of what its blocks put out (--feature-weight). The options
behind those of this script are those of train.py; a --start-from there, for example a model with
fewer blocks replaced, takes the original's place as the beginning. Into --out go the files that
train.py writes.
"""
import argparse
import sys

from qama.torch.attention import RULES

from . import command, datasets, export, rivals, train

# Options of train.py that say what the model says.
TOLD = ("dim", "depth", "heads", "dim_head", "mlp", "patch", "token_pool", "pool", "gelu",
        "projection", "pixels", "fit", "patch_norm_eps", "image", "max_tokens", "truncate",
        "vocabulary", "vectors", "neighbours", "ngrams", "ngram_start")
# Options of kinds that are not made here; --block is no short form of --blocks.
OTHERS = tuple(name for layer in rivals.KINDS.values() for name in layer.options)
# What training begins with here; options on the command line count. A trained model needs smaller
# steps than a fresh one, and few of them.
DEFAULTS = ("--lr", "1e-3", "--epochs", "10", "--teacher-weight", "0.9", "--feature-weight", "1")


def parse(arguments=None):
    """(options of this script, options of train.py)"""
    # One parser for both, so that MODEL may stand before, between or behind the options.
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter,
                                     parents=[train.make_parser(add_help=False)])
    parser.add_argument("model", metavar="MODEL", help="model file with softmax attention")
    parser.add_argument("--blocks", default="all", help="those whose attention is replaced: all, "
                        "or numbers from 0 on, with commas")
    parser.add_argument("--to", choices=sorted(RULES), default="qama", help="what takes its place")
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    absent = argparse.Namespace(**dict.fromkeys([*TOLD, *OTHERS]))
    given = parser.parse_args(["--attention", "qama", *arguments], absent)
    for names, reason in ((TOLD, "the model says it"),
                          (OTHERS, "it belongs to another kind of attention")):
        for name in names:
            if getattr(given, name) is not None:
                raise ValueError(f"--{name.replace('_', '-')}: expected none, {reason}")
    options = train.parse(["--attention", given.to, "--start-from", given.model, "--teacher",
                           given.model, *DEFAULTS, *arguments], parser)
    mine = argparse.Namespace()
    for name in ("model", "blocks", "to"):
        setattr(mine, name, getattr(options, name))
        delattr(options, name)
    return mine, options


def blocks_of(text, depth):
    """The blocks that --blocks names, rising."""
    if text == "all":
        return list(range(depth))
    try:
        blocks = sorted({int(number) for number in text.split(",")})
    except ValueError:
        blocks = [-1]
    if blocks[0] < 0 or blocks[-1] >= depth:
        raise ValueError(f"--blocks {text}: expected all, or numbers from 0 to {depth - 1} with "
                         "commas")
    return blocks


def converted_record(record, blocks, attention):
    """The architecture record with `attention` in `blocks` in place of softmax."""
    softmax = record["attention"]
    if softmax["kind"] != "softmax" or "other_attention" in record:
        raise ValueError(f"attention is {softmax['kind']!r}"
                         + (" and another kind" if "other_attention" in record else "")
                         + ", expected 'softmax' in all blocks")
    if record.get("sequence", {}).get("ngrams"):
        raise ValueError("a model with scores of n-grams, expected one without")
    kept = [block for block in range(record["depth"]) if block not in blocks]
    shared = record["depth"] // record.get("layer_groups", record["depth"])
    for block in blocks:
        first = block // shared * shared
        if not set(range(first, first + shared)) <= set(blocks):
            raise ValueError(f"--blocks: blocks {first} to {first + shared - 1} share their "
                             "tensors, expected all of them or none")
    if not RULES[attention["kind"]].projection:
        inner = record["heads"] * record["dim_head"]
        if inner != record["dim"] or record.get("out_bias"):
            raise ValueError(f"{attention['kind']} has no projection behind the heads: expected "
                             f"heads as wide as the model together, {record['dim']}, got {inner}, "
                             "and no bias of the projection")
    out = {**record, "attention": attention}
    if kept:
        out["other_attention"] = {"blocks": kept, **softmax}
    return out


def main():
    mine, options = parse()
    _, metadata, vocabulary = export.import_model(mine.model)
    record, preprocess = metadata["architecture"], metadata["preprocess"]
    blocks = blocks_of(mine.blocks, record["depth"])
    if options.attention != mine.to:
        raise ValueError(f"--attention {options.attention}: expected --to, which says what takes "
                         "the place of softmax")
    text = record["kind"] == "text_transformer"
    if record["kind"] == "feature_transformer" or text != datasets.is_text(options.dataset):
        raise ValueError(f"{mine.model}: a {record['kind']}, expected a model of what data set "
                         f"'{options.dataset}' has")
    if text:
        options.max_tokens = record["sequence"]["max_tokens"]
        options.truncate = preprocess["truncate"]
    origin = train.Origin(converted_record(record, blocks, train.attention_record(options)),
                          preprocess, metadata["labels"], vocabulary)
    train.go(options, origin)


if __name__ == "__main__":
    command.run(main)
