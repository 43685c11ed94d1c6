"""How many bytes a computation would hold on a device, found by running it on tensors without data.

Tensors on torch's `meta` device have shapes but no bytes, and an operation on them gives what it
gives elsewhere, without computing. What they would take is counted as they come and go, also within
autograd, so nothing needs a formula of its own, nor the card that it is planned for. Tensors on the
CPU, such as the integers of a batch's plan, are computed as ever, and count once they are moved.

Two things do not show on such tensors and are said here: which attention kernel the device has, and
what a kernel takes for itself while it runs (`HIDDEN`). Code that chooses by device asks
`stands_for`.
"""

import math
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

DeviceKind: TypeAlias = Literal["cuda", "cpu"]
FAKE = torch.device("meta")
ROUNDING = 512
"""Bytes that CUDA's allocator rounds to."""
ALIGNED = 16
"""To so many keys the mask of CUDA's memory-efficient attention is padded."""
SMALL_SORT = 1024
"""Rows that are not longer are sorted in place."""
BLOCK = 64
"""Queries, and numbers of each, that the backward pass of CUDA's attention takes at once."""
PACKED_ROWS, PACKED_BYTES = 64, 16 << 10
"""What oneDNN packs for a product: rows of its weights, and what does not grow with them."""
aten: Any = torch.ops.aten
_counted: ContextVar[DeviceKind | None] = ContextVar("counted", default=None)


