"""Files that the package writes: killed at any moment, on a full disk, through links, the old file
or a whole new one is there."""
import json
import os
import random
import resource
import signal
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import torch
from qama_export import command, tensor_file

KILLS = int(os.environ.get("QAMA_TEST_KILLS", 10))


def save_model(path, version):
    tensor_file.write(path, {"a": np.full((300, 200), version, np.float32)}, {"format": "x"})


def is_model(path):
    tensors, _ = tensor_file.read(path)
    return bool((tensors["a"] == tensors["a"].flat[0]).all())


def save_pack(path, version):
    with command.replacing(path) as out:
        np.savez_compressed(out, a=np.full(100000, version), b=np.full(100000, version))


def is_pack(path):
    with np.load(path) as pack:
        return bool((pack["a"] == pack["b"][0]).all())


def save_checkpoint(path, version):
    command.write_checkpoint(path, {"a": torch.full((100000,), version), "step": version})


def is_checkpoint(path):
    state = torch.load(path)
    return bool((state["a"] == state["step"]).all())


def save_json(path, version):
    command.write_text(path, json.dumps([version] * 50000) + "\n")


def is_json(path):
    return len(json.loads(path.read_text())) == 50000


KINDS = {"model file": (save_model, is_model), "packed data": (save_pack, is_pack),
         "checkpoint": (save_checkpoint, is_checkpoint), "result": (save_json, is_json)}


class Outputs(unittest.TestCase):
    def test_a_dash_is_no_file(self):
        with self.assertRaisesRegex(ValueError, "'-' is no file"):
            command.write_text("-", "text")
        self.assertFalse(Path("-").exists())

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "out"

    def others(self):
        return [path for path in self.folder.iterdir() if path != self.path]

    def test_killed_at_any_moment(self):
        dice = random.Random(1)
        for name, (save, is_whole) in KINDS.items():
            with self.subTest(name):
                begin = time.monotonic()
                save(self.path, 0)
                seconds = time.monotonic() - begin
                for _ in range(KILLS):
                    child = os.fork()
                    if child == 0:
                        version = 0
                        while True:
                            version = version % 100 + 1
                            save(self.path, version)
                    time.sleep(dice.uniform(0, 3 * seconds))
                    os.kill(child, signal.SIGKILL)
                    self.assertEqual(os.waitpid(child, 0)[1], signal.SIGKILL)
                    self.assertTrue(is_whole(self.path))
                    for path in self.others():
                        self.assertTrue(path.name.startswith(".qama-"), path)
                        path.unlink()

    def test_a_full_disk_keeps_the_old_file(self):
        for name, (save, _) in KINDS.items():
            with self.subTest(name):
                self.path.write_text("old")
                before = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
                try:
                    with self.assertRaises((OSError, RuntimeError)):
                        save(self.path, 3)
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, before)
                self.assertEqual(self.path.read_text(), "old")
                self.assertEqual(self.others(), [])

    def test_links_modes_and_descriptors(self):
        target = self.folder / "target"
        target.write_text("old")
        target.chmod(0o640)
        self.path.symlink_to("target")
        command.write_text(self.path, "new")
        self.assertTrue(self.path.is_symlink())
        self.assertEqual((target.read_text(), target.stat().st_mode & 0o777), ("new", 0o640))
        (self.folder / "loop").symlink_to("loop")
        with self.assertRaises(OSError):
            command.write_text(self.folder / "loop", "x")
        read, write = os.pipe()
        for name in (f"/dev/fd/{write}", f"/proc/self/fd/{write}"):
            command.write_text(name, "through a pipe")
            self.assertEqual(os.read(read, 100), b"through a pipe")
        os.close(read)
        os.close(write)
        command.write_text("/dev/null", "x")
        with self.assertRaises(OSError):
            command.write_text("/dev/full", "x")

    @unittest.skipIf(os.geteuid() != 0, "only root can be somebody else")
    def test_a_strangers_link(self):
        self.folder.chmod(0o1777)
        victim = self.folder / "victim"
        victim.write_text("victim")
        self.path.symlink_to("victim")
        os.chown(self.path, 65534, 65534, follow_symlinks=False)
        with self.assertRaisesRegex(PermissionError, "somebody else"):
            command.write_text(self.path, "x")
        self.assertEqual(victim.read_text(), "victim")


if __name__ == "__main__":
    unittest.main()
