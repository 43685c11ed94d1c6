"""Torch's weight order (out, in, kh, kw) to the kernel's (kh, kw, in, out) and back."""

import numpy as np
from jaxtyping import Float, Integer

from zoogen.description import Architecture, TensorSpec


def packing_order(arch: Architecture) -> Integer[np.ndarray, " p"]:
    """Index such that `packed = flat[order]` and `flat[order] = packed`."""
    order = np.arange(arch.parameters)
    for tensor in arch.tensors:
        if tensor.role == "weight":
            part = slice(tensor.offset, tensor.offset + tensor.size)
            order[part] = (
                order[part].reshape(_as_kernel(arch, tensor)).transpose(2, 3, 1, 0).ravel()
            )
    return order


def _as_kernel(arch: Architecture, tensor: TensorSpec) -> tuple[int, ...]:
    """A linear layer's weight is a kernel of 1 × 1, or as large as the map that it reads."""
    if len(tensor.shape) == 4:
        return tensor.shape
    return arch.node(tensor.layer).as_conv or (*tensor.shape, 1, 1)


def pack(
    flat: Float[np.ndarray, " p"], order: Integer[np.ndarray, " p"], dtype: type[np.floating]
) -> Float[np.ndarray, " p"]:
    """A new array in the kernel's order."""
    return np.ascontiguousarray(flat[order], dtype=dtype)


def unpack(
    packed: Float[np.ndarray, " p"], order: Integer[np.ndarray, " p"]
) -> Float[np.ndarray, " p"]:
    """A new float32 array in torch's order."""
    flat = np.empty(packed.shape, np.float32)
    flat[order] = packed
    return flat
