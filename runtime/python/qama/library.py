"""libqama, loaded once: its functions with their types, its structs, and its errors as exceptions.

Everything here mirrors `qama/qama.h`, where each function is described.
"""
import ctypes
import ctypes.util
import functools
import operator
import os
from ctypes import POINTER, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint8
from ctypes import c_uint32, c_uint64, c_void_p
from pathlib import Path

VARIABLE = "QAMA_LIBRARY"


class QamaError(RuntimeError):
    """An error of the library. `code` is its stable name ("MODEL_TRUNCATED"), `sentence` says what
    was expected and what was found."""

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code, self.sentence = code, message


def _whole(value):
    """A whole number of any type, as numpy's, as an int; anything else as it is."""
    try:
        return operator.index(value)
    except TypeError:
        return value


class _Struct(ctypes.Structure):
    """A struct whose first field is its size."""

    def __init__(self, **fields):
        super().__init__(**fields)
        if self._fields_[0][0] == "struct_size":
            self.struct_size = ctypes.sizeof(self)

    def __setattr__(self, name, value):
        value = _whole(value)
        super().__setattr__(name, value)
        if isinstance(value, int) and getattr(self, name) != value:
            raise ValueError(f"{name} {value}, which the library's number cannot hold")


class ModelOptions(_Struct):
    _fields_ = [("struct_size", c_uint32), ("mapping", c_int32), ("trust", c_char_p)]


class SessionOptions(_Struct):
    _fields_ = [("struct_size", c_uint32), ("max_batch", c_int32), ("threads", c_int32),
                ("seed", c_uint64), ("device", c_char_p), ("fallback", c_char_p),
                ("deadline_us", c_int64), ("sweeps", c_int32), ("restarts", c_int32),
                ("arena", c_void_p), ("arena_bytes", c_size_t), ("rounds", c_int32),
                ("round_sweeps", c_int32), ("in_flight", c_int32),
                ("sample_threads", c_int32), ("explain", c_int32)]


class Image(_Struct):
    _fields_ = [("struct_size", c_uint32), ("width", c_int32), ("height", c_int32),
                ("channels", c_int32), ("row_bytes", c_size_t), ("pixels", c_void_p)]


class Guess(ctypes.Structure):
    _fields_ = [("class_index", c_int32), ("label", c_char_p), ("probability", c_double)]


class LayerSolve(ctypes.Structure):
    _fields_ = [("solved_by", c_char_p), ("fallback", c_char_p), ("energy", c_double)]


class Answer(_Struct):
    _fields_ = [("struct_size", c_uint32), ("class_index", c_int32), ("label", c_char_p),
                ("probability", c_double), ("latency_us", c_double), ("solved_by", c_char_p),
                ("fallback", c_char_p), ("classes", c_int32), ("layers", c_int32),
                ("logits", POINTER(c_float)), ("top", POINTER(Guess)),
                ("solves", POINTER(LayerSolve)), ("words", c_int64), ("unknown_words", c_int32),
                ("truncated", c_int32), ("blank", c_int32), ("inverted", c_int32)]


class PictureOptions(_Struct):
    _fields_ = [("struct_size", c_uint32), ("fit", c_int32), ("invert", c_int32),
                ("strict", c_int32)]


class Progress(ctypes.Structure):
    """How far a search is: milliseconds, answers so far, the best value (nan before the first) and
    the best answer (null before the first)."""
    _fields_ = [("elapsed_ms", c_double), ("reads", c_int64), ("value", c_double),
                ("answer", POINTER(c_uint8))]


ProgressCallback = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(Progress))


class ProblemOptions(_Struct):
    _fields_ = [("struct_size", c_uint32), ("maximise", c_int32), ("format", c_char_p),
                ("symmetric", c_int32)]


class SolveOptions(_Struct):
    _fields_ = [("struct_size", c_uint32), ("threads", c_int32), ("seed", c_uint64),
                ("sweeps", c_int32), ("restarts", c_int32), ("time_limit_ms", c_double),
                ("target", c_double), ("t_start", c_double), ("t_end", c_double),
                ("start", c_int32), ("rounds", c_int32), ("round_sweeps", c_int32),
                ("t_round", c_double), ("device", c_char_p), ("form", c_char_p),
                ("initial", POINTER(c_uint8)), ("initial_count", c_int64),
                ("progress", ProgressCallback), ("progress_context", c_void_p)]