class Footprint(TorchDispatchMode):
    """Counts the bytes of all fake tensors that are made while it is entered."""

    def __init__(self, kind: DeviceKind) -> None:
        super().__init__()
        self.live = 0
        """Bytes of those that are still there."""
        self.peak = 0
        self._hidden = HIDDEN[kind]
        self._kept: list[Any] = []
        self._known: set[int] = set()

    def keep(self, make: Callable[[], Any]) -> int:
        """Make something that stays as long as this does; the bytes that it takes."""
        before = self.live
        self._kept.append(make())
        return self.live - before

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """See `TorchDispatchMode`."""
        given = func(*args, **(kwargs or {}))
        for value in given if isinstance(given, (tuple, list)) else (given,):
            if isinstance(value, Tensor) and value.device == FAKE:
                self._count(value.untyped_storage())
        hidden = self._hidden.get(func)
        self.peak = max(self.peak, self.live + (hidden(args) if hidden else 0))
        return given

    def _count(self, storage: torch.UntypedStorage) -> None:
        """A storage's Python object lives as long as its bytes would, whoever else holds them."""
        key = id(storage)
        if key not in self._known:
            self._known.add(key)
            size = -(-storage.nbytes() // ROUNDING) * ROUNDING
            self.live += size
            weakref.finalize(storage, self._freed, key, size).atexit = False

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


@contextmanager
def footprint(kind: DeviceKind) -> Iterator[Footprint]:
    """Count, and let fake tensors attend with the kernels that this kind of device has."""
    token = _counted.set(kind)
    try:
        with torch.library._scoped_library("aten", "IMPL") as library, Footprint(kind) as counted:
            library.impl("scaled_dot_product_attention", _attention_of(kind), "AutogradMeta")
            yield counted
    finally:
        _counted.reset(token)


def stands_for(device: torch.device) -> str:
    """A device's type; of `meta`, while bytes are counted, that of the device it stands for."""
    return (_counted.get() if device == FAKE else None) or device.type


def _attention_of(kind: DeviceKind) -> Callable[..., Tensor]:
    """Attention as a kind of device computes it: memory-efficient where it has a kernel."""

    def attend(  # noqa: PLR0913 (the operator's own signature)
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        *,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        inputs, mask = (query, key, value), attn_mask
        if mask is not None and mask.dtype == torch.bool:
            mask = torch.where(mask, 0.0, -torch.inf)
        options: dict[str, Any] = {
            "dropout_p": dropout_p, "is_causal": is_causal, "scale": scale
        }  # fmt: skip
        if enable_gqa or not _has_kernel(kind, inputs, dropout_p):
            options["enable_gqa"] = enable_gqa
            return aten._scaled_dot_product_attention_math(*inputs, mask, **options)[0]
        if kind == "cpu":
            flash = aten._scaled_dot_product_flash_attention_for_cpu
            return flash(*inputs, attn_mask=mask, **options)[0]
        keeps = torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
        efficient = aten._scaled_dot_product_efficient_attention
        return efficient(*inputs, _padded(mask, query), keeps, **options)[0]

    return attend


def _has_kernel(kind: DeviceKind, inputs: Sequence[Tensor], dropout_p: float) -> bool:
    """CUDA's takes heads of whole 16 bytes on any card, the CPU's no dropout."""
    if any(t.dim() != 4 for t in inputs):
        return False
    return not dropout_p if kind == "cpu" else all(t.shape[3] % 4 == 0 for t in inputs)


def _padded(mask: Tensor | None, query: Tensor) -> Tensor | None:
    """A mask as CUDA's kernel takes it."""
    if mask is None:
        return None
    keys = mask.shape[-1]
    return F.pad(mask, (0, -keys % ALIGNED))[..., :keys].expand(*query.shape[:3], keys)


def _attention_backward(args: tuple[Any, ...]) -> int:
    """Gradient × output summed over a head's width, and the queries' gradient, block by block.

    The kernel keeps whole blocks of it in float32, and 16 bytes beside each, on all cards since
    compute capability 7.0: for chunks of 32 elements and heads of 16, eight times the gradient.
    """
    gradient: Tensor = args[0]
    *heads, queries, width = gradient.shape
    blocks = math.prod(heads) * math.ceil(queries / BLOCK) * math.ceil(width / BLOCK)
    return 4 * gradient.numel() // width + blocks * (4 * BLOCK**2 + 16)


def _sort(args: tuple[Any, ...]) -> int:
    """Copies of keys, indices and segment numbers, twice: radix sort goes to and fro."""
    values: Tensor = args[0]
    return 40 * values.numel() if values.dim() and max(values.shape) > SMALL_SORT else 0


def _indexed_sum(args: tuple[Any, ...]) -> int:
    """Summing at indices sorts them: three copies of eight bytes, and the sort's own."""
    indices = [index for index in args[1] if index is not None]
    return 48 * max(index.numel() for index in indices) + 4 * args[2].numel()


def _onednn(args: tuple[Any, ...]) -> int:
    """What oneDNN copies of a transposed input, or packs of the weights for each thread."""
    x: Tensor = args[0]
    if not x.is_contiguous():
        return 4 * x.numel() + PACKED_BYTES
    return 4 * PACKED_ROWS * x.shape[-1] * torch.get_num_threads() + PACKED_BYTES


def _promoted(args: tuple[Any, ...]) -> int:
    """Copies of what is of another type than the result, such as the mask of a gradient."""
    tensors = [t for t in args[:2] if isinstance(t, Tensor)]
    result = torch.result_type(*tensors) if len(tensors) == 2 else tensors[0].dtype
    return sum(t.numel() * result.itemsize for t in tensors if t.dtype != result)


def _convolution(args: tuple[Any, ...]) -> int:
    """Inputs and weights in a layout of the library's own."""
    return sum(4 * t.numel() for t in args[:3] if isinstance(t, Tensor))


CONVOLUTIONS = (
    aten.convolution.default,
    aten.convolution_overrideable.default,
    aten.convolution_backward.default,
)
HIDDEN: Mapping[DeviceKind, Mapping[Any, Callable[[tuple[Any, ...]], int]]] = {
    "cpu": {
        torch.ops.mkldnn._linear_pointwise.default: _onednn,
        aten.mul.Tensor: _promoted,
        **dict.fromkeys(CONVOLUTIONS, _convolution),
    },
    "cuda": {
        **dict.fromkeys(CONVOLUTIONS, _convolution),
        aten._scaled_dot_product_efficient_attention_backward.default: _attention_backward,
        aten.sort.default: _sort,
        aten.sort.stable: _sort,
        aten.index_put.default: _indexed_sum,
        aten.index_put_.default: _indexed_sum,
        aten._index_put_impl_.default: _indexed_sum,
    },
}
"""Bytes beyond what an operation gives, from its arguments: for CUDA upper bounds by torch's
sources, for the CPU by its allocator's trace."""
