"""The sweep's rows, arguments and table, without training."""
import json
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from qama_export import sweep, train


class Sweep(unittest.TestCase):
    def test_every_row_of_the_paper_is_there_with_its_spins(self):
        rows = {row.name: row for row in sweep.rows()}
        self.assertEqual(len(rows), 2 * (3 * 4 + 3 * 5))
        qubits = {"IV-mnist-h1-qama": 49, "IV-cifar10-h8-qama": 512, "V-mnist-p1x1-qama": 392,
                  "V-mnist-p2x7-qama": 28, "V-cifar10-p1x1-qama": 512, "V-cifar10-p4x4-qama": 32,
                  "V-fashion-mnist-p14x14-qama": 2}
        for name, spins in qubits.items():
            self.assertEqual(rows[name].heads * rows[name].tokens, spins, name)
        self.assertEqual(rows["IV-mnist-h4-qama"].paper, (96.9, 96.9))

    def test_arguments_are_those_of_train(self):
        options = sweep.parse(["run", "--rows", "IV", "--data", "d", "--out", "o", "--epochs", "3"])
        for row in sweep.rows():
            parsed = train.parse(sweep.train_arguments(row, options))
            self.assertEqual((parsed.heads, parsed.dim_head * parsed.heads, parsed.epochs),
                             (row.heads, parsed.dim, 3))
            self.assertEqual(parsed.token_pool, row.pool)

    def test_the_published_recipe_has_the_rows_of_three_tables(self):
        options = sweep.parse(["run", "--recipe", "published", "--rows", "IV", "--data", "d",
                               "--out", "o"])
        rows = sweep.rows("published")
        self.assertEqual(len({row.name for row in rows}), 2 * (12 + 15) + 5)
        for row in rows:
            parsed = train.parse(sweep.train_arguments(row, options))
            self.assertEqual((parsed.dim, parsed.depth, parsed.mlp, parsed.epochs, parsed.heads,
                              parsed.dim_head * row.heads, parsed.patch, parsed.token_pool,
                              parsed.projection, parsed.keep_best),
                             (64, 1, 64, 50, row.heads, 64, row.patch, row.pool, False, True))
        names = [row.name for row in sweep.chosen(["IV-cifar10-h8", "VII"], "published")]
        self.assertEqual(names, ["IV-cifar10-h8-softmax", "IV-cifar10-h8-qama_bilinear",
                                 *(f"VII-cifar10-{kind}" for kind in sweep.PAPER_KINDS)])
        result = {"epochs": 50.0, "full": True, "best_epoch": 41.0,
                  "eval": [{"accuracy": 0.6}], "last_eval": [{"accuracy": 0.59}]}
        table = sweep.table({names[1]: result, names[2]: result}, "published").splitlines()
        self.assertEqual(table[-7:-3], [
            "| softmax | 61.4 / 62.0 | - | - | - | not run |",
            "| qama_bilinear | 59.3 / 59.3 | 59.00 | 60.00 | 41 | full |",
            "| longformer | 62.1 / 62.3 | 59.00 | 60.00 | 41 | full |",
            "| bigbird | 60.0 / 61.0 | - | - | - | not run |"])
        self.assertIn("| IV | cifar10 | 8 | 64 | 512 | 62.0 / 59.3 | - | 60.00 (60.00) | - | "
                      "- / 50 | not run / full |", table)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "some.tsv"
            sweep.write_tsv(path, "\n".join(table), "published")
            for name, lines, last in (("some.tsv", 2 + 27, "- / -\tnot run"),
                                      ("some-kinds.tsv", 2 + 7, "-\t-\t-\tnot run")):
                found = path.with_name(name).read_text().splitlines()
                self.assertEqual(len(found), lines)
                self.assertTrue(found[0].startswith("# `python3 -m qama_export.sweep table"))
                self.assertEqual({line.count("\t") for line in found[1:]},
                                 {found[1].count("\t")})
                self.assertTrue(found[-1].endswith(last), found[-1])
            # Another OUT, without these results.
            before = path.read_text(), path.with_name("some-kinds.tsv").read_text()
            self.assertIn("longformer\t62.1 / 62.3\t59.00", before[1])
            empty = sweep.table({}, "published")
            sweep.write_tsv(path, empty, "published")
            self.assertEqual((path.read_text(), path.with_name("some-kinds.tsv").read_text()),
                             before)

    def test_rows_are_chosen_by_their_beginnings(self):
        self.assertEqual(len(sweep.chosen(["IV-mnist-h1"])), 2)
        self.assertEqual(len(sweep.chosen(["V-cifar10", "IV-cifar10-h8-qama"])), 11)
        with self.assertRaisesRegex(ValueError, "VI-mnist"):
            sweep.chosen(["VI-mnist"])

    def test_the_table_says_what_was_run_and_how(self):
        results = {"IV-mnist-h1-softmax": {"epochs": 14.0, "full": True,
                                           "eval": [{"accuracy": 0.97}]},
                   "IV-mnist-h1-qama": {"epochs": 4.0, "full": False,
                                        "eval": [{"accuracy": a} for a in (0.95, 0.96, 0.97)]}}
        lines = sweep.table(results).splitlines()
        self.assertEqual(len(lines), 2 + 27)
        self.assertIn("| 97.00 | 96.00 (95.00 / 96.00 / 97.00) | -1.00 | 14 / 4 | full / shortened "
                      "|", lines[2])
        self.assertTrue(all(line.endswith("| - | - / - | not run |") for line in lines[3:]))

    def test_the_table_names_rows_that_failed(self):
        lines = sweep.table({}, failed=["IV-mnist-h1-qama"]).splitlines()
        self.assertTrue(lines[2].endswith("| not run / failed |"), lines[2])
        lines = sweep.table({}, "published", ["VII-cifar10-bigbird"]).splitlines()
        self.assertIn("| bigbird | 60.0 / 61.0 | - | - | - | failed |", lines)

    def test_a_failed_row_does_not_spoil_the_others(self):
        with tempfile.TemporaryDirectory() as folder:
            options = sweep.parse(["run", "--rows", "IV-mnist-h1", "IV-mnist-h2", "--data", "d",
                                   "--out", folder])
            rows = sweep.chosen(options.rows)
            bad = {rows[1].name}

            def train_and_evaluate(row, options):
                if row.name in bad:
                    raise RuntimeError("it broke\nthere")
                sweep.result_file(row, options).write_text("{}")
                return {}

            with mock.patch.object(sweep, "train_and_evaluate", train_and_evaluate):
                with self.assertRaisesRegex(RuntimeError, f"1 of 4 rows failed: {rows[1].name}"):
                    sweep.run_rows(rows, options)
                self.assertEqual(len(sweep.read_results(folder)), 3)
                self.assertEqual(sweep.read_failed(folder), bad)
                failed = Path(folder) / rows[1].name / "failed.txt"
                self.assertEqual(failed.read_text(), "it broke there\n")
                # What is missing is one task of an array, and is tried again.
                self.assertIn("--array=0-0\n", sweep.write_array(options).read_text())
                bad.clear()
                sweep.run_rows(rows, options)
                self.assertEqual(sweep.read_failed(folder), set())
                with self.assertRaisesRegex(ValueError, "all these rows have results"):
                    sweep.write_array(options)

    def test_a_result_of_another_recipe_is_refused(self):
        # Both recipes have rows of softmax with the same names.
        with tempfile.TemporaryDirectory() as folder:
            words = ["run", "--rows", "IV-mnist-h1-softmax", "--data", "d", "--out", folder]
            result = {"epochs": 14.0, "full": True, "eval": [{"accuracy": 0.97}]}
            for recipe, other in (("", "published"), ("published", "")):
                options = [sweep.parse([*words, *(["--recipe", one] if one else [])])
                           for one in (recipe, other)]
                row, foreign = (sweep.chosen(one.rows, one.recipe)[0] for one in options)
                if recipe:
                    result.update(best_epoch=41.0, last_eval=result["eval"])
                path = sweep.result_file(row, options[0])
                path.parent.mkdir(exist_ok=True)
                path.write_text(json.dumps(result))
                self.assertEqual(sweep.run_row(row, options[0]), result)
                self.assertEqual(sweep.read_results(folder, recipe), {row.name: result})
                with self.assertRaisesRegex(ValueError, "recipe published.* another --out"):
                    sweep.run_row(foreign, options[1])
                with self.assertRaisesRegex(ValueError, "recipe published.* another --out"):
                    sweep.read_results(folder, other)
                self.assertEqual(sweep.read_failed(folder), set())

    def test_a_damaged_result_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            options = sweep.parse(["run", "--rows", "IV-mnist-h1-softmax", "--data", "d", "--out",
                                   folder])
            row = sweep.chosen(options.rows)[0]
            path = sweep.result_file(row, options)
            path.parent.mkdir()
            for text in ("", '{"epochs": 1, "ev', "[]"):
                path.write_text(text)
                for use in (lambda: sweep.read_results(folder),
                            lambda: sweep.run_row(row, options)):
                    with self.assertRaisesRegex(ValueError, str(path)):
                        use()
            for result in ({"row": row.name}, {"epochs": 1.0, "full": True, "eval": []}):
                with self.assertRaisesRegex(ValueError, f"the result of {row.name} has no"):
                    sweep.table({row.name: result})

    def test_a_training_with_other_options_is_no_full_run(self):
        with tempfile.TemporaryDirectory() as folder:
            words = ["run", "--rows", "IV-mnist-h1-softmax", "--data", "d", "--out", folder]
            short = sweep.parse([*words, "--train-samples", "256"])
            row = sweep.chosen(short.rows)[0]
            started = {"event": "started",
                       "options": vars(train.parse(sweep.train_arguments(row, short)))}
            (Path(folder) / row.name).mkdir()
            log = Path(folder) / row.name / "log.jsonl"
            # A line that was cut off does not count.
            log.write_text(json.dumps(started) + "\n" + '{"accuracy": 0.9, "ev')
            with mock.patch.object(sweep, "train_and_evaluate", return_value={"row": row.name}):
                with self.assertRaisesRegex(ValueError, "train_samples 256, expected 0"):
                    sweep.run_row(row, sweep.parse(words))
                self.assertEqual(sweep.read_failed(folder), set())
                other = sweep.parse([*words, "--train-samples", "256", "--threads", "2", "--epochs",
                                     "20", "--time-limit", "9"])
                for options in (short, other):
                    self.assertEqual(sweep.run_row(row, options), {"row": row.name})

    def test_a_row_belongs_to_one_process(self):
        with tempfile.TemporaryDirectory() as folder:
            options = sweep.parse(["run", "--rows", "IV", "--data", "d", "--out", folder])
            row = sweep.rows()[0]
            (Path(folder) / row.name).mkdir()
            holder = subprocess.Popen([sys.executable, "-c", "import fcntl, sys; "
                                       "file = open(sys.argv[1], 'w'); "
                                       "fcntl.lockf(file, fcntl.LOCK_EX); print(flush=True); "
                                       "sys.stdin.read()", str(Path(folder) / row.name / "lock")],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            holder.stdout.readline()
            with mock.patch.object(sweep, "train_and_evaluate", side_effect=AssertionError):
                self.assertIsNone(sweep.run_row(row, options))
            holder.communicate()
            with mock.patch.object(sweep, "train_and_evaluate", return_value={"row": row.name}):
                self.assertEqual(sweep.run_row(row, options), {"row": row.name})

    def test_a_job_array_runs_each_row_with_the_same_options(self):
        words = ["--rows", "VII", "IV-mnist-h8", "--data", "d e", "--out", "o'", "--recipe",
                 "published", "--epochs", "2", "--threads", "3", "--train-only", "--time-limit",
                 "0.5"]
        options = sweep.parse(["slurm", *words])
        rows = sweep.chosen(options.rows, options.recipe)
        script = sweep.array_script(rows, options)
        # A stand-in for Python prints what it is called with.
        script = script.replace(f"exec {shlex.quote(sys.executable)} -m", "exec printf '%s\\n'")
        for task, row in enumerate(rows):
            lines = subprocess.run(["bash"], input=script, check=True, text=True,
                                   capture_output=True, env={"SLURM_ARRAY_TASK_ID": str(task)}
                                   ).stdout.splitlines()
            self.assertEqual(lines[:2], [row.name, "qama_export.sweep"])
            expected = sweep.parse(["run", *words])
            expected.rows = [row.name]
            self.assertEqual(sweep.parse(lines[2:]), expected)
        self.assertIn(f"#SBATCH --array=0-{len(rows) - 1}\n", script)
        self.assertIn("#SBATCH --cpus-per-task=3\n", script)
        # Slurm's own place holders begin with a per cent sign.
        options.out = "/all 50%a"
        self.assertIn("#SBATCH --output='/all 50%%a/task-%a.txt'\n",
                      sweep.array_script(rows, options))
        alone = subprocess.run(["bash"], input=script, check=False, text=True, capture_output=True,
                               env={})
        self.assertNotEqual(alone.returncode, 0)
        self.assertIn("submit this file with sbatch", alone.stderr)

    def test_a_file_s_table_is_replaced_between_its_marks(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "README.md"
            path.write_text("before\n")
            sweep.update(path, "one\n")
            path.write_text(path.read_text() + "after\n")
            sweep.update(path, "two\n")
            self.assertEqual(path.read_text(),
                             "before\n<!-- sweep: begin -->\ntwo\n<!-- sweep: end -->\nafter\n")
            (Path(folder) / "V-x").mkdir()
            (Path(folder) / "V-x" / "result.json").write_text(json.dumps({"row": "V-x"}))
            self.assertEqual(sweep.read_results(folder), {"V-x": {"row": "V-x"}})


if __name__ == "__main__":
    unittest.main()
