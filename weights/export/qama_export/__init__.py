"""Training and export of QAMA models (PyTorch, CPU or CUDA): see train.py, fleet.py and export.py.

The package needs Python >= 3.11, numpy and torch (>= 1.13) and the runtime's shared library
(solver.py); nothing else. A new attention kind gets a class beside QamaAttention and a line in
models.make_attention.
"""
