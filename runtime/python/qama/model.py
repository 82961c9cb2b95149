"""Models and sessions: what is in a picture or a text."""
import ctypes
import os
import weakref
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from . import library
from .library import bytes_of, call, text_of

FITS = ("model", "stretch", "crop", "pad", "content")
INVERTS = ("model", "auto", "no", "yes")


@dataclass(frozen=True)
class Guess:
    """A class with its probability, the softmax of the logits."""
    index: int
    label: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """A sample's answer; printed, it is one line."""
    index: int
    label: str
    probability: float
    logits: np.ndarray = field(repr=False)  # float32 [classes]
    top: tuple[Guess, ...] = field(repr=False)  # all classes, the likeliest first
    latency_us: float  # wall time of the run, without decoding and fitting
    solved_by: str  # "cpu:avx512"; "" if there is no QAMA layer
    fallback: str | None  # why another device than the session's solved a layer
    energies: tuple[float, ...] = field(repr=False)  # of each QAMA layer: E(s), Eq. 3
    words: int = 0  # of a text; 0: it is empty
    unknown_words: int = 0  # of those that were read, how many the vocabulary lacks
    truncated: bool = False  # the text is longer than the model reads
    blank: bool = False  # the picture has one colour, or noise alone
    inverted: bool = False  # dark and light changed places

    @property
    def probabilities(self) -> np.ndarray:
        """float64 [classes], by class."""
        out = np.empty(len(self.top))
        for guess in self.top:
            out[guess.index] = guess.probability
        return out

    def __str__(self) -> str:
        best = ", ".join(f"{guess.label} {100 * guess.probability:.1f} %"
                         for guess in self.top[:3])
        return f"{best}  ({self.latency_us:.0f} us{', ' * bool(self.solved_by)}{self.solved_by})"


def _answer(raw: library.Answer) -> Answer:
    top = tuple(Guess(raw.top[i].class_index, text_of(raw.top[i].label), raw.top[i].probability)
                for i in range(raw.classes))
    return Answer(raw.class_index, text_of(raw.label), raw.probability,
                  np.array(raw.logits[:raw.classes], np.float32), top, raw.latency_us,
                  text_of(raw.solved_by), text_of(raw.fallback),
                  tuple(raw.solves[i].energy for i in range(raw.layers)), raw.words,
                  raw.unknown_words, bool(raw.truncated), bool(raw.blank), bool(raw.inverted))


_Self = TypeVar("_Self", bound="_Owner")


class _Owner:
    """Owns a handle of the library, until it is closed or forgotten."""

    def _own(self, opened: ctypes.c_void_p, close: str) -> None:
        self._opened = opened
        self._close = weakref.finalize(self, getattr(library.load(), close), opened)

    @property
    def _handle(self) -> ctypes.c_void_p:
        """ValueError where it is closed: the library would read memory that is not its own."""
        if not self._close.alive:
            raise ValueError(f"the {type(self).__name__.lower()} is closed")
        return self._opened

    def close(self) -> None:
        self._close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()


class Model(_Owner):
    """An open model file. Immutable; threads may share it. Once it is closed, its sessions go on,
    and a new one is a ValueError.

    trust: a file with an Ed25519 public key in PEM; a model that this key did not sign is refused.
    """

    def __init__(self, path: str | os.PathLike, *, trust: str | os.PathLike | None = None):
        options = library.ModelOptions(trust=bytes_of(trust))
        opened = ctypes.c_void_p()
        call("qama_model_open_with", bytes_of(path), ctypes.byref(options), ctypes.byref(opened))
        self._own(opened, "qama_model_close")
        self.path = os.fspath(path)
        loaded = library.load()
        self.labels: tuple[str, ...] = tuple(
            text_of(loaded.qama_model_label(self._handle, i))
            for i in range(loaded.qama_model_classes(self._handle)))
        # (height, width, channels); None of another model than one of images.
        shape = (loaded.qama_model_image_height(self._handle),
                 loaded.qama_model_image_width(self._handle),
                 loaded.qama_model_image_channels(self._handle))
        self.image_shape: tuple[int, int, int] | None = shape if all(shape) else None
        # Tokens of a text at most, or of features; 0 of an image model.
        self.max_tokens: int = loaded.qama_model_max_tokens(self._handle)
        # (tokens, width); None of another model than one of features.
        width = loaded.qama_model_feature_width(self._handle)
        self.feature_shape: tuple[int, int] | None = (self.max_tokens, width) if width else None

    def session(self, **options) -> "Session":
        """Session(self, **options)."""
        return Session(self, **options)

    def __repr__(self) -> str:
        shape = self.image_shape or self.feature_shape
        what = "x".join(map(str, shape)) if shape else "texts"
        return f"<qama.Model {self.path!r}: {what}, {len(self.labels)} classes>"


