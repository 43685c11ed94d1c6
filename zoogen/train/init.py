"""Initial weights of a member as one flat vector: a pure function of (architecture, member).

In numpy, so that every engine starts from the same bits. A configuration with `w_init` names one
initialiser for all kernels, as the Small CNN Zoo has it, and `b_init` the value of all biases.
Without `w_init` a layer is initialised as the published SIRENs are: sine layers by their w0, all
other layers as PyTorch does by default. Norms start at scale 1 and shift 0, their running
statistics at mean 0 and variance 1.

Sources: Unterthiner et al. 2020 and Keras' definitions; Navon et al. 2023's published code;
Schürholt et al. 2022's (torch.nn.init with its default arguments).
"""

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from zoogen.description import Architecture, TensorSpec
from zoogen.errors import PlanError
from zoogen.members import Member

Array: TypeAlias = np.ndarray
TRUNCATION = 2.0
"""Truncated normals are cut at so many standard deviations, by drawing again."""
TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a standard normal cut at 2: what Keras divides by to keep the variance."""


def initial_weights(architecture: Architecture, member: Member) -> Float[np.ndarray, " p"]:
    """The member's weights before training, float32, in the order of the architecture's tensors.

    Raises:
        PlanError: a tensor that no initialiser is known for.
    """
    rng = member.stream("init")
    parts = [_initial(t, architecture, member, rng).ravel() for t in architecture.tensors]
    return np.concatenate(parts).astype(np.float32)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan in, fan out) of an (out, in, …) kernel: inputs of one output and the reverse."""
    receptive = math.prod(shape[2:])
    return shape[1] * receptive, shape[0] * receptive


def truncated_normal(rng: np.random.Generator, shape: tuple[int, ...], std: float) -> Array:
    """Normal values drawn again until they lie within two (untruncated) standard deviations."""
    values = rng.standard_normal(math.prod(shape))
    while (outside := np.flatnonzero(np.abs(values) > TRUNCATION)).size:
        values[outside] = rng.standard_normal(outside.size)
    return (values * std).reshape(shape)


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Keras' orthogonal initialiser, gain 1: orthonormal over (kh·kw·in, out).

    The shorter side of that matrix is orthonormal; among such matrices it is uniform (Haar).
    """
    out, rest = shape[0], math.prod(shape[1:])
    tall, wide = max(out, rest), min(out, rest)
    columns = _orthonormal_columns(rng.standard_normal((tall, wide)))
    matrix = columns if rest >= out else columns.T  # (rest, out), rest in Keras' order kh, kw, in
    if len(shape) == 2:
        return matrix.T
    _, channels, kh, kw = shape
    return matrix.reshape(kh, kw, channels, out).transpose(3, 2, 0, 1)


def _orthonormal_columns(a: Array) -> Array:
    """Gram-Schmidt, each column twice: QR with a positive diagonal.

    Not LAPACK's, whose last bits depend on the library and its threads; einsum uses no BLAS.
    """
    q = np.empty_like(a)
    for j in range(a.shape[1]):
        column, done = a[:, j], q[:, :j]
        for _ in range(2):
            overlap = np.einsum("rc,r->c", done, column)
            column = column - np.einsum("rc,c->r", done, overlap)
        q[:, j] = column / math.sqrt(np.einsum("r,r->", column, column))
    return q


def _he_normal(rng: np.random.Generator, shape: tuple[int, ...], _: float) -> Array:
    return truncated_normal(rng, shape, math.sqrt(2 / fans(shape)[0]) / TRUNCATED_STD)


def _glorot_normal(rng: np.random.Generator, shape: tuple[int, ...], _: float) -> Array:
    return truncated_normal(rng, shape, math.sqrt(2 / sum(fans(shape))) / TRUNCATED_STD)


def _orthogonal(rng: np.random.Generator, shape: tuple[int, ...], _: float) -> Array:
    return orthogonal(rng, shape)


def _random_normal(rng: np.random.Generator, shape: tuple[int, ...], std: float) -> Array:
    return rng.standard_normal(shape) * std


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], _: float) -> Array:
    return rng.uniform(0.0, 1.0, shape)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], _: float) -> Array:
    return rng.standard_normal(shape)


def _kaiming_uniform(rng: np.random.Generator, shape: tuple[int, ...], _: float) -> Array:
    bound = math.sqrt(6 / fans(shape)[0])
    return rng.uniform(-bound, bound, shape)


def _kaiming_normal(rng: np.random.Generator, shape: tuple[int, ...], _: float) -> Array:
    return rng.standard_normal(shape) * math.sqrt(2 / fans(shape)[0])


Initialiser: TypeAlias = Callable[[np.random.Generator, tuple[int, ...], float], Array]
KERNEL_INITIALISERS: Mapping[str, Initialiser] = {
    "he_normal": _he_normal,
    "glorot_normal": _glorot_normal,
    "orthogonal": _orthogonal,
    "RandomNormal": _random_normal,
    "TruncatedNormal": truncated_normal,
    "uniform": _uniform,
    "normal": _normal,
    "kaiming_uniform": _kaiming_uniform,
    "kaiming_normal": _kaiming_normal,
}
"""(generator, (out, in, …) shape, init_std) to values; capital and glorot, he: Keras' names.

