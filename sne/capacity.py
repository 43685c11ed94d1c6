"""What fits a card: the largest batch, the largest part of a batch, the chunk sizes.

A plan takes a second or so, and its bytes grow nearly in proportion to the networks computed at
once: the largest number is found from a handful of plans, most of them guessed from two others.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from sne.cards import Card, size_text
from sne.config import TrainConfig
from sne.footprint import DeviceKind
from sne.rehearsal import MemoryPlan, plan_training
from sne.workload import Workload

SMALLEST_CHUNK = 4
MORE_CHUNKS = 3


def fit_micro_batch(
    config: TrainConfig, workload: Workload, card: Card, *, device: DeviceKind = "cuda"
) -> MemoryPlan | None:
    """The largest of a batch's equal parts that fits, or the whole; None if no network does.

    Returns:
        Its plan, whose `batch` is the micro-batch.
    """
    batch = min(config.training.batch, workload.epoch)

    def plan(size: int) -> MemoryPlan:
        training = replace(config.training, micro_batch=None if size == batch else size)
        return plan_training(replace(config, training=training), workload, device=device)

    found = _largest(plan, first=batch, most=batch, card=card)
    if found is None or found.batch == batch:
        return found
    parts = -(-batch // found.batch)
    return plan(-(-batch // parts))


def largest_batch(
    config: TrainConfig, workload: Workload, card: Card, *, device: DeviceKind = "cuda"
) -> MemoryPlan | None:
    """The largest batch, of an epoch's networks at most, that fits without being cut into parts."""

    def plan(size: int) -> MemoryPlan:
        training = replace(config.training, batch=size, micro_batch=None)
        return plan_training(replace(config, training=training), workload, device=device)

    first = min(config.training.batch, workload.epoch)
    return _largest(plan, first=first, most=workload.epoch, card=card)


def fitting_chunks(
    config: TrainConfig, workload: Workload, card: Card, *, device: DeviceKind = "cuda"
) -> tuple[int, int] | None:
    """The smallest and the largest chunk that fit, of powers of two up to the largest tensor.

    Returns:
        None if none does, or the model cuts no chunks.
    """
    sizes = _chunk_sizes(config, workload)

    def fits(chunk: int) -> bool:
        return _with_chunk(config, workload, chunk, device).fits(card)

    largest = next((size for size in reversed(sizes) if fits(size)), None)
    if largest is None:
        return None
    return next(size for size in sizes if size == largest or fits(size)), largest


def refusal(config: TrainConfig, workload: Workload, plan: MemoryPlan, card: Card) -> str:
    """Why a training that is planned so does not fit, and what would."""
    needs = f"{config.model} needs {size_text(plan.total_bytes)} for {plan.batch} networks at once"
    if plan.at_once:
        return f"{needs}, all it learns from, and {card}: take a larger card"
    remedies: list[str] = []
    if (found := fit_micro_batch(config, workload, card, device=plan.device)) is not None:
        remedies.append(
            f"--micro-batch {found.batch} ({size_text(found.total_bytes)}; --fit chooses it in a "
            "new run)"
        )
    if (chunk := _larger_chunk(config, workload, card, device=plan.device)) is not None:
        remedies.append(f"--{config.model}.chunk {chunk}")
    if not remedies:
        return (
            f"{needs}, and {card}: not even one network at a time would fit; take a larger card, "
            "or a smaller model"
        )
    return f"{needs}, and {card}: {' or '.join(remedies)} would fit"


def _larger_chunk(
    config: TrainConfig, workload: Workload, card: Card, *, device: DeviceKind
) -> int | None:
    """The first that fits of a few; much larger ones save nothing more."""
    sizes = _chunk_sizes(config, workload)
    larger = [size for size in sizes if size > config.settings.chunk][:MORE_CHUNKS]
    return next((s for s in larger if _with_chunk(config, workload, s, device).fits(card)), None)


def _with_chunk(
    config: TrainConfig, workload: Workload, chunk: int, device: DeviceKind
) -> MemoryPlan:
    settings = replace(config.settings, chunk=chunk)
    return plan_training(replace(config, settings=settings), workload, device=device)


def _chunk_sizes(config: TrainConfig, workload: Workload) -> list[int]:
    if not hasattr(config.settings, "chunk"):
        return []
    most = max(t.size for a in workload.architectures for t in a.tensors)
    sizes = [SMALLEST_CHUNK]
    while sizes[-1] < most:
        sizes.append(2 * sizes[-1])
    return sizes


def _largest(
    plan: Callable[[int], MemoryPlan], *, first: int, most: int, card: Card
) -> MemoryPlan | None:
    """The plan of the largest number up to `most` that fits; `first` is tried first."""
    plans = {first: plan(first)}
    while True:
        low = max((n for n, p in plans.items() if p.fits(card)), default=0)
        high = min((n for n, p in plans.items() if not p.fits(card)), default=most + 1)
        if high - low == 1:
            return plans.get(low)
        # Every fourth guess is the middle, lest a bend in the line be crept along.
        middle = high <= most and len(plans) % 4 == 0
        guess = (low + high) // 2 if middle else _guess(plans, low, high, card.budget_bytes)
        guess = min(max(guess, low + 1), high - 1)
        plans[guess] = plan(guess)


def _guess(plans: Mapping[int, MemoryPlan], low: int, high: int, budget: int) -> int:
    """Where the straight line through the two plans nearest to the budget meets it."""
    near = sorted(plans, key=lambda n: min(abs(n - low), abs(n - high)))[:2]
    one, *other = ((n, plans[n].total_bytes) for n in sorted(near))
    (n, start), (m, end) = (one, other[0]) if other else ((0, 0), one)
    return n + int((budget - start) * (m - n) / (end - start)) if end > start else high