class SampleOptions(_Struct):
    _fields_ = [("struct_size", c_uint32), ("threads", c_int32), ("seed", c_uint64),
                ("temperature", c_double), ("burn_in", c_int32), ("between", c_int32)]


class Solution(_Struct):
    _fields_ = [("struct_size", c_uint32), ("exact_weights", c_int32), ("value", c_double),
                ("target_reached", c_int32), ("sweeps", c_int32), ("form", c_char_p),
                ("solved_by", c_char_p), ("solve_us", c_double), ("restarts", c_int64),
                ("rounds", c_int64), ("total_sweeps", c_int64), ("proposals", c_int64),
                ("flips", c_int64), ("optimal", c_int32), ("stopped", c_int32)]


class SolverOptions(_Struct):
    _fields_ = [("struct_size", c_uint32), ("threads", c_int32), ("seed", c_uint64),
                ("sweeps", c_int32), ("restarts", c_int32), ("t_start", c_float),
                ("t_end", c_float), ("rounds", c_int32), ("round_sweeps", c_int32),
                ("t_round", c_float), ("start", c_int32)]


# What a function takes and gives; one that gives a status is called through `call`.
_HANDLE = POINTER(c_void_p)
_STATUS = {
    "qama_model_open_with": [c_char_p, POINTER(ModelOptions), _HANDLE],
    "qama_model_fit_encoded": [c_void_p, c_char_p, c_size_t, c_void_p],
    "qama_session_create": [c_void_p, POINTER(SessionOptions), _HANDLE],
    "qama_session_classify_u8": [c_void_p, c_void_p, c_int32, c_void_p],
    "qama_session_run_f32": [c_void_p, c_void_p, c_int32, c_void_p],
    "qama_session_set_pictures": [c_void_p, POINTER(PictureOptions)],
    "qama_session_answer_images": [c_void_p, POINTER(Image), c_int32, POINTER(Answer)],
    "qama_session_answer_texts": [c_void_p, POINTER(c_char_p), c_int32, POINTER(Answer)],
    "qama_session_answer_encoded": [c_void_p, c_char_p, c_size_t, POINTER(Answer)],
    "qama_session_answer_file": [c_void_p, c_char_p, POINTER(Answer)],
    "qama_problem_open_with": [c_char_p, POINTER(ProblemOptions), _HANDLE],
    "qama_problem_from_text_with": [c_char_p, c_size_t, POINTER(ProblemOptions), _HANDLE],
    "qama_problem_from_graph": [c_int32, c_int64, c_void_p, c_void_p, c_void_p, _HANDLE],
    "qama_problem_from_terms": [c_int32, c_int64, c_void_p, c_void_p, c_void_p, c_double, _HANDLE],
    "qama_problem_from_matrix": [c_int32, c_void_p, c_double, _HANDLE],
    "qama_problem_value": [c_void_p, c_void_p, POINTER(c_double)],
    "qama_problem_sample": [c_void_p, POINTER(SampleOptions), c_int64, c_void_p, c_void_p],
    "qama_problem_solve": [c_void_p, POINTER(SolveOptions), c_void_p, POINTER(Solution)],
    "qama_problem_solve_many": [c_void_p, POINTER(SolveOptions), c_int64, c_void_p, c_void_p,
                                c_void_p, POINTER(c_int64), POINTER(Solution)],
    "qama_solver_create": [c_char_p, c_int32, c_int32, POINTER(SolverOptions), _HANDLE],
    "qama_solver_solve_f32": [c_void_p, c_int32, c_void_p, c_void_p, c_float, c_void_p, c_uint64,
                              c_void_p, c_void_p],
    "qama_solver_solve_factors_f32": [c_void_p, c_int32, c_int32, c_void_p, c_void_p, c_void_p,
                                      c_float, c_void_p, c_uint64, c_void_p, c_void_p],
}
_OTHERS = {
    "qama_version": ([], c_char_p),
    "qama_status_name": ([c_int32], c_char_p),
    "qama_last_error": ([], c_char_p),
    "qama_model_close": ([c_void_p], None),
    "qama_model_classes": ([c_void_p], c_int32),
    "qama_model_label": ([c_void_p, c_int32], c_char_p),
    "qama_model_image_height": ([c_void_p], c_int32),
    "qama_model_image_width": ([c_void_p], c_int32),
    "qama_model_image_channels": ([c_void_p], c_int32),
    "qama_model_max_tokens": ([c_void_p], c_int32),
    "qama_model_feature_width": ([c_void_p], c_int32),
    "qama_session_destroy": ([c_void_p], None),
    "qama_session_options_init_size": ([POINTER(SessionOptions), c_size_t], None),
    "qama_session_set_first_sample": ([c_void_p, c_uint64], None),
    "qama_session_pixels": ([c_void_p, c_int32], POINTER(c_uint8)),
    "qama_problem_close": ([c_void_p], None),
    "qama_solver_destroy": ([c_void_p], None),
    "qama_solver_options_init_size": ([POINTER(SolverOptions), c_size_t], None),
    "qama_problem_variables": ([c_void_p], c_int64),
    "qama_problem_maximises": ([c_void_p], c_int32),
    "qama_sample_options_init_size": ([POINTER(SampleOptions), c_size_t], None),
    "qama_solve_options_init_size": ([POINTER(SolveOptions), c_size_t], None),
}
FUNCTIONS = {**{name: (arguments, c_int32) for name, arguments in _STATUS.items()}, **_OTHERS}


