"""Training on a made-up task: it learns, it resumes, it exports what it evaluated; the solver is
libqama."""
import contextlib
import itertools
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import types
import unittest
import unittest.mock
from pathlib import Path

import numpy as np
import reference
import scripts
import torch
from qama_export import export, fleet, pack, sweep, text_teacher, train
from qama_export.models import build

from qama import library
from qama.torch import Solver
from qama.torch.half_products import half_products
from qama.torch.small_products import product

LIBRARY = library.find()
PACKAGE = Path(train.__file__).resolve().parents[1]


def write_task(root):
    """28 x 28 images whose class is the bright corner: learnable in a few dozen steps."""
    random = np.random.default_rng(1)
    for part, count in (("train", 512), ("t10k", 128)):
        labels = random.integers(0, 4, count).astype(np.uint8)
        images = random.integers(0, 60, (count, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels):
            row, column = divmod(int(label), 2)
            image[20 * row:20 * row + 8, 20 * column:20 * column + 8] += 150
        for role, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape)
            (root / f"{part}-{role}-ubyte").write_bytes(head + array.tobytes())


class Drawing(unittest.TestCase):
    def test_long_texts_are_drawn_as_often_as_their_length_says(self):
        lengths = [1] * 300 + [4] * 300
        data = types.SimpleNamespace(train=[np.full(length, 2) for length in lengths],
                                     train_labels=np.zeros(600, np.int64),
                                     test=[np.full(1, 2)], test_labels=np.zeros(1, np.int64))
        share = {}
        for power in (0.0, 1.0):
            for order in ("mixed", "sorted"):
                options = types.SimpleNamespace(max_tokens=8, word_dropout=0.0, lengths=order,
                                                length_power=power)
                rows = train.Texts(options, data, "cpu").epoch_order(
                    torch.Generator().manual_seed(1), 50)
                self.assertEqual(rows.shape, (12, 50))
                share[power, order] = float((rows >= 300).float().mean())
        # Of 600 draws a fifth is short, give or take five standard deviations.
        self.assertEqual(share[0.0, "mixed"], 0.5)
        self.assertEqual(share[0.0, "sorted"], 0.5)
        for order in ("mixed", "sorted"):
            self.assertAlmostEqual(share[1.0, order], 0.8, delta=0.08)


