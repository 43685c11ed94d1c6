"""From an artefact's lines and opened zoos to trials, and what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sne.config import TrainConfig
from sweeps.factors import configure
from sweeps.overrides import configured
from sweeps.pace import Pace
from sweeps.paper.declared import Artefact, Line, Need
from sweeps.paper.fit import Cost
from sweeps.paper.possible import trainings
from sweeps.paper.scale import Kind, Scale
from sweeps.paper.stock import Stocked, lacks_of
from sweeps.trial import Trial, make_trial
from sweeps.zoos import SweepZoo, find_target

MEASURED_NETWORKS, MEASURED_PASSES = 128, 11
"""Of each test: the invariance error moves at most so many networks, in two ways 5 times each."""
TEST_S = 2.0
"""Of each test, besides its passes: intervals and files."""
NOMINAL_S: Mapping[Kind, Mapping[str, float]] = {
    "inr": {"sne": 0.02, "deepsets": 0.005, "mlp": 3e-5, "statnn": 3e-4},
    "cnn": {"sne": 0.04, "deepsets": 0.02, "mlp": 1e-4, "statnn": 3e-4},
}
"""Seconds of one core for one network and epoch, roughly, in the batches of the laptop's scale:
for the first print, until steps can be measured on the zoos themselves."""
SMALL = 0.4
"""The share of that which a small encoder takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LineTrial:
    """A trial, and where it stands."""

    line: Line
    train: tuple[Need, ...]
    trial: Trial


def line_trials(
    artefact: Artefact,
    scale: Scale,
    stock: Mapping[str, Stocked],
    zoos: Mapping[str, SweepZoo],
    epochs: Mapping[str, int],
) -> list[LineTrial]:
    """The trials of an artefact, in its order.

    Args:
        artefact: whose.
        scale: settings and seeds.
        stock: what is there, by key.
        zoos: those that are there, opened, by key.
        epochs: of each pace; those left out: as many as the scale has.
    """
    opened = tuple({id(one): one for one in zoos.values()}.values())
    found: list[LineTrial] = []
    for line, train, tests in trainings(artefact, scale.name, lacks_of(stock)):
        own = [zoos[need.key] for need in train]
        config = line_config(artefact, scale, line, own, epochs.get(line.pace, scale.epochs))
        target = find_target(opened, None, config.data.which)
        found += [
            LineTrial(
                line=line,
                train=train,
                trial=make_trial(
                    configure(config, {"training.seed": seed}),
                    train=[one.ref for one in own],
                    test=[zoos[need.key].ref for need in tests],
                    target=target,
                ),
            )
            for seed in scale.seeds_of(artefact)
        ]
    return found


def line_config(
    artefact: Artefact, scale: Scale, line: Line, zoos: Sequence[SweepZoo], epochs: int
) -> TrainConfig:
    """A line's training on these zoos."""
    given = (*scale.settings_of(artefact, line.model), *line.settings)
    config = configured(zoos, given, model=line.model, epochs=epochs)
    return configure(config, line.changes)


def nominal_costs(
    artefact: Artefact, scale: Scale, stock: Mapping[str, Stocked]
) -> dict[str, Cost]:
    """What each pace costs by rough figures, before anything can be measured."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line, train, tests in trainings(artefact, scale.name, lacks_of(stock)):
        known = NOMINAL_S[artefact.kind]
        small = artefact.small or any(text.startswith("sne.width") for text in line.settings)
        each = known.get(line.model, known["sne"]) * (SMALL if small else 1.0)
        learnt, checked = (sum(_count(stock[n.key], split) for n in train) for split in (0, 1))
        epoch = 0.0 if line.model == "boosting" else each * (learnt + checked / 3)
        fixed = sum(_test_seconds(each, _count(stock[n.key], 2)) for n in tests)
        found.setdefault(line.pace, []).extend(
            [(epoch, fixed + (5.0 if epoch == 0 else 0.0))] * len(scale.seeds_of(artefact))
        )
    return {name: _cost(parts) for name, parts in found.items()}


def measured_costs(
    listed: Sequence[LineTrial],
    paces: Mapping[str, Pace],
    stock: Mapping[str, Stocked],
    zoos: Mapping[str, SweepZoo],
) -> dict[str, Cost]:
    """What each pace costs by measured steps."""
    by_hash = {one.ref.label.hash: _count(stock[key], 2) for key, one in zoos.items()}
    found: dict[str, list[tuple[float, float]]] = {}
    for one in listed:
        pace = paces[one.trial.hash]
        learnt = sum(_count(stock[need.key], 0) for need in one.train)
        each = pace.epoch_s / max(1, learnt)
        fixed = sum(_test_seconds(each, by_hash[ref.label.hash]) for ref in one.trial.test)
        found.setdefault(one.line.pace, []).append((pace.epoch_s, pace.fixed_s + fixed))
    return {name: _cost(parts) for name, parts in found.items()}


def _test_seconds(network_s: float, networks: int) -> float:
    """A pass forward is about a third of a step."""
    passes = networks + MEASURED_PASSES * min(networks, MEASURED_NETWORKS)
    return TEST_S + network_s / 3 * passes


def _count(one: Stocked, split: int) -> int:
    """Networks of a split: 0 train, 1 val, 2 test."""
    return one.members * one.shares[split] // 10


def _cost(parts: Sequence[tuple[float, float]]) -> Cost:
    return Cost(
        epoch_s=sum(epoch for epoch, _ in parts),
        longest_epoch_s=max(epoch for epoch, _ in parts),
        fixed_s=sum(fixed for _, fixed in parts),
    )
