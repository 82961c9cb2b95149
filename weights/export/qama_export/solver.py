"""The runtime's own annealer, called through the C API of libqama
(runtime/api/include/qama/qama.h).

Training solves with exactly what inference will solve with. Nothing here computes a spin: an error
of the library is raised with its own sentence.
"""
import ctypes
import ctypes.util
import os
from pathlib import Path

import torch

LIBRARY_VARIABLE = "QAMA_LIBRARY"


class _Options(ctypes.Structure):
    """qama_solver_options, field by field."""
    _fields_ = [("struct_size", ctypes.c_uint32), ("threads", ctypes.c_int32),
                ("seed", ctypes.c_uint64),
                ("sweeps", ctypes.c_int32), ("restarts", ctypes.c_int32),
                ("t_start", ctypes.c_float), ("t_end", ctypes.c_float),
                ("rounds", ctypes.c_int32), ("round_sweeps", ctypes.c_int32),
                ("t_round", ctypes.c_float),
                ("start", ctypes.c_int32)]


STARTS = ("guessed", "random", "mixed")


def find_library():
    """Path of libqama: $QAMA_LIBRARY, else a build of this checkout, else the system's; None if
    absent."""
    named = os.environ.get(LIBRARY_VARIABLE)
    if named:
        return named
    root = Path(__file__).resolve().parents[3]
    for build in ("release", "demo"):
        for folder in ("runtime", "lib", "bin", ""):
            candidate = root / "build" / build / folder / "libqama.so"
            if candidate.exists():
                return str(candidate)
    return ctypes.util.find_library("qama")


def load_library(path=None):
    """Loads libqama and declares the functions used here; raises RuntimeError where it is not
    found."""
    path = path or find_library()
    if not path:
        raise RuntimeError("libqama.so is not built: `cmake --build --preset demo --target "
                           "qama_shared` (or release) builds it after the demo; "
                           f"{LIBRARY_VARIABLE}=FILE names another one")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise RuntimeError(f"{path} cannot be loaded: {error}") from error
    pointer, i32, u64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint64
    library.qama_last_error.restype = ctypes.c_char_p
    library.qama_solver_options_init.argtypes = [ctypes.POINTER(_Options)]
    library.qama_solver_options_init.restype = None
    library.qama_solver_create.argtypes = [ctypes.c_char_p, i32, i32, ctypes.POINTER(_Options),
                                           ctypes.POINTER(pointer)]
    library.qama_solver_destroy.argtypes = [pointer]
    library.qama_solver_destroy.restype = None
    library.qama_solver_solve_f32.argtypes = [pointer, i32, pointer, pointer, ctypes.c_float,
                                              pointer, u64,
                                              pointer, pointer]
    library.qama_solver_solve_factors_f32.argtypes = [pointer, i32, i32, pointer, pointer, pointer,
                                                      ctypes.c_float, pointer, u64, pointer,
                                                      pointer]
    return library


class Solver:
    """Solves batches of selection problems; one handle of the library for every shape that comes
    along.

    Not thread-safe. Every call uses the next seed of a sequence fixed by `seed`; reset() starts it
    again. Tensors may live on a CUDA device: they are staged through pinned memory, the spins go
    back there.
    """

    def __init__(self, seed=1, sweeps=20, restarts=1, t_start=1.2, t_end=0.1, rounds=0,
                 round_sweeps=6,
                 t_round=1.0, start="guessed", threads=1, uri=None, library=None):
        self.library = load_library(library)
        self.options = _Options()
        self.library.qama_solver_options_init(ctypes.byref(self.options))
        self.options.struct_size = ctypes.sizeof(_Options)
        self.options.threads, self.options.seed = threads, seed
        self.options.sweeps, self.options.restarts = sweeps, restarts
        self.options.t_start, self.options.t_end = t_start, t_end
        self.options.rounds, self.options.round_sweeps = rounds, round_sweeps
        self.options.t_round = t_round
        self.options.start = STARTS.index(start)
        self.uri = uri.encode() if uri else None
        self.handles, self.staging, self.calls = {}, {}, 0

    def __del__(self):
        for handle in getattr(self, "handles", {}).values():
            self.library.qama_solver_destroy(handle)

    def reset(self):
        """Starts the sequence of seeds again: the same problems get the same spins as the first
        time."""
        self.calls = 0

    def solve(self, couplings, field, penalty, count=None):
        """couplings [B,H,N,N], field [B,H,N] (rho h'), count [B] or None -> spins uint8 [B,H,N]."""
        return self._solve(couplings, None, field, penalty, count)

    def solve_factors(self, factors, signs, field, penalty, count=None):
        """The same from J_tij = sum_d signs_td F_tid F_tjd: factors [B,H,N,R], signs [H,R] of
        +1/-1."""
        return self._solve(factors, signs, field, penalty, count)

    def _solve(self, couplings, signs, field, penalty, count):
        batch, heads, tokens = field.shape
        handle = self._handle(heads, tokens)
        device = field.device
        couplings = self._stage("couplings", couplings, torch.float32)
        signs = None if signs is None else self._stage("signs", signs, torch.float32)
        field = self._stage("field", field, torch.float32)
        count = None if count is None else self._stage("count", count, torch.int32)
        if device.type == "cuda":
            torch.cuda.current_stream(device).synchronize()
        spins = torch.empty(batch, heads, tokens, dtype=torch.uint8, pin_memory=device.type
                            == "cuda")
        counts = None if count is None else count.data_ptr()
        self.calls += 1
        if signs is None:
            status = self.library.qama_solver_solve_f32(
                handle, batch, couplings.data_ptr(), field.data_ptr(), penalty, counts, self.calls,
                spins.data_ptr(), None)
        else:
            status = self.library.qama_solver_solve_factors_f32(
                handle, batch, couplings.shape[-1], couplings.data_ptr(), signs.data_ptr(),
                field.data_ptr(), penalty, counts, self.calls, spins.data_ptr(), None)
        self._check(status)
        return spins.to(device, non_blocking=True)

    def _handle(self, heads, tokens):
        if (heads, tokens) not in self.handles:
            handle = ctypes.c_void_p()
            self._check(self.library.qama_solver_create(self.uri, heads, tokens,
                                                        ctypes.byref(self.options),
                                                        ctypes.byref(handle)))
            self.handles[heads, tokens] = handle
        return self.handles[heads, tokens]

    def _stage(self, role, tensor, dtype):
        """A contiguous copy in host memory; pinned and re-used where the tensor comes from a
        GPU."""
        tensor = tensor.detach()
        if tensor.device.type == "cpu":
            return tensor.to(dtype).contiguous()
        size = tensor.numel()
        buffer = self.staging.get(role)
        if buffer is None or buffer.numel() < size:
            buffer = self.staging[role] = torch.empty(size, dtype=dtype, pin_memory=True)
        host = buffer[:size].view(tensor.shape)
        host.copy_(tensor, non_blocking=True)
        return host

    def _check(self, status):
        if status != 0:
            raise RuntimeError(f"libqama: {self.library.qama_last_error().decode()}")