class Training(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        write_task(self.root)

    def run_training(self, name, *extra):
        options = train.parse(["--dataset", "mnist", "--data", str(self.root), "--out",
                               str(self.root / name), "--dim", "16", "--depth", "1", "--heads", "2",
                               "--dim-head", "4", "--mlp", "16", "--patch", "7", "--batch", "32",
                               "--epochs", "8", "--lr", "0.01", "--no-augment", "--golden",
                               "2", *extra])
        run = train.Run(options)
        self.addCleanup(run.log_file.close)
        return run

    def check_learns(self, attention):
        run = self.run_training(attention, "--attention", attention)
        run.train()
        accuracy = run.finish()
        self.assertGreater(accuracy, 0.9)
        folder = self.root / attention
        model, metadata, _ = export.import_model(folder / "model.safetensors")
        self.assertAlmostEqual(metadata["training"]["test_accuracy"], accuracy)
        model.set_solver(export.anneal_solver(model.record))
        self.assertAlmostEqual(train.evaluate(model, run.batches)[0], accuracy, delta=0.02)
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        self.assertEqual(lines[-1]["event"], "finished")
        self.assertTrue((folder / "golden.safetensors").exists())

    def test_softmax_learns(self):
        self.check_learns("softmax")

    @unittest.skipUnless(LIBRARY, "libqama.so is not built")
    def test_qama_learns(self):
        self.check_learns("qama")

    @unittest.skipUnless(LIBRARY, "libqama.so is not built")
    def test_the_published_recipe_keeps_its_best_epoch(self):
        extra = ("--recipe", "published", "--attention", "qama_bilinear", "--dim", "8")
        run = self.run_training("published", *extra)
        self.assertEqual((run.options.clip, run.options.lr_schedule, run.options.pixels,
                          run.options.lr, run.options.seed), (0.0, "constant", "half", 0.01, 42))
        run.train()
        run.finish()
        folder = self.root / "published"
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        found = [line["accuracy"] for line in lines if "accuracy" in line]
        self.assertEqual(len(found), 8)
        self.assertEqual({line["lr"] for line in lines if "lr" in line}, {0.01})
        best, metadata, _ = export.import_model(folder / "best.safetensors")
        self.assertAlmostEqual(metadata["training"]["test_accuracy"], max(found), delta=1e-4)
        self.assertEqual(metadata["training"]["epochs"], 1 + found.index(max(found)))
        self.assertEqual(metadata["preprocess"]["mean"], [0.5])
        best.set_solver(export.anneal_solver(best.record))
        self.assertAlmostEqual(train.evaluate(best, run.batches)[0], max(found), delta=1e-4)
        # A run that goes on knows its best epoch so far: the last is evaluated once more.
        run.options.resume = True
        again = train.Run(run.options)
        self.addCleanup(again.log_file.close)
        self.assertAlmostEqual(again.best["accuracy"], max(found[:-1]), delta=1e-4)

    def test_images_that_stay_the_same_are_prepared_once(self):
        losses = []
        for name, most in (("prepared", train.MOST_VALUES), ("afresh", 0)):
            with unittest.mock.patch.object(train, "MOST_VALUES", most):
                run = self.run_training(name, "--attention", "softmax", "--token-pool", "2x2",
                                        "--max-steps", "6")
                self.assertEqual(bool(run.batches.numbers), most > 0)
                run.train()
                losses.append(run.evaluate()[1])
        self.assertAlmostEqual(*losses, places=5)
        run = self.run_training("augmented", "--attention", "softmax", "--augment")
        self.assertFalse(run.batches.numbers)

    def test_the_published_softmax_has_no_projection(self):
        run = self.run_training("plain", "--recipe", "published", "--attention", "softmax",
                                "--dim", "8")
        self.assertEqual(run.model.record["attention"], {"kind": "softmax", "projection": False})
        self.assertFalse([name for name in run.model.state_dict() if ".out." in name])

    def test_the_time_of_a_sweep_s_row_is_told(self):
        options = sweep.parse(["time", "--recipe", "published", "--rows", "V-mnist-p7x7-softmax",
                               "--data", str(self.root)])
        row = sweep.chosen(options.rows, options.recipe)[0]
        with unittest.mock.patch.multiple(sweep, WARM_STEPS=1, TRIED_STEPS=2, TRIED_SAMPLES=64):
            found = sweep.cost(row, options)
        self.assertEqual((found.steps, found.evaluations), (50 * (512 // 128), 50))
        self.assertGreater(found.minutes, 0)
        lines = sweep.cost_table([found]).splitlines()
        self.assertRegex(lines[2], r"^\| V-mnist-p7x7-softmax \| [\d.]+ \| [\d.]+ \| \d+ \|$")

    @unittest.skipUnless(LIBRARY, "libqama.so is not built")
    def test_half_precision_products_learn_as_well(self):
        run = self.run_training("half", "--attention", "qama", "--products", "bf16")
        run.train()
        self.assertGreater(run.evaluate()[0], 0.9)

    def test_gradients_of_half_precision_products_are_those_of_float(self):
        run = self.run_training("gradients", "--attention", "softmax")
        images = torch.randn(8, 1, 28, 28)
        weights = torch.randn(8, 10)
        gradients = []
        for context in (contextlib.nullcontext(), half_products()):
            run.optimizer.zero_grad(set_to_none=True)
            with context:
                loss = (run.model(images) * weights).sum()
            loss.backward()
            gradients.append([p.grad for p in run.model.parameters()])
        for one, other in zip(*gradients):
            # Eight bits a factor: the sums of many rounding errors stay below a hundredth of the
            # whole.
            self.assertLess((one - other).norm(), 0.02 * one.norm() + 1e-6)
        self.assertFalse(all(torch.equal(one, other) for one, other in zip(*gradients)))

    def test_small_products_are_halved_too(self):
        torch.manual_seed(3)
        a, b = torch.randn(2, 3, 8, 8, requires_grad=True), torch.randn(2, 3, 8, 8)
        halved = (a.bfloat16() @ b.bfloat16()).float()
        with half_products():
            self.assertTrue(torch.equal(product(a, b), halved))
        self.assertFalse(torch.equal(product(a, b), halved))

    def test_nothing_is_rounded_without_gradients(self):
        run = self.run_training("exact", "--attention", "softmax")
        images = torch.randn(8, 1, 28, 28)
        with torch.no_grad():
            exact = run.model(images)
            with half_products():
                self.assertTrue(torch.equal(run.model(images), exact))

    def test_a_student_learns_from_its_teacher_alone(self):
        teacher = self.run_training("teacher", "--attention", "softmax")
        teacher.train()
        teacher.finish()
        student = self.run_training("student", "--attention", "softmax", "--dim", "20", "--teacher",
                                    str(self.root / "teacher" / "model.safetensors"),
                                    "--teacher-weight", "1",
                                    "--seed", "2")
        # Wrong labels: what it learns can only come from the teacher.
        images, labels = student.batches.parts["train"]
        student.batches.parts["train"] = (images, (labels + 1) % 4)
        student.train()
        self.assertGreater(student.finish(), 0.9)
        record = export.import_model(self.root / "student" / "model.safetensors")[1]["training"]
        self.assertEqual(record["teacher"], "teacher")
        self.assertNotIn(str(self.root), json.dumps(record))

    def test_a_model_of_another_shape_takes_over_what_fits(self):
        first = self.run_training("first", "--attention", "softmax")
        first.train()
        first.finish()
        file = str(self.root / "first" / "model.safetensors")
        deeper = self.run_training("deeper", "--attention", "softmax", "--depth", "2",
                                   "--start-from", file)
        trained = dict(first.model.named_parameters())
        for name, value in deeper.model.named_parameters():
            if name.startswith("blocks.1."):
                self.assertNotIn(name, trained)
            else:
                torch.testing.assert_close(value, trained[name])

    def test_resumed_training_is_the_same_training(self):
        whole = self.run_training("whole", "--attention", "softmax", "--eval-every", "1")
        whole.train()
        part = self.run_training("part", "--attention", "softmax", "--eval-every", "1")
        original, part.evaluate = part.evaluate, lambda: (original(), self.stop_at(part, 2))[0]
        with self.assertRaises(KeyboardInterrupt):
            part.train()
        again = self.run_training("part", "--attention", "softmax", "--eval-every", "1", "--resume")
        self.assertEqual(again.step, 16)
        again.train()
        for one, other in zip(whole.model.parameters(), again.model.parameters()):
            torch.testing.assert_close(one, other)

    @unittest.skipUnless(LIBRARY, "libqama.so is not built")
    def test_a_training_stopped_before_an_evaluation_is_evaluated_there(self):
        """Killed between the last step of an epoch, which left a checkpoint, and its evaluation;
        and a teacher that anneals goes on where it was."""
        self.run_and_finish("teacher", "--attention", "qama", "--epochs", "1", "--t-start", "9",
                            "--t-end", "9")
        found = {}
        for name in ("whole", "part"):
            extra = ("--attention", "softmax", "--epochs", "3", "--keep-best", "--checkpoint-every",
                     "0", "--teacher", str(self.root / "teacher" / "model.safetensors"))
            run = self.run_training(name, *extra)
            if name == "part":
                original = run.evaluate
                run.evaluate = lambda run=run, was=original: (self.stop_at(run, 2), was())[1]
                with self.assertRaises(KeyboardInterrupt):
                    run.train()
                run = self.run_training(name, *extra, "--resume")
                self.assertEqual(run.step, 2 * run.epoch_steps)
            run.train()
            run.finish()
            log = (self.root / name / "log.jsonl").read_text().splitlines()
            accuracies = [line["accuracy"] for line in map(json.loads, log) if "accuracy" in line]
            found[name] = accuracies, run.model.state_dict()
        self.assertEqual(found["part"][0], found["whole"][0])
        self.assertEqual(len(found["whole"][0]), 3)
        for one, other in zip(found["part"][1].values(), found["whole"][1].values()):
            self.assertTrue(torch.equal(one, other))

    def test_a_best_epoch_that_was_the_last_counts_when_a_run_goes_on(self):
        extra = ("--attention", "softmax", "--keep-best", "--eval-every", "1")
        run = self.run_and_finish("more", *extra, "--epochs", "2")
        again = self.run_training("more", *extra, "--epochs", "3", "--resume")
        again.train()
        self.assertGreaterEqual(again.best["accuracy"], run.best["accuracy"])

    def run_and_finish(self, name, *extra):
        run = self.run_training(name, *extra)
        run.train()
        run.finish()
        return run

    def test_a_teacher_of_another_task_is_refused(self):
        self.run_and_finish("teacher", "--attention", "softmax", "--epochs", "1")
        teacher = str(self.root / "teacher" / "model.safetensors")
        model, metadata, _ = export.import_model(teacher)
        for what, change in (("mean", {"mean": [0.5]}), ("labels", {}),
                             ("images", {"pad": 1})):
            other = str(self.root / f"{what}.safetensors")
            record = {**model.record}
            if what == "images":
                record["image"] = {"height": 14, "width": 14, "channels": 1}
            labels = metadata["labels"][::-1] if what == "labels" else metadata["labels"]
            preprocess = {**metadata["preprocess"], **(change if what == "mean" else {})}
            export.export_model(build(record), other, preprocess, labels)
            with self.subTest(what), self.assertRaisesRegex(ValueError, f"a teacher with {what}"):
                self.run_training(f"student-{what}", "--attention", "softmax", "--teacher", other)

    @unittest.skipUnless(LIBRARY, "libqama.so is not built")
    def test_what_the_runtime_refuses_is_not_trained(self):
        for sentence, extra in {
                "architecture.depth: 0, expected 1 to 256": ("--depth", "0"),
                "architecture.attention.window": ("--attention", "longformer", "--window", "-1"),
                "architecture.attention.rank": ("--attention", "linformer", "--rank", "0"),
                "architecture.attention.bits": ("--attention", "qama_v1", "--bits", "0")}.items():
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, f"^{sentence}"):
                self.run_training("refused", "--attention", "softmax", *extra)
        for sentence, extra in {"patches of 5x5 in 28x28": ("--patch", "5"),
                                "a token pool of 3x3 in 4x4": ("--token-pool", "3x3"),
                                "dim 18, expected a multiple of 4": ("--dim", "18")}.items():
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                self.run_training("refused", "--attention", "softmax", *extra)

    @staticmethod
    def stop_at(run, epoch):
        """A crash in the evaluation after `epoch` epochs; the last checkpoint is one epoch old."""
        if run.step == epoch * run.epoch_steps:
            raise KeyboardInterrupt

    def test_time_limit_shortens_the_schedule(self):
        run = self.run_training("limited", "--attention", "softmax", "--epochs", "100000",
                                "--time-limit", "10",
                                "--eval-every", "0")
        run.train()
        self.assertLess(run.elapsed(), 8.0)
        self.assertEqual(run.step, run.total)
        self.assertGreater(run.step, 20)


class TakeOver(unittest.TestCase):
    def test_words_keep_their_vectors_when_the_vocabulary_changes(self):
        record = {"kind": "text_transformer", "sequence": {"max_tokens": 8, "vocabulary": 5,
                                                           "embedding": 3},
                  "dim": 4, "depth": 1, "heads": 1, "dim_head": 4, "mlp": 4, "classes": 2,
                  "gelu": "erf",
                  "norm_eps": 1e-5, "pool": "mean", "attention": {"kind": "softmax"}}
        old, new = build(record), build({**record, "sequence": {"max_tokens": 8, "vocabulary": 4,
                                                                "embedding": 3}})
        before = new.embed.weight.detach().clone()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "old.safetensors"
            export.export_model(old, path, {}, ["a", "b"], vocabulary=["<pad>", "<unk>", "good",
                                                                       "bad", "film"])
            taken, known = train.take_over(new, path, ["<pad>", "<unk>", "film", "new"])
        self.assertEqual(known, 3)
        self.assertEqual(taken, set(new.state_dict()) - {"embed.weight"})
        self.assertTrue(torch.equal(new.embed.weight[2], old.embed.weight[4]))
        self.assertTrue(torch.equal(new.embed.weight[3], before[3]))

    def test_scores_begin_along_the_direction_that_the_classifier_reads(self):
        record = {"kind": "text_transformer", "sequence": {"max_tokens": 8, "vocabulary": 4,
                                                           "embedding": 3},
                  "dim": 4, "depth": 1, "heads": 1, "dim_head": 4, "mlp": 4, "classes": 2,
                  "gelu": "erf",
                  "norm_eps": 1e-5, "pool": "mean", "attention": {"kind": "softmax"}}
        words = ["<pad>", "<unk>", "good", "bad"]
        old, new = build(record), build({**record, "sequence": {**record["sequence"], "ngrams": 2,
                                                                "ngram_rows": 5}})
        new.embed.ngrams.fill_(1.0)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "old.safetensors"
            export.export_model(old, path, {}, ["a", "b"], vocabulary=words)
            taken, _ = train.take_over(new, path, words, ngram_start=0.01)
        self.assertEqual(taken, set(new.state_dict()) - {"embed.weight", "embed.ngrams"})
        self.assertTrue(torch.equal(new.embed.ngrams, torch.ones(5, 1)))
        tokens, lengths = torch.tensor([[2, 3, 2]]), torch.tensor([3])
        with torch.no_grad():
            torch.testing.assert_close(new(tokens, lengths, torch.zeros(1, 3)),
                                       old(tokens, lengths))
            new.blocks, new.depth = torch.nn.ModuleList(), 0  # the classifier alone
            before, after = (new(tokens, lengths, torch.full((1, 3), score)) for score in (0.0,
                                                                                           1.0))
        gain = (after - before)[0]
        self.assertGreater(float(gain[1] - gain[0]), 0.0)


class Unfolding(unittest.TestCase):
    def test_only_statistics_that_came_from_the_file_are_measured_again(self):
        class NothingSelected:
            def solve(self, couplings, field, penalty, count=None):
                return torch.zeros_like(field, dtype=torch.uint8)

        class Pixels:
            def epoch_order(self, generator, batch):
                return torch.zeros(2, batch, dtype=torch.long)

            def train(self, chosen):
                return (torch.randn(len(chosen), 1, 8, 8),), None

        torch.manual_seed(7)
        model = build(reference.vit_record())
        model.set_solver(NothingSelected())
        run = types.SimpleNamespace(model=model, batches=Pixels(), device=torch.device("cpu"),
                                    options=types.SimpleNamespace(seed=1, batch=8))
        norm = model.blocks[0].attn.coupling
        # A softmax model's file has no such norms: they stay as they began.
        train.Run.unfold(run, {"head.weight"})
        self.assertTrue(torch.equal(norm.weight, torch.ones_like(norm.weight)))
        scale, shift = (part.clone() for part in norm.folded())
        train.Run.unfold(run, set(model.state_dict()))
        self.assertFalse(torch.equal(norm.weight, torch.ones_like(norm.weight)))
        for mine, before in zip(norm.folded(), (scale, shift)):
            torch.testing.assert_close(mine, before, rtol=1e-4, atol=1e-5)


def heed_interrupts():
    """Whoever runs the tests in the background may have it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


ARGUMENTS = ("--dataset", "mnist", "--attention", "softmax", "--dim", "16", "--depth", "1",
             "--heads", "2", "--dim-head", "4", "--mlp", "16", "--patch", "7", "--batch", "32",
             "--golden", "1", "--out", "run")


class Script(unittest.TestCase):
    """The training as a user calls it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        write_task(self.root)

    def start(self, *extra, module="train"):
        arguments = (*ARGUMENTS, "--data", str(self.root)) if module == "train" else ()
        return subprocess.Popen([sys.executable, "-m", "qama_export." + module, *arguments, *extra],
                                cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, preexec_fn=heed_interrupts,
                                env={**os.environ, "PYTHONPATH": str(PACKAGE)})

    def run_script(self, *extra, module=train):
        """(exit status, standard error)."""
        return scripts.call(module, self.root, (*(ARGUMENTS if module is train else ()), "--data",
                                                self.root, *extra))

    def test_ctrl_c_keeps_a_checkpoint_and_says_how_to_go_on(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start("--epochs", "100000", "--eval-every", "0", "--restart")
            while "started" not in process.stdout.readline():
                pass
            # Well inside the first epoch or a later one: the training has no end of its own.
            time.sleep(1)
            process.send_signal(number)
            _, text = process.communicate(timeout=100)
            self.assertEqual(process.returncode, 128 + number, text)
            self.assertRegex(text, r"train: stopped by the user: at step \d+ of 1600000; "
                             r"run/checkpoint.pt is kept, and the same command with --resume")
            self.assertNotIn("Traceback", text)
            step = torch.load(self.root / "run" / "checkpoint.pt")["step"]
            self.assertGreater(step, 0)
        status, text = self.run_script("--epochs", "1")
        self.assertEqual(status, 1)
        self.assertRegex(text, "run holds a training that was stopped .*--resume goes on")

    def test_a_checkpoint_comes_before_the_first_epoch_ends(self):
        options = train.parse(["--dataset", "mnist", "--data", str(self.root), "--out",
                               str(self.root / "first"), "--attention", "softmax", "--dim", "16",
                               "--depth", "1", "--heads", "2", "--dim-head", "4", "--mlp", "16",
                               "--patch", "7", "--batch", "32", "--max-steps", "10"])
        run = train.Run(options)
        self.addCleanup(run.log_file.close)
        saved, original = [], run.checkpoint
        run.checkpoint = lambda: (saved.append(run.step), original())
        run.train()
        self.assertEqual(saved, [8, 10])

    def test_a_finished_folder_is_not_restarted_unasked(self):
        status, text = self.run_script("--max-steps", "3")
        self.assertEqual(status, 0, text)
        before = (self.root / "run" / "model.safetensors").read_bytes()
        status, text = self.run_script("--max-steps", "5")
        self.assertEqual(status, 1)
        self.assertEqual(text.count("\n"), 1)
        self.assertRegex(text, "run holds a finished training .*--restart begins anew")
        self.assertEqual((self.root / "run" / "model.safetensors").read_bytes(), before)
        status, text = self.run_script("--max-steps", "5", "--restart")
        self.assertEqual(status, 0, text)
        lines = (self.root / "run" / "log.jsonl").read_text().splitlines()
        self.assertEqual(json.loads(lines[-1])["step"], 5)
        self.assertEqual(json.loads(lines[0])["step"], 0)

    def test_what_is_missing_is_named(self):
        for sentence, more in {
                "folder none does not exist, expected one with the four IDX": ("--data", "none"),
                "data set 'cifar10' needs data_batch_1.bin": ("--dataset", "cifar10"),
                "none.pt: No such file": ("--start-from", "none.pt"),
                "none.safetensors: No such file": ("--teacher", "none.safetensors"),
                "none.so cannot be loaded": ("--attention", "qama", "--library",
                                             "none.so")}.items():
            with self.subTest(sentence):
                status, text = self.run_script("--max-steps", "1", *more)
                self.assertEqual(status, 1, text)
                self.assertRegex(text, sentence)
                self.assertEqual(text.count("\n"), 1, text)

    def test_the_other_scripts_say_one_sentence_too(self):
        (self.root / "bad.json").write_text("{")
        (self.root / "bad.safetensors").write_text("too short to be one")
        for sentence, module, arguments in (
                ("bad.json: no JSON", fleet, ("bad.json", "--data", ".", "--out", "fleet")),
                ("bad.safetensors: ", export, ("info", "bad.safetensors")),
                ("none: No such file", export, ("half", "none", "--dtype", "f16", "--out", "x")),
                ("folder none does not", pack, ("mnist", "--data", "none", "--out", "x")),
                ("folder none does not", text_teacher, ("sst2", "--data", "none", "--out", "x")),
                ("no row begins with", sweep, ("run", "--rows", "X", "--data", ".", "--out",
                                               "x"))):
            with self.subTest(module.__name__):
                status, text = scripts.call(module, self.root, arguments)
                self.assertEqual(status, 1, text)
                self.assertRegex(text, sentence)
                self.assertEqual(text.count("\n"), 1, text)

    def test_a_missing_package_is_named(self):
        (self.root / "sitecustomize.py").write_text(
            "import importlib.util\nfind = importlib.util.find_spec\n"
            "importlib.util.find_spec = lambda name, *rest: None if name == 'torch' else "
            "find(name, *rest)\n")
        found = subprocess.run([sys.executable, "-m", "qama_export.train", "--help"],
                               cwd=self.root, capture_output=True, text=True, check=False,
                               env={**os.environ,
                                    "PYTHONPATH": f"{PACKAGE}{os.pathsep}{self.root}"})
        self.assertEqual(found.returncode, 1)
        self.assertIn("apt-get install python3-torch", found.stderr)
        self.assertEqual(found.stderr.count("\n"), 1)

    def test_a_fleet_goes_on_where_it_was_stopped(self):
        runs = [{"name": "one", "arguments": " ".join(
            ["--dataset mnist --attention softmax --dim 16 --depth 1 --heads 2 --dim-head 4 "
             "--mlp 16 --patch 7 --batch 32 --golden 1 --eval-every 0 --epochs 100000"])}]
        (self.root / "runs.json").write_text(json.dumps(runs))
        line = ("runs.json", "--data", str(self.root), "--out", "fleet")
        process = self.start(*line, module="fleet")
        log = self.root / "fleet" / "one" / "log.jsonl"
        while process.poll() is None and not (log.exists() and "started" in log.read_text()):
            time.sleep(0.1)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=100)
        self.assertEqual(process.returncode, 130, text)
        self.assertTrue((self.root / "fleet" / "one" / "checkpoint.pt").exists(), text)
        step = torch.load(self.root / "fleet" / "one" / "checkpoint.pt")["step"]
        runs[0]["arguments"] += f" --max-steps {step + 2}"
        (self.root / "runs.json").write_text(json.dumps(runs))
        self.assertEqual(self.start(*line, module="fleet").wait(200), 0)
        self.assertEqual(json.loads(log.read_text().splitlines()[-1])["step"], step + 2)
        self.assertIn("resumed", log.read_text())


@unittest.skipUnless(LIBRARY, "libqama.so is not built: the solver binding stays untested")
class Binding(unittest.TestCase):
    def problem(self):
        torch.manual_seed(4)
        factors = torch.randn(3, 2, 5, 4)
        signs = torch.tensor([[1.0, 1, 1, -1], [1, -1, 1, 1]])
        couplings = torch.einsum("bhnd,hd,bhmd->bhnm", factors, signs, factors)
        return factors, signs, couplings, torch.randn(3, 2, 5)

    def test_small_problems_are_solved_to_the_minimum(self):
        factors, signs, couplings, field = self.problem()
        j = couplings.double().numpy()
        solver = Solver(sweeps=50, restarts=20)
        spins = solver.solve(couplings, field, 0.7).numpy()
        by_factors = solver.solve_factors(factors, signs, field, 0.7).numpy()
        for sample in range(3):
            def energy(s, sample=sample):
                return reference.layer_energy(j[sample], field[sample].double().numpy(), 0.7, s)
            best = min(energy(np.array(bits, float).reshape(2, 5))
                       for bits in itertools.product((0, 1), repeat=10))
            self.assertAlmostEqual(energy(spins[sample].astype(float)), best, delta=2e-3)
            self.assertAlmostEqual(energy(by_factors[sample].astype(float)), best, delta=2e-3)

    def test_seeds_repeat_after_reset_and_threads_do_not_matter(self):
        torch.manual_seed(8)
        couplings, field = torch.randn(8, 4, 30, 30), torch.randn(8, 4, 30)
        couplings = couplings + couplings.transpose(2, 3)
        one, two = Solver(seed=5, sweeps=1), Solver(seed=5, sweeps=1, threads=2)
        first, second = one.solve(couplings, field, 1.0), one.solve(couplings, field, 1.0)
        self.assertFalse(torch.equal(first, second))
        one.reset()
        self.assertTrue(torch.equal(one.solve(couplings, field, 1.0), first))
        self.assertTrue(torch.equal(two.solve(couplings, field, 1.0), first))

    def test_tokens_beyond_the_count_stay_unselected(self):
        _, _, couplings, field = self.problem()
        spins = Solver().solve(couplings[:, :1], field[:, :1].abs() + 100, 0.0,
                               torch.tensor([2, 5, 1]))
        self.assertEqual(spins.sum((1, 2)).tolist(), [2, 5, 1])

    def test_an_error_of_the_library_is_its_own_sentence(self):
        _, _, couplings, field = self.problem()
        with self.assertRaisesRegex(RuntimeError, "9 tokens"):
            Solver().solve(couplings, field, 0.0, torch.tensor([9, 5, 5]))


if __name__ == "__main__":
    unittest.main()
