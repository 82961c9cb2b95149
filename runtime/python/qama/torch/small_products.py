"""Products of many small matrices: where PyTorch has no MKL it calls BLAS once a matrix and copies
what is not contiguous; numpy does neither, and takes half the time for heads of 49 x 8 [measured].
"""
import numpy as np
import torch
from torch.autograd.function import once_differentiable

from .half_products import half_products


class Product(torch.autograd.Function):
    """a [..,M,K] b [..,K,N] -> a b, equal leading dimensions."""

    @staticmethod
    def forward(context, a, b):
        context.save_for_backward(a, b)
        return multiply(a, b)

    @staticmethod
    @once_differentiable
    def backward(context, gradient):
        a, b = context.saved_tensors
        return (multiply(gradient, b.transpose(-2, -1)) if context.needs_input_grad[0] else None,
                multiply(a.transpose(-2, -1), gradient) if context.needs_input_grad[1] else None)


def multiply(a, b):
    """a b without its gradient, whichever way is quicker."""
    if by_torch(a):
        return a @ b
    return torch.from_numpy(np.matmul(a.detach().numpy(), b.detach().numpy()))


def product(a, b):
    """a b, whichever way is quicker."""
    halved = half_products.depth > 0 and torch.is_grad_enabled()
    return a @ b if by_torch(a) or halved else Product.apply(a, b)


def by_torch(a):
    """Whether PyTorch is quicker, or the only one: numpy has no bfloat16, and a trace
    (torch.jit.trace) takes what numpy computes for a constant."""
    return (a.is_cuda or a.dtype not in (torch.float32, torch.float64)
            or torch.backends.mkl.is_available() or torch.jit.is_tracing())
