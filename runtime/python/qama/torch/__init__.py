"""QAMA for PyTorch; needs torch.

    from qama.torch import QAMAttention

    attention = QAMAttention(dim=64, heads=8, dim_head=8)
    x = x + attention(x)        # x [B, N, 64]

`QAMAttention` is the layer that training uses, and `Solver` the annealer behind it. A model that is
to run without PyTorch is built from `qama_export` (weights/README.md).
"""
from .attention import QAMAttention
from .solver import STARTS, Solver

__all__ = ["QAMAttention", "STARTS", "Solver"]