class Session(_Owner):
    """Runs a model. One thread at a time may use it; once it is closed, a call is a ValueError.

    max_batch: samples of a call of the library at most. threads: that share a batch.
    sample_threads: that work on one sample together, of each of those, for single samples of large
    models. seed: of the annealer; 0: the default. device, fallback, deadline_us, sweeps, restarts:
    as `qama classify` has them; None: as the model file says. fit, invert, strict: how pictures
    become the model's pixels (FITS, INVERTS); with strict, a blank picture is the error
    IMAGE_BLANK.
    """

    def __init__(self, model: Model, *, max_batch: int = 1, threads: int = 1,
                 sample_threads: int = 1, seed: int = 0, device: str | None = None,
                 fallback: str | None = None, deadline_us: int = 0, sweeps: int | None = None,
                 restarts: int | None = None, fit: str = "model", invert: str = "model",
                 strict: bool = False):
        for name, given, least in (("max_batch", max_batch, 1), ("threads", threads, 1),
                                   ("sample_threads", sample_threads, 1), ("sweeps", sweeps, 0),
                                   ("restarts", restarts, 1), ("deadline_us", deadline_us, 0)):
            if given is not None and given < least:
                raise ValueError(f"{name} {given}, expected {least} or more")
        loaded = library.load()
        options = library.SessionOptions()
        loaded.qama_session_options_init_size(ctypes.byref(options), ctypes.sizeof(options))
        options.max_batch, options.threads, options.seed = max_batch, threads, seed
        options.sample_threads = sample_threads
        options.device, options.fallback = bytes_of(device), bytes_of(fallback)
        options.deadline_us = deadline_us
        options.sweeps = -1 if sweeps is None else sweeps
        options.restarts = -1 if restarts is None else restarts
        pictures = library.PictureOptions(fit=_place(FITS, "fit", fit),
                                          invert=_place(INVERTS, "invert", invert),
                                          strict=strict)
        opened = ctypes.c_void_p()
        call("qama_session_create", model._handle, ctypes.byref(options), ctypes.byref(opened))
        self._own(opened, "qama_session_destroy")
        call("qama_session_set_pictures", self._handle, ctypes.byref(pictures))
        self.model, self.max_batch = model, max_batch

    def classify(self, sample) -> Answer:
        """The answer for one sample.

        Of an image model: the path of an image file, its bytes, or an array uint8 [height][width]
        (gray) or [height][width][channels] (gray, gray + alpha, RGB, RGB + alpha) of any size. Of a
        text model: the text. Of a model of features: the path of a .npy file, or FILE.npy:INDEX.
        """
        return self.classify_all([sample])[0]

    def classify_all(self, samples) -> list[Answer]:
        """The answers for many samples. Arrays and texts go to the library max_batch at a time.
        Sample i has the index i, with which the seed decides the solver's random numbers: an answer
        does not depend on how samples are put into batches. `qama classify` gives the index 0 to
        every file and line, as classify() does: a QAMA layer may draw other numbers there."""
        samples = list(samples)
        out: list[Answer] = []
        for begin in range(0, len(samples), self.max_batch):
            part = samples[begin:begin + self.max_batch]
            self._set_first_sample(begin)
            if self.model.feature_shape is not None:
                for i, sample in enumerate(part):
                    self._set_first_sample(begin + i)
                    out.append(self._file(sample))
            elif self.model.image_shape is None:
                out += self._texts(part)
            elif all(isinstance(sample, np.ndarray) for sample in part):
                out += self._images(part)
            else:
                for i, sample in enumerate(part):
                    self._set_first_sample(begin + i)
                    out.append(self._images([sample])[0] if isinstance(sample, np.ndarray)
                               else self._file(sample))
        self._set_first_sample(0)
        return out

    def logits(self, samples: np.ndarray) -> np.ndarray:
        """float32 [n][classes] of pixels as the model has them: uint8 [n][height][width][channels]
        (channels may be left out if there is one), or normalised float32
        [n][channels][height][width]; or of features, float32 [n][tokens][width]."""
        samples = np.ascontiguousarray(samples)
        if self.model.feature_shape is not None:
            if samples.dtype != np.float32 or samples.shape[1:] != self.model.feature_shape:
                raise ValueError(f"{samples.dtype} features {list(samples.shape)}, expected "
                                 f"float32 [n, {', '.join(map(str, self.model.feature_shape))}]")
            return self._logits("qama_session_run_f32", samples)
        if self.model.image_shape is None:
            raise ValueError("the model reads texts: use classify or classify_all")
        height, width, channels = self.model.image_shape
        if samples.dtype == np.uint8:
            function, shape = "qama_session_classify_u8", (height, width, channels)
            if channels == 1 and samples.ndim == 3:
                samples = samples[..., None]
        elif samples.dtype == np.float32:
            function, shape = "qama_session_run_f32", (channels, height, width)
        else:
            raise ValueError(f"{samples.dtype} pixels, expected uint8 or float32")
        if samples.ndim != 4 or samples.shape[1:] != shape:
            raise ValueError(f"pixels {list(samples.shape)}, expected [n, "
                             f"{', '.join(map(str, shape))}]")
        return self._logits(function, samples)

    def _logits(self, function: str, samples: np.ndarray) -> np.ndarray:
        out = np.empty((len(samples), len(self.model.labels)), np.float32)
        for begin in range(0, len(samples), self.max_batch):
            part = samples[begin:begin + self.max_batch]
            self._set_first_sample(begin)
            call(function, self._handle, part.ctypes.data, len(part),
                 out[begin:].ctypes.data)
        self._set_first_sample(0)
        return out

    def _set_first_sample(self, first: int) -> None:
        library.load().qama_session_set_first_sample(self._handle, first)

    def pixels(self, sample: int = 0) -> np.ndarray | None:
        """What the model saw of picture `sample` of the last call of the library: uint8
        [height][width][channels]. None: no picture was brought to the model's size."""
        seen = library.load().qama_session_pixels(self._handle, sample)
        if not seen:
            return None
        return np.ctypeslib.as_array(seen, self.model.image_shape).copy()

    def _images(self, arrays) -> list[Answer]:
        arrays = [_pixels(array) for array in arrays]  # kept until the call returns
        images = (library.Image * len(arrays))()
        for image, array in zip(images, arrays):
            image.struct_size = ctypes.sizeof(library.Image)
            image.height, image.width = array.shape[:2]
            image.channels = array.shape[2]
            image.pixels = array.ctypes.data
        return self._answers("qama_session_answer_images", images, len(arrays))

    def _texts(self, texts) -> list[Answer]:
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"{type(text).__name__}, expected a text (str)")
            if "\0" in text:
                raise ValueError("a text has a zero byte")
        words = (ctypes.c_char_p * len(texts))(*(text.encode() for text in texts))
        return self._answers("qama_session_answer_texts", words, len(texts))

    def _file(self, sample) -> Answer:
        answer = library.Answer()
        if isinstance(sample, (bytes, bytearray, memoryview)):
            data = bytes(sample)
            call("qama_session_answer_encoded", self._handle, data, len(data),
                 ctypes.byref(answer))
        elif isinstance(sample, (str, os.PathLike)):
            call("qama_session_answer_file", self._handle, bytes_of(sample), ctypes.byref(answer))
        else:
            raise TypeError(f"{type(sample).__name__}, expected a path, bytes or a numpy array")
        return _answer(answer)

    def _answers(self, function, samples, count) -> list[Answer]:
        answers = (library.Answer * count)()
        answers[0].struct_size = ctypes.sizeof(library.Answer)
        call(function, self._handle, samples, count, answers)
        return [_answer(answer) for answer in answers]


def _place(names, what, name) -> int:
    if name not in names:
        raise ValueError(f"{what} {name!r}, expected one of {', '.join(names)}")
    return names.index(name)


def _pixels(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8:
        raise ValueError(f"an image of {array.dtype}, expected uint8 (0 to 255)")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        raise ValueError(f"an image of shape {list(array.shape)}, expected [height, width] or "
                         "[height, width, 1 to 4 channels]")
    return np.ascontiguousarray(array)
