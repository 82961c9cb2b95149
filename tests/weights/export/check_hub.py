"""Random checkpoints at the sizes that people use, imported and run against hub_models.py: the
largest difference of the logits as a part of the largest logit, and how many labels agree.

    PYTHONPATH=weights/export QAMA_PROGRAM=build/release/bin/qama \
        /usr/bin/python3 tests/weights/export/check_hub.py [NAME ...]
"""
import sys
import tempfile
from pathlib import Path

import hub_models
import test_import_encoder as tests
import torch

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def words(count):
    special = ["[PAD]", *(f"[unused{i}]" for i in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return special + [f"w{i}" for i in range(count - len(special))]


def pieces(count):
    front = tests.unigram_files()
    return front + [(f"w{i}", -12.5 - i * 1e-4, 1) for i in range(count - len(front))]


def models():
    """Name -> (what makes the model, its folder's other files, samples)."""
    vocab = {"vocab.txt": "\n".join(words(30522)).encode()}
    spiece = {"spiece.model": tests.hub_tokenisers.sentencepiece(pieces(30000), tests.CHANGES)}
    image = {"size": (224, 224), "patch": 16, "depth": 12, "classes": 1000}
    tiny = {**image, "dim": 192, "heads": 3, "mlp": 768}
    small = {**image, "dim": 384, "heads": 6, "mlp": 1536}
    return {
        "ViT-Ti/16 224, timm": (lambda: hub_models.TimmVit(**tiny), {}),
        "ViT-Ti/16 224, Hugging Face": (lambda: hub_models.HuggingVit(**tiny), {}),
        "DeiT-S distilled 224, timm": (lambda: hub_models.TimmVit(
            **small, distilled=True, name="deit_small_distilled_patch16_224"), {}),
        "DeiT-S 224, Hugging Face": (lambda: hub_models.HuggingVit(**small, deit=True), {}),
        "BERT-mini": (lambda: hub_models.Bert(30522, 512, 256, 4, 4, 1024, 2), vocab),
        "DistilBERT-base": (lambda: hub_models.DistilBert(30522, 512, 768, 6, 12, 3072, 2), vocab),
        "ALBERT-base": (lambda: hub_models.Albert(30000, 512, 128, 768, 12, 12, 3072, 2), spiece)}


def main():
    torch.set_num_threads(1)
    print("model\tsamples\tlogits, relative\tlabels %")
    for name, (make, files) in models().items():
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            continue
        model = hub_models.random(make())
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            hub_models.write(folder / "hub", model, 2)
            for file, data in files.items():
                (folder / "hub" / file).write_bytes(data)
            if files:
                torch.manual_seed(4)
                tokens = torch.randint(0, 30000, (4, 512))
                lengths = torch.tensor([512, 200, 64, 9])
                inputs = {"tokens": tokens.numpy(), "lengths": lengths.numpy()}
                with torch.no_grad():
                    logits = model.double()(tokens, lengths)
            else:
                pixels, logits = tests.samples(model, 4, (224, 224))
                inputs = {"input": pixels.numpy()}
            found = tests.compare(folder, model, inputs, logits, [])
        print(f"{name}\t{found['n']}\t{found['relative']:.2g}\t"
              f"{100 * found['argmax_agreement']:.0f}", flush=True)


if __name__ == "__main__":
    main()
