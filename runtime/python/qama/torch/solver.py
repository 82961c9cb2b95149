"""The annealer of QAMA layers for PyTorch; needs torch.

Training solves with exactly what inference will solve with. Nothing here computes a spin.
"""
import ctypes

import torch

from .. import library
from ..library import bytes_of

STARTS = ("guessed", "random", "mixed")


class Solver:
    """Solves batches of QAMA layers; one handle of the library for every shape that comes along.

    path: of libqama, by default where library.find() finds it.

    Not thread-safe. Every call uses the next seed of a sequence fixed by `seed`; reset() starts it
    again. Tensors may live on a CUDA device: they are staged through pinned memory, the spins go
    back there.
    """

    def __init__(self, seed=1, sweeps=20, restarts=1, t_start=1.2, t_end=0.1, rounds=0,
                 round_sweeps=6,
                 t_round=1.0, start="guessed", threads=1, uri=None, path=None):
        self.path = path
        self.options = library.SolverOptions()
        library.load(path).qama_solver_options_init_size(ctypes.byref(self.options),
                                                         ctypes.sizeof(self.options))
        self.options.threads, self.options.seed = threads, seed
        self.options.sweeps, self.options.restarts = sweeps, restarts
        self.options.t_start, self.options.t_end = t_start, t_end
        self.options.rounds, self.options.round_sweeps = rounds, round_sweeps
        self.options.t_round = t_round
        self.options.start = STARTS.index(start)
        self.uri = bytes_of(uri)
        self.handles, self.staging, self.calls = {}, {}, 0

    def __del__(self):
        for handle in getattr(self, "handles", {}).values():
            library.load(self.path).qama_solver_destroy(handle)

    def __getstate__(self):
        """A copy opens its own handles; so a layer can be copied and pickled."""
        return {**self.__dict__, "handles": {}, "staging": {}}

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
        if batch == 0:
            return torch.empty(field.shape, dtype=torch.uint8, device=field.device)
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
            self._call("qama_solver_solve_f32", handle, batch, couplings.data_ptr(),
                       field.data_ptr(), penalty, counts, self.calls, spins.data_ptr(), None)
        else:
            self._call("qama_solver_solve_factors_f32", handle, batch, couplings.shape[-1],
                       couplings.data_ptr(), signs.data_ptr(), field.data_ptr(), penalty, counts,
                       self.calls, spins.data_ptr(), None)
        return spins.to(device, non_blocking=True)

    def _handle(self, heads, tokens):
        if (heads, tokens) not in self.handles:
            handle = ctypes.c_void_p()
            self._call("qama_solver_create", self.uri, heads, tokens, ctypes.byref(self.options),
                       ctypes.byref(handle))
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

    def _call(self, name, *arguments):
        library.call(name, *arguments, path=self.path)
