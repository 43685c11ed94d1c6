"""The flags of `python -m zoogen.run` as frozen values, with the text that `--help` shows.

Nothing here looks at recipes, data or the machine: see `zoogen.request`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from zoogen.errors import PlanError

PROGRAM = "python -m zoogen.run"
DESCRIPTION = """\
Make a model zoo: thousands of trained networks as Parquet files, one row for each network at each
checkpoint. A run can be stopped or killed at any moment; the same command goes on where it stopped.

For example, 200 networks on SVHN by the short recipe (about 25 minutes on two cores):

    python -m zoogen.run --dataset svhn --arch arch2 --recipe quick

Results go to stdout, progress and messages to stderr. Exit codes: 0 the zoo is complete, 1 a shard
failed, 2 the request cannot be served, 130 or 143 stopped by Ctrl-C or SIGTERM."""


def _flag(metavar: str, default: str | None = None) -> Any:
    """A flag's placeholder, and what its default of None means."""
    hint = None if default is None else f"(default: {default})"
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=hint)


def _drawn(metavar: str) -> Any:
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="")


def _switch(default: str) -> Any:
    return tyro.conf.arg(help_behavior_hint=f"(default: {default})")


@dataclass(frozen=True, kw_only=True, slots=True)
class ZooOptions:
    """Which zoo."""

    dataset: Annotated[str, _flag("NAME")]
    """Images by name: digits, mnist, fashion_mnist, cifar10, svhn; or sine (for siren)."""
    arch: Annotated[str, _flag("NAME")]
    """Architecture: arch1, arch2, schuerholt_small, schuerholt_large, mlp, vit,
    resnet, wildpark, siren."""
    recipe: Annotated[str | None, _flag("NAME", "the published one, which may take days")] = None
    """Hyperparameter distributions and schedule: a recipe's name, or quick (minutes)."""
    members: Annotated[int | None, _flag("N", "the recipe's")] = None
    """Number of networks. More than an existing zoo has continues that zoo."""
    seed: Annotated[int, _flag("N")] = 0
    """Every member follows from it: equal seeds give equal zoos."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleOptions:
    """How long each network trains. Another schedule is another zoo."""

    epochs: Annotated[int | None, _flag("N", "the recipe's")] = None
    """Passes over the member's training images; for siren the most steps."""
    checkpoints: Annotated[tuple[str, ...] | None, _flag("EPOCH …", "the recipe's")] = None
    """Epochs after which a network is kept, for instance 0 1 2 15; 0 is the initialisation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageOptions:
    """Where things lie."""

    out: Annotated[
        str | None, _flag("FOLDER|s3://BUCKET/PREFIX", "zoos/DATASET-ARCH-RECIPE-seedSEED")
    ] = None
    """The zoo's folder, or its place in an object store."""
    data_dir: Annotated[Path | None, _flag("FOLDER", "$ZOOGEN_DATA, else the cache folder")] = None
    """The only folder searched for images: torchvision's layout or NAME/train-*.parquet."""
    download: Annotated[bool, _switch("download them")] = True
    """Never download images that are not found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutionOptions:
    """What does the work."""

    engine: Annotated[str | None, _flag("NAME", "by rule, the same on each start")] = None
    """Training code: loop, vmap, native; or probe: measure them, and plan with the fastest."""
    threads: Annotated[int, _flag("N")] = 1
    """Threads of each worker. Another number gives other bytes."""
    local: Annotated[bool, _switch("several processes, with Ray")] = False
    """Everything in this one process, on the GPU if there is one, without Ray; the same bytes."""
    address: Annotated[str | None, _flag("HOST:PORT", "start Ray here, on loopback only")] = None
    """Join the Ray cluster at this address."""
    nodes: Annotated[int | None, _flag("N", "those that are there")] = None
    """With --address: so many machines with a GPU are asked of the autoscaler and waited for."""
    workers: Annotated[int | None, _flag("N", "as many as cores or GPUs")] = None
    """Processes that train at the same time. Any number gives the same bytes."""
    dry_run: Annotated[bool, _switch("make the zoo")] = False
    """Print the plan (members, shards, bytes, time) and stop; --nodes: with so many like this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DistributionOptions:
    """What a hyperparameter is drawn from; those left out are drawn as the recipe says.

    Written as VALUE; A,B,C (one of these); LOW..HIGH (uniform); log:LOW..HIGH (log-uniform).
    """

    activation: Annotated[str | None, _drawn("NAMES")] = None
    """relu, tanh, sigmoid, gelu, leaky_relu, silu."""
    dropout: Annotated[str | None, _drawn("RATES")] = None
    """Dropout rate after each activation, 0 to below 1."""
    optimizer: Annotated[str | None, _drawn("NAMES")] = None
    """sgd, adam, rmsprop, adamw."""
    learning_rate: Annotated[str | None, _drawn("NUMBERS")] = None
    """Step size, above 0; constant, or the highest of the recipe's schedule."""
    l2reg: Annotated[str | None, _drawn("NUMBERS")] = None
    """l2 in l2·Σw² over the kernels, 0 or more."""
    weight_decay: Annotated[str | None, _drawn("NUMBERS")] = None
    """Decay of every parameter, 0 or more: in the gradient, of adamw beside it."""
    w_init: Annotated[str | None, _drawn("NAMES")] = None
    """glorot_normal, he_normal, orthogonal, RandomNormal, TruncatedNormal, uniform, normal,
    kaiming_uniform, kaiming_normal."""
    init_std: Annotated[str | None, _drawn("NUMBERS")] = None
    """Standard deviation of RandomNormal and TruncatedNormal."""
    train_fraction: Annotated[str | None, _drawn("NUMBERS")] = None
    """Share of the training images that a member sees, above 0 to 1."""
    frequency: Annotated[str | None, _drawn("NUMBERS")] = None
    """Of a sine's signal a·sin(b·x): b, in radians for each unit of x."""
    amplitude: Annotated[str | None, _drawn("NUMBERS")] = None
    """Of a sine's signal a·sin(b·x): a."""

    def given(self) -> dict[str, str]:
        """The distributions that the user named."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: text for name, text in values.items() if text is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class SafetyOptions:
    """What is checked unless you say otherwise."""

    lock: Annotated[bool, _switch("lock")] = True
    """Do not lock the zoo: for stores that cannot, where you make sure of one writer."""
    mixed_platforms: Annotated[bool, _switch("refuse")] = False
    """Go on with a zoo on another kind of machine; log/ says which shards came from it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """All flags of the command."""

    zoo: ZooOptions
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)
    storage: StorageOptions = field(default_factory=StorageOptions)
    execution: ExecutionOptions = field(default_factory=ExecutionOptions)
    distributions: DistributionOptions = field(default_factory=DistributionOptions)
    safety: SafetyOptions = field(default_factory=SafetyOptions)

    def __post_init__(self) -> None:
        work = self.execution
        if work.local and work.address is not None:
            raise PlanError("--local trains in this process, --address on a cluster: give one")
        if work.local and work.workers not in (None, 1):
            raise PlanError(f"--local is one process, got --workers {work.workers}: leave one out")
        counts = {
            "--threads": work.threads, "--workers": work.workers, "--nodes": work.nodes,
        }  # fmt: skip
        for name, value in counts.items():
            if value is not None and value < 1:
                raise PlanError(f"{name} is at least 1, got {value}")
        if work.nodes is not None and work.address is None and not work.dry_run:
            raise PlanError("--nodes is for --address, or with --dry-run for an estimate")
        if self.zoo.seed < 0:
            raise PlanError(f"--seed is a whole number from 0, got {self.zoo.seed}")

    @property
    def checkpoints(self) -> tuple[int, ...] | None:
        """Epochs to keep; commas and blanks both separate them.

        Raises:
            PlanError: something that is no whole number.
        """
        given = self.schedule.checkpoints
        if given is None:
            return None
        words = [word for text in given for word in text.replace(",", " ").split()]
        if not words or not all(word.isdecimal() for word in words):
            raise PlanError(f"--checkpoints are epochs such as 0 1 2 15, got {' '.join(given)!r}")
        return tuple(sorted({int(word) for word in words}))


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """The flags of a command line; prints help or usage errors and exits as tyro does."""
    return tyro.cli(
        Options,
        prog=PROGRAM,
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone),
    )
