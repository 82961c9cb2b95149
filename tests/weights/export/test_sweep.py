"""The sweep's rows, arguments and table, without training."""
import json
import tempfile
import unittest
from pathlib import Path

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