def find() -> str | None:
    """Where libqama is: $QAMA_LIBRARY, else inside this package, else a build of the checkout that
    this package lies in, else where the system keeps libraries. None: nowhere."""
    named = os.environ.get(VARIABLE)
    if named:
        return named
    here = Path(__file__).resolve()
    candidates = [here.parent / "libqama.so"]
    candidates += [here.parents[3] / "build" / preset / "runtime" / "libqama.so"
                   for preset in ("release", "demo")]
    return next((str(path) for path in candidates if path.exists()),
                ctypes.util.find_library("qama"))


def is_in_package(path) -> bool:
    return Path(path).resolve().parent == Path(__file__).resolve().parent


@functools.cache
def load(path: str | None = None):
    """The library at `path`, by default where find() finds it; loaded once. OSError where there is
    none, or where it cannot be loaded."""
    path = path or find()
    if path is None:
        raise FileNotFoundError("libqama.so is not built: `cmake --build --preset demo --target "
                                "qama_shared` (or release) builds it after the demo; "
                                f"{VARIABLE}=FILE names another one")
    try:
        # What a wheel brings beside the library is found under its name once it is loaded.
        for needed in sorted(Path(path).parent.glob("lib*.so.*")) if is_in_package(path) else ():
            ctypes.CDLL(os.fspath(needed))
        library = ctypes.CDLL(os.fspath(path))
    except OSError as error:
        raise OSError(f"{path} cannot be loaded: {error}") from error
    for name, (arguments, result) in FUNCTIONS.items():
        function = getattr(library, name, None)
        if function is None:
            raise OSError(f"{path} has no function {name}: it is older than this package")
        function.argtypes, function.restype = arguments, result
    return library


def call(name: str, *arguments, path: str | None = None) -> None:
    """Calls a function that gives a status; a status other than 0 becomes a QamaError."""
    library = load(path)
    function = getattr(library, name)
    for argument, kind in zip(map(_whole, arguments), function.argtypes):
        # ctypes would take the lower bits of one that is too large.
        if isinstance(argument, int) and kind in (c_int32, c_int64, c_uint64, c_size_t) and (
                kind(argument).value != argument):
            raise ValueError(f"{argument} in a call of {name}, which its number cannot hold")
    status = function(*arguments)
    if status != 0:
        raise QamaError(library.qama_status_name(status).decode(),
                        library.qama_last_error().decode(errors="replace"))


def bytes_of(text) -> bytes | None:
    """A path or a word as the library takes it; None stays None. ValueError for a zero byte, at
    which the library would stop reading."""
    if text is None:
        return None
    data = os.fsencode(text)
    if b"\0" in data:
        raise ValueError(f"{text!r} has a zero byte")
    return data


def text_of(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="replace")
