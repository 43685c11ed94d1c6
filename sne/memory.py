"""`python -m sne.memory`: what a training would take of a card, and what is the most that fits.

The plan itself is `rehearsal`'s, what fits is `capacity`'s; both know no command line.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from sne.capacity import fit_micro_batch, fitting_chunks, largest_batch
from sne.cards import Card, parse_card, size_text
from sne.command import answer
from sne.config import TrainConfig, flag
from sne.errors import DataError
from sne.footprint import DeviceKind
from sne.options import parse_training
from sne.rehearsal import MemoryPlan, plan_training
from sne.report import Section, print_sections
from sne.workload import Workload, read_workload

PROGRAM = "python -m sne.memory"
DESCRIPTION = """\
Plan the memory of a training before anything is allocated: what it takes at its peak, whether that
fits a card, the largest batch and the chunk sizes that do. It takes the flags of `python -m
sne.train` that a training's memory depends on. The card need not be here; no weight is read.

For example, SNE on an RTX 2080 Ti:

    python -m sne.memory --zoo zoos/svhn-arch2-quick-seed0 --card 11GB

The table goes to stdout, messages to stderr. Exit codes: 0 it fits, 1 it does not, 2 refused."""
PARTS = {
    "data_bytes": ("networks", "all that are learnt from or selected by"),
    "weight_bytes": ("weights", "of the model, now and at its best"),
    "gradient_bytes": ("gradients", ""),
    "moment_bytes": ("moments", "Adam's"),
    "activation_bytes": ("activations", "kept for the backward pass, or at work in it"),
    "library_bytes": ("libraries", "cuBLAS, for both passes"),
}
"""Fields of a plan, and what a table calls them."""
HEADER = ("part", "size", "", "share")


@dataclass(frozen=True, kw_only=True, slots=True)
class CardChoice:
    """Which model, and on which card."""

    card: Annotated[str, flag("SIZE")] = "11GB"
    """The card's size."""
    device: DeviceKind = "cuda"
    """What it is; CPUs have other kernels, and compute less at once."""
    model: Annotated[str, flag("NAME")] = "sne"
    """As in training; flags that begin with its name are its settings."""
    recipe: Annotated[str | None, flag("NAME", "by the zoos' networks")] = None
    """Defaults for one kind of network: inr or cnn."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What the command says."""

    plan: MemoryPlan
    card: Card
    micro_batch: int | None
    """The largest part of a batch that fits; None if not one network does, or all are read."""
    largest_batch: int | None
    all_in_one: bool
    """The largest batch holds an epoch's networks."""
    chunks: tuple[int, int] | None
    """Smallest and largest chunk that fit; None if none does, or the model has none."""
    seconds: float
    """That planning took."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        card = {"label": self.card.label, "total_bytes": self.card.total_bytes}
        return {
            "plan": self.plan.to_json(),
            "card": {**card, "budget_bytes": self.card.budget_bytes},
            "fits": self.plan.fits(self.card),
            "micro_batch": self.micro_batch,
            "largest_batch": self.largest_batch,
            "chunks": None if self.chunks is None else list(self.chunks),
            "seconds": round(self.seconds, 3),
        }


def find(
    config: TrainConfig, workload: Workload, card: Card, *, device: DeviceKind = "cuda"
) -> Finding:
    """Plan a training, and search for what fits."""
    begun = time.monotonic()
    plan = plan_training(config, workload, device=device)
    part = whole = chunks = None
    if not plan.at_once:
        part = plan if plan.fits(card) else fit_micro_batch(config, workload, card, device=device)
        whole = largest_batch(config, workload, card, device=device)
        chunks = fitting_chunks(config, workload, card, device=device)
    return Finding(
        plan=plan,
        card=card,
        micro_batch=None if part is None else part.batch,
        largest_batch=None if whole is None else whole.batch,
        all_in_one=whole is not None and whole.batch == workload.epoch,
        chunks=chunks,
        seconds=time.monotonic() - begun,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 it fits, 1 it does not, 2 refused, 130 stopped by Ctrl-C.
    """
    return answer(lambda: _serve(arguments))


def _serve(arguments: Sequence[str] | None) -> int:
    config, parsed = parse_training(
        arguments, program=PROGRAM, description=DESCRIPTION, run=CardChoice, more={}
    )
    choice: CardChoice = parsed.run
    card, workload = parse_card(choice.card), read_workload(config)
    if not workload.epoch:
        raise DataError(f"{', '.join(config.data.zoo)}: no training networks of this choice")
    found = find(config, workload, card, device=choice.device)
    if choice.json:
        print(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        print_sections([section(config, workload, found)])
    return 0 if found.plan.fits(card) else 1


def section(config: TrainConfig, workload: Workload, found: Finding) -> Section:
    """What was found, as a table."""
    plan = found.plan
    families = ", ".join(dict.fromkeys(a.family for a in workload.architectures))
    total = plan.total_bytes
    sizes = {name: getattr(plan, name) for name in PARTS}
    rows = (
        (PARTS[name][0], size_text(size), PARTS[name][1], f"{size / total:.1%}")
        for name, size in sizes.items()
    )
    return Section(
        title=f"{config.model} on {families}, {plan.batch} networks at once",
        rows=(*rows, ("total", size_text(total), "", "")),
        notes=tuple(_notes(config, found)),
        header=HEADER,
    )


def _notes(config: TrainConfig, found: Finding) -> Iterator[str]:
    plan, batch = found.plan, config.training.batch
    yield f"{'it fits' if plan.fits(found.card) else 'IT DOES NOT FIT'}: {found.card}"
    if plan.at_once:
        yield "it is fitted to all its training networks at once: there is no batch to choose"
        return
    if found.micro_batch is None:
        yield "not even one network at a time fits"
    elif not plan.fits(found.card):
        yield f"batches of {batch} fit in parts of {found.micro_batch}, which --fit chooses"
    if found.largest_batch is not None:
        whole = ", all of an epoch" if found.all_in_one else ""
        yield f"largest batch that fits: {found.largest_batch} networks{whole}"
    if found.chunks is not None:
        yield "chunks that fit: {} to {:,} weights".format(*found.chunks)
    yield f"planned in {found.seconds:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
