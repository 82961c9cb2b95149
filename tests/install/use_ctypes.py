"""Loads libqama.so with ctypes and solves a problem whose answer is plain to see."""
import ctypes
import sys

try:
    library = ctypes.CDLL(sys.argv[1])
except OSError as error:
    if "asan" in str(error).lower() or "tsan" in str(error).lower():
        print("SKIPPED:", error)
        sys.exit(77)
    raise
library.qama_version.restype = ctypes.c_char_p
library.qama_last_error.restype = ctypes.c_char_p
print("qama", library.qama_version().decode())

solver = ctypes.c_void_p()
status = library.qama_solver_create(b"cpu:", 1, 4, None, ctypes.byref(solver))
assert status == 0, library.qama_last_error()
couplings = (ctypes.c_float * 16)()
field = (ctypes.c_float * 4)(1.0, -1.0, 2.0, -0.5)
spins = (ctypes.c_uint8 * 4)()
energy = (ctypes.c_double * 1)()
status = library.qama_solver_solve_f32(solver, 1, couplings, field, ctypes.c_float(0.0), None,
                                       ctypes.c_uint64(1), spins, energy)
assert status == 0, library.qama_last_error()
assert list(spins) == [1, 0, 1, 0], list(spins)
assert energy[0] == -3.0, energy[0]
library.qama_solver_destroy(solver)
