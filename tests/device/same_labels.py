"""Answers of the cross-compiled program, under an emulator, against this machine's own build: a
table, a line a model.

    tests/device/same_labels.py [--count 1000] [--cores cortex-a53,cortex-a72] [--data DIR...]
    [MODEL...]

Both run `qama eval` over the first samples of the official test sets (SST-2: the 872 of dev; IMDB,
which is sorted by class: reviews at equal distances). Logits differ in the last bits (sums are
taken in another order, products are fused or not), and a coupling that lies near the middle between
two integers may then be rounded the other way: one answer in a thousand may differ. Ends with 1 if
more do, with 77 if there was nothing to compare. DIR has a folder a data set in its official
layout.
"""
import argparse
import importlib.util
import lzma
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATASETS = ("mnist", "fashion-mnist", "cifar10", "imdb", "sst2")
REVIEWS = 25000


def find_data(dataset, folders, scratch):
    """A folder that `qama eval` reads, or None. The packed forms of ../shared are unpacked into
    `scratch`."""
    official = {"mnist": "t10k-images-idx3-ubyte.gz", "fashion-mnist": "t10k-images-idx3-ubyte.gz",
                "cifar10": "test_batch.bin", "imdb": "imdb_test.tsv", "sst2": "dev.tsv"}[dataset]
    for folder in (pathlib.Path(base, dataset) for base in folders):
        if any((folder / name).exists() for name in (official, "cifar-10-batches-bin", "aclImdb",
                                                     "SST-2")):
            return folder
        out = pathlib.Path(scratch, dataset)
        if (folder / "imdb_test.tsv.xz").exists():
            out.mkdir(exist_ok=True)
            with (lzma.open(folder / "imdb_test.tsv.xz") as packed,
                  open(out / official, "wb") as plain):
                shutil.copyfileobj(packed, plain)
            return out
        if (folder / "decode_cifar10.py").exists():
            out.mkdir(exist_ok=True)
            spec = importlib.util.spec_from_file_location("decode_cifar10",
                                                          folder / "decode_cifar10.py")
            decoder = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(decoder)
            images = decoder.decode(folder / "test_batch.med.xz").reshape(10000, 3072)
            labels = (folder / "labels.bin").read_bytes()[-10000:]
            (out / official).write_bytes(b"".join(labels[i:i + 1] + images[i].tobytes()
                                                  for i in range(10000)))
            return out
    return None


def evaluate(command, model, dataset, data, count, scratch, core=None):
    """[(answer, probability)] of the samples, and how many are right."""
    answers = pathlib.Path(scratch, "answers.tsv")
    part = ["--shard", f"0/{REVIEWS // count}"] if dataset == "imdb" else ["--limit", count]
    environment = dict(os.environ, QEMU_CPU=core) if core else None
    words = [*command, "eval", "-q", "-m", model, "--dataset", dataset, "--data", data, "--answers",
             answers, *part]
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL,
                   env=environment)
    lines = [line.split("\t") for line in answers.read_text().splitlines()]
    return [(int(line[2]), float(line[3])) for line in lines], sum(line[1] == line[2]
                                                                   for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default=ROOT / "build" / "release" / "bin" / "qama")
    parser.add_argument("--program", default=ROOT / "build" / "aarch64-release" / "bin" / "qama")
    parser.add_argument("--emulator", default=ROOT / "toolchains" / "emulate")
    parser.add_argument("--cores", default=os.environ.get("QEMU_CPU", ""),
                        help="of qemu; by default the first that toolchains/targets has")
    parser.add_argument("--count", type=int, default=int(os.environ.get("QAMA_SAME_LABELS", 1000)))
    parser.add_argument("--data", nargs="+", default=[os.environ.get("QAMA_SHARED",
                                                                     ROOT.parent / "shared")
                                                      / pathlib.Path("data"),
                                                      "/usr/share/datasets"])
    parser.add_argument("models", nargs="*",
                        default=sorted((ROOT / "weights" / "models").glob("*.safetensors")))
    options = parser.parse_args()
    if not os.path.exists(options.host):
        print(f"SKIPPED: no build for this machine at '{options.host}'")
        return 77

    compared = failed = 0
    print("| model | core | samples | right there / here | answers differ | largest difference of "
          "its probability | seconds |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for model in map(pathlib.Path, options.models):
            dataset = next(name for name in DATASETS if model.name.startswith(name + "-"))
            data = find_data(dataset, options.data, scratch)
            if data is None:
                print(f"SKIPPED: {model.stem}, no test set of {dataset} in {options.data}")
                continue
            here, here_right = evaluate([options.host], model, dataset, data, options.count,
                                        scratch)
            for core in options.cores.split(","):
                begin = time.monotonic()
                there, there_right = evaluate([options.emulator, options.program], model, dataset,
                                              data, options.count, scratch, core)
                different = [i for i, (a, b) in enumerate(zip(here, there)) if a[0] != b[0]]
                largest = max((abs(a[1] - b[1]) for a, b in zip(here, there) if a[0] == b[0]),
                              default=1)
                good = len(here) == len(there) > 0 and len(different) <= max(1, len(here) // 1000)
                compared += 1
                failed += not good
                print(f"| `{model.stem}` | {core or 'default'} | {len(there)} | "
                      f"{there_right} / {here_right} | {len(different)} | {largest:.1g} | "
                      f"{time.monotonic() - begin:.0f} |" + ("" if good else " TOO MANY"),
                      flush=True)
                for i in different:
                    print(f"  sample {i}: {here[i][0]} ({here[i][1]:.4f}) here, {there[i][0]} "
                          f"({there[i][1]:.4f}) there")
    if failed:
        return 1
    return 0 if compared else 77


if __name__ == "__main__":
    sys.exit(main())
