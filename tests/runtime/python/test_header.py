"""What library.py declares is what qama.h declares: every struct field by field, every function
argument by argument."""
import ctypes
import pathlib
import re
import unittest

from qama import library

ROOT = pathlib.Path(__file__).resolve().parents[3]
HEADER = re.sub(r"/\*.*?\*/", "", (ROOT / "runtime/api/include/qama/qama.h").read_text(),
                flags=re.S)
TYPES = {"uint32_t": ctypes.c_uint32, "int32_t": ctypes.c_int32, "uint64_t": ctypes.c_uint64,
         "int64_t": ctypes.c_int64, "double": ctypes.c_double, "float": ctypes.c_float,
         "size_t": ctypes.c_size_t, "qama_status": ctypes.c_int32, "void": None,
         "qama_progress_callback": library.ProgressCallback}
STRUCTS = {"qama_model_options": library.ModelOptions,
           "qama_session_options": library.SessionOptions, "qama_image": library.Image,
           "qama_guess": library.Guess, "qama_layer_solve": library.LayerSolve,
           "qama_answer": library.Answer, "qama_picture_options": library.PictureOptions,
           "qama_progress": library.Progress, "qama_solve_options": library.SolveOptions,
           "qama_solution": library.Solution,
           "qama_sample_options": library.SampleOptions,
           "qama_solver_options": library.SolverOptions}


def fields_of(name):
    body = re.search(r"typedef struct " + name + r" \{(.*?)\} " + name + ";", HEADER, re.S)[1]
    for line in body.split(";"):
        words = " ".join(line.split())
        if words:
            kind, names = re.fullmatch(r"((?:const )?\w+ ?\*?) ?(\w+(?:, \w+)*)", words).groups()
            for field in names.split(", "):
                yield field, kind.strip()


def is_pointer(kind):
    return kind in (ctypes.c_char_p, ctypes.c_void_p) or hasattr(kind, "contents")


def parts_of(name):
    """The result and the arguments of a function, as C spells them."""
    text = re.search(r"QAMA_API ([\w ]+?\*?) ?" + name + r"\(([^)]*)\);", HEADER)
    arguments = [" ".join(word.split()) for word in text[2].split(",")]
    return text[1].strip(), [] if arguments == ["void"] else arguments


class Header(unittest.TestCase):
    def test_structs(self):
        for name, mirror in STRUCTS.items():
            with self.subTest(name):
                declared = list(fields_of(name))
                self.assertEqual([field for field, _ in declared],
                                 [field for field, _ in mirror._fields_])
                for (field, kind), (_, ours) in zip(declared, mirror._fields_):
                    if kind.endswith("*"):
                        self.assertTrue(is_pointer(ours), field)
                    else:
                        self.assertIs(ours, TYPES[kind], field)

    def test_functions(self):
        for name, (arguments, result) in library.FUNCTIONS.items():
            with self.subTest(name):
                kind, declared = parts_of(name)
                self.assertEqual(is_pointer(result), kind.endswith("*"))
                if not kind.endswith("*"):
                    self.assertIs(result, TYPES[kind.removeprefix("const ")])
                self.assertEqual(len(declared), len(arguments))
                for text, given in zip(declared, arguments):
                    if "*" in text:
                        self.assertTrue(is_pointer(given), text)
                    else:
                        self.assertIs(given, TYPES[text.split()[0]], text)

    def test_the_library_has_them_all(self):
        self.assertRegex(library.load().qama_version().decode(), r"^\d+\.\d+\.\d+$")


if __name__ == "__main__":
    unittest.main()