`uniform` is U(0, 1) and `normal` N(0, 1), neither centred nor scaled, as torch.nn.init calls them.
"""
TOKEN_STD = 0.02
"""Of class tokens and position embeddings where the kernels' initialiser has no init_std."""


def _initial(
    tensor: TensorSpec, architecture: Architecture, member: Member, rng: np.random.Generator
) -> Array:
    if tensor.role in ("scale", "shift"):
        return np.full(tensor.shape, 1.0 if tensor.role == "scale" else 0.0)
    if tensor.role == "buffer":
        return _statistic(tensor, architecture)
    if tensor.role in ("embedding", "token"):
        drawn = member.config.get("w_init") in ("RandomNormal", "TruncatedNormal")
        std = float(member.config["init_std"]) if drawn else TOKEN_STD
        return rng.standard_normal(tensor.shape) * std
    if "w_init" not in member.config:
        return _siren(tensor, architecture, rng)
    if tensor.role == "bias":
        value = member.config.get("b_init", "zeros")
        return np.full(tensor.shape, 0.0 if value == "zeros" else float(value))
    name = str(member.config["w_init"])
    if name not in KERNEL_INITIALISERS:
        known = ", ".join(KERNEL_INITIALISERS)
        raise PlanError(f"member {member.index}: no initialiser {name!r}; there are: {known}")
    # A recipe whose initialisers have no such number draws none.
    return KERNEL_INITIALISERS[name](rng, tensor.shape, float(member.config.get("init_std", 0.0)))


def _statistic(tensor: TensorSpec, architecture: Architecture) -> Array:
    starts = {"running_mean": 0.0, "running_var": 1.0}
    kind = tensor.name.rsplit(".", 1)[-1]
    if kind not in starts:
        raise PlanError(
            f"{architecture.family}: no initial value for buffer {tensor.name!r}, "
            f"only for {' and '.join(starts)}"
        )
    return np.full(tensor.shape, starts[kind])


def _siren(tensor: TensorSpec, architecture: Architecture, rng: np.random.Generator) -> Array:
    """Uniform: ±√(6/fan in)/w0 and zero biases in a sine layer, else ±1/√(fan in) for both.

    The published code builds its first layer like the others, so it has no wider range.
    """
    kernel = next(t for t in architecture.tensors_of(tensor.layer) if t.role == "weight")
    fan_in, w0 = fans(kernel.shape)[0], architecture.node(tensor.layer).w0
    if w0 is not None and tensor.role == "bias":
        return np.zeros(tensor.shape)
    bound = 1 / math.sqrt(fan_in) if w0 is None else math.sqrt(6 / fan_in) / w0
    return rng.uniform(-bound, bound, tensor.shape)
