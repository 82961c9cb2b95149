"""ONNX Runtime by its C API: only what a test needs, so that no package is needed beside the
library itself."""
import ctypes
import os
import platform
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

import numpy as np

API = 17
KINDS = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}
FOLDERS = {"x86_64": "x64", "aarch64": "arm64"}
# Places in OrtApi, which never change.
(GET_ERROR_MESSAGE, CREATE_ENV, CREATE_SESSION, RUN, CREATE_OPTIONS, LEVEL, THREADS, CREATE_TENSOR,
 GET_DATA, CREATE_MEMORY_INFO, RELEASE_STATUS, RELEASE_SESSION, RELEASE_VALUE, RELEASE_OPTIONS,
 REGISTER) = (2, 3, 7, 9, 10, 23, 24, 49, 51, 69, 93, 95, 96, 100, 228)


def library():
    """The path of ONNX Runtime's library, or None: what QAMA_ONNXRUNTIME names, or what
    bench/peers/run has fetched."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    path = Path(os.environ.get("QAMA_ONNXRUNTIME") or cache / "qama/peers/package/bin/napi-v6/linux"
                / FOLDERS.get(platform.machine(), "none") / "libonnxruntime.so.1")
    return path if path.exists() else None


class EngineError(RuntimeError):
    pass


class Engine:
    """An open library; one a process."""

    def __init__(self, path):
        base = ctypes.CDLL(str(path)).OrtGetApiBase
        base.restype = POINTER(c_void_p)
        self.version = ctypes.CFUNCTYPE(c_char_p)(base()[1])().decode()
        get_api = ctypes.CFUNCTYPE(c_void_p, ctypes.c_uint32)(base()[0])
        self.api = ctypes.cast(get_api(API), POINTER(c_void_p))
        self.environment, self.memory = c_void_p(), c_void_p()
        self.call(CREATE_ENV, [c_int, c_char_p, c_void_p], 3, b"test", byref(self.environment))
        self.call(CREATE_MEMORY_INFO, [c_int, c_int, c_void_p], 0, 0, byref(self.memory))

    def call(self, place, kinds, *arguments):
        """A function that returns a status."""
        status = ctypes.CFUNCTYPE(c_void_p, *kinds)(self.api[place])(*arguments)
        if status:
            message = ctypes.CFUNCTYPE(c_char_p, c_void_p)(self.api[GET_ERROR_MESSAGE])(status)
            self.release(RELEASE_STATUS, status)
            raise EngineError(message.decode())

    def release(self, place, what):
        ctypes.CFUNCTYPE(None, c_void_p)(self.api[place])(what)

    def session(self, path, operators=None, threads=1):
        return EngineSession(self, path, operators, threads)


class EngineSession:
    def __init__(self, engine, path, operators, threads):
        self.engine, self.session = engine, c_void_p()
        options = c_void_p()
        engine.call(CREATE_OPTIONS, [c_void_p], byref(options))
        try:
            engine.call(THREADS, [c_void_p, c_int], options, threads)
            if operators is not None:
                engine.call(REGISTER, [c_void_p, c_char_p], options, str(operators).encode())
            engine.call(CREATE_SESSION, [c_void_p, c_char_p, c_void_p, c_void_p],
                        engine.environment, str(path).encode(), options, byref(self.session))
        finally:
            engine.release(RELEASE_OPTIONS, options)

    def run(self, outputs, **inputs):
        """outputs: name -> shape. Arrays float32, by name."""
        values = []

        def tensor(array):
            value, shape = c_void_p(), (c_int64 * array.ndim)(*array.shape)
            self.engine.call(CREATE_TENSOR, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t,
                                             c_int, c_void_p],
                             self.engine.memory, array.ctypes.data, array.nbytes, shape, array.ndim,
                             KINDS[array.dtype], byref(value))
            values.append(value)
            return value

        given = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        out = {name: np.empty(shape, np.float32) for name, shape in outputs.items()}
        try:
            self.engine.call(RUN, [c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p,
                                   c_size_t, c_void_p], self.session, None,
                             (c_char_p * len(given))(*(name.encode() for name in given)),
                             (c_void_p * len(given))(*(tensor(a) for a in given.values())),
                             len(given), (c_char_p * len(out))(*(name.encode() for name in out)),
                             len(out), (c_void_p * len(out))(*(tensor(a) for a in out.values())))
        finally:
            for value in values:
                self.engine.release(RELEASE_VALUE, value)
        return out

    def close(self):
        self.engine.release(RELEASE_SESSION, self.session)
        self.session = None
