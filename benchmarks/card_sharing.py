"""How many trainings share one GPU by the memory plan: `python -m benchmarks.card_sharing`.

Each plan is of a training of the paper's size on descriptions alone (`sne.rehearsal`): no card and
no zoo is needed. The share is what a sweep books with Ray for such a trial, and the fraction what
the trial's process then allows itself of the card (`sweeps.portion`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import tyro

from sne.cards import Card, parse_card, size_text
from sne.config import TrainConfig
from sne.recipes import default_config
from sne.rehearsal import plan_training
from sne.targets import Target
from sne.workload import Held, Workload
from sweeps.budgets import RECIPES
from sweeps.card import share_of
from sweeps.overrides import override
from sweeps.portion import Portion, memory_fraction
from zoogen.archs import ARCHS
from zoogen.description import Architecture

ARCHITECTURES: Mapping[str, Architecture] = {
    "arch1": ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10),
    "arch2": ARCHS["arch2"].describe(input_shape=(3, 28, 28), classes=10),
    "siren": ARCHS["siren"].describe(input_shape=(1,), classes=1),
}
NETWORKS: Mapping[str, tuple[int, int]] = {
    "arch1": (1_200, 300),
    "arch2": (1_200, 300),
    "siren": (800, 100),
}
"""To train on and to select by: of 3,000 classifiers, and of the 1,000 INRs of `sine-f`."""
MODELS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "SNE": ("sne", ()),
    "small SNE": ("sne", RECIPES["quick"].settings),
    "DeepSets": ("deepsets", ()),
    "NFN-NP": ("nfn_np", ()),
    "NFN-HNP": ("nfn_hnp", ()),
}
"""A label, then a model and what is set of it; small is the ablation's quick budget."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Which card, and which trainings."""

    card: str = "11GB"
    """The card's size."""
    batch: int = 64
    """Networks of a step; the small SNE has its own."""
    architectures: tuple[str, ...] = tuple(ARCHITECTURES)
    models: tuple[str, ...] = field(default_factory=lambda: tuple(MODELS))


def main(arguments: Sequence[str] | None = None) -> None:
    """Plan, and print the table as the rows come."""
    options = tyro.cli(
        Options, prog="python -m benchmarks.card_sharing", description=__doc__, args=arguments
    )
    for line in table(options):
        print(line, flush=True)


def table(options: Options) -> Iterator[str]:
    """Markdown, a row for each model and architecture."""
    card = parse_card(options.card)
    yield f"| model | networks | batch | a trial's plan | on {card.label} | share | fraction |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for model in options.models:
        for name in options.architectures:
            yield row(model, name, card, batch=options.batch)


def row(model: str, name: str, card: Card, *, batch: int) -> str:
    """One training on one card."""
    config = training(model, name, batch=batch)
    plan = plan_training(config, workload(name), device="cuda")
    needed = plan.total_bytes
    begins = f"| {model} | {name} | {config.training.batch} | {size_text(needed)}"
    if not plan.fits(card):
        return f"{begins} | does not fit | – | – |"
    share = share_of(needed, card)
    portion = Portion(share=share, card_bytes=card.total_bytes)
    fraction = memory_fraction(portion, device_bytes=card.total_bytes)
    return f"{begins} | {int(1 / share)} | {share:.4g} | {fraction:.3f} |"


def training(model: str, name: str, *, batch: int) -> TrainConfig:
    """The recipe's training of a model on networks of this architecture."""
    kind, settings = MODELS[model]
    config = default_config(["zoo"], model=kind, recipe="inr" if name == "siren" else "cnn")
    return override(config, (f"training.batch={batch}", *settings))


def workload(name: str) -> Workload:
    """As many networks as the paper has to learn from."""
    train, val = NETWORKS[name]
    inr = name == "siren"
    return Workload(
        target=Target(
            column="frequency" if inr else "test_accuracy", kind="number" if inr else "share"
        ),
        held=(Held(zoo=0, architecture=ARCHITECTURES[name], train=train, val=val),),
    )


if __name__ == "__main__":
    main()
