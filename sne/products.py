"""A linear layer for many rows, with or without ReLU: on CPUs, oneDNN's product instead of MKL's.

PyTorch contains both and gives float32 to MKL, which on processors of other makers uses half of a
vector register. Measured on an EPYC with AVX-512, one thread, 4,096 rows of 64 to 192 numbers: 105
GFLOP/s by MKL and 230 by oneDNN, whose products give the same to the last bits. Most blocks of SNE
are computed by `fused`; these are for what is not. oneDNN keeps code for each number of rows that
it has met (about 0.6 MB), so only whole multiples of `MULTIPLE` go there, which most rows of slabs
are.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sne.footprint import stands_for

MULTIPLE = 64
"""Of rows."""
AVAILABLE = torch.backends.mkldnn.is_available()


def linear(x: Float[Tensor, "*rows i"], layer: nn.Linear) -> Float[Tensor, "*rows o"]:
    """`layer(x)`."""
    return _product(x, layer, rectified=False) if _suits(x) else layer(x)


def relu_linear(x: Float[Tensor, "*rows i"], layer: nn.Linear) -> Float[Tensor, "*rows o"]:
    """`relu(layer(x))`."""
    return _product(x, layer, rectified=True) if _suits(x) else F.relu(layer(x))


def on_cpu(x: Tensor) -> bool:
    """Whether this is computed by a CPU in float32; a compiler chooses for itself."""
    return (
        not torch.compiler.is_compiling()
        and stands_for(x.device) == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
    )


def _suits(x: Tensor) -> bool:
    """Whether these rows go to oneDNN."""
    rows = x.numel() // max(1, x.shape[-1])
    return on_cpu(x) and x.shape[-1] > 1 and rows % MULTIPLE == 0 and AVAILABLE


def _product(x: Tensor, layer: nn.Linear, *, rectified: bool) -> Tensor:
    product: Any = _Product.apply(x, layer.weight, layer.bias, rectified)
    return product


class _Product(torch.autograd.Function):
    """The layer, and its gradients by the same kernel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, rectified: bool) -> Tensor:
        product = _onednn(x, weight, bias, "relu" if rectified else "none")
        ctx.save_for_backward(x, weight, product if rectified else None)
        return product

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor, Tensor, None]:
        x, weight, product = ctx.saved_tensors
        if product is not None:
            gradient = torch.ops.aten.threshold_backward(gradient, product, 0)
        rows = gradient.flatten(0, -2)
        # Transposed, since oneDNN is faster with the wider side last.
        of_weight = _onednn(x.flatten(0, -2).t(), rows.t()).t()
        of_x = _onednn(gradient, weight.t()) if ctx.needs_input_grad[0] else None
        return of_x, of_weight, rows.sum(0), None


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None, then: str = "none") -> Tensor:
    """The product x Wᵀ + b, and what follows."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, then, [], "")
