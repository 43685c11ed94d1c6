"""`python -m sne.compare`: several runs on the same networks, and what sets them apart.

Two runs' own intervals may overlap while one is better on nearly every network: what makes networks
hard for both is in both intervals. A difference measured on the same drawn networks leaves it out.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from sne.checkpoint import Run, load_run
from sne.command import answer, parse
from sne.config import flag
from sne.errors import DataError
from sne.evaluation import Evaluation, Split, evaluate
from sne.kendall import kendall_difference
from sne.metrics import error_difference
from sne.networks import open_zoos
from sne.predict import choose_device
from sne.progress import heartbeat
from sne.report import NAMES, Section, caution, interval_text, number_text, print_sections
from sne.resampling import Estimate, Resampling
from sne.tables import number_networks
from sne.zoo import Zoo

PROGRAM = "python -m sne.compare"
DESCRIPTION = """\
Compare runs on the same networks: the first run's figures, and of each other run the difference to
it with a paired interval. Where the interval leaves out 0, these networks can tell the two apart.

For example:

    python -m sne.compare runs/boosting runs/sne --zoo zoos/mnist-arch1-quick-seed0

Tables go to stdout, messages to stderr. Exit codes: 0 compared, 2 refused."""
COMPARED = ("tau", "mse")


@dataclass(frozen=True, kw_only=True, slots=True)
class CompareOptions:
    """Flags of the command."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, flag("RUN RUN …")]
    """Folders of runs that predict the same number; the first one is what others are compared
    with."""
    zoo: Annotated[tuple[str, ...], flag("ZOO", "the first run's"), tyro.conf.UseAppendAction] = ()
    """A zoo's folder, or s3://BUCKET/PREFIX."""
    split: Split = "test"
    """all: every network, of a zoo that cannot hold one that a run was trained on."""
    device: Annotated[str, flag("NAME")] = "auto"
    """cpu, cuda, …; auto: CUDA where there is a device."""
    seed: int = 0
    """Of the intervals' resamples."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print one JSON object for each zoo instead of tables."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Contender:
    """One run on one zoo."""

    run: Run
    evaluation: Evaluation
    differences: Mapping[str, Estimate]
    """By figure: this run's less the first one's; empty for the first, and where one of the two
    cannot take the networks."""


def compare(
    runs: Sequence[Run], zoo: Zoo, *, split: Split = "test", resampling: Resampling | None = None
) -> list[Contender]:
    """Measure runs on the same networks of a zoo.

    Raises:
        DataError: they predict different things, or categories, or see different networks.
    """
    how = resampling or Resampling()
    check_alike(runs)
    which = runs[0].config.data.which
    measured = [
        evaluate(run, zoo, split=split, which=which, resampling=how, invariance=False)
        for run in runs
    ]
    first = measured[0].predictions
    return [
        Contender(
            run=run,
            evaluation=one.evaluation,
            differences={}
            if number == 0 or first is None or one.predictions is None
            else differences(one.predictions, first, resampling=how),
        )
        for number, (run, one) in enumerate(zip(runs, measured, strict=True))
    ]


def differences(predicted: Any, first: Any, *, resampling: Resampling) -> dict[str, Estimate]:
    """Figures of one table of predictions less those of another of the same networks."""
    true, ours, theirs = (
        table.column(name).to_numpy()
        for table, name in ((first, "target"), (predicted, "prediction"), (first, "prediction"))
    )
    how: dict[str, Any] = {"resampling": resampling, "networks": number_networks(first)}
    errors = [(given - true) ** 2 for given in (ours, theirs)]
    return {
        "tau": kendall_difference(true, ours, theirs, **how),
        "mse": error_difference(*errors, **how),
    }


def check_alike(runs: Sequence[Run]) -> None:
    """Whether runs can be compared.

    Raises:
        DataError: they cannot; the sentence says why.
    """
    if len(runs) < 2:
        raise DataError(f"a comparison needs at least two runs, got {len(runs)}")
    labels = {run.target.label: run for run in runs}
    if len(labels) > 1:
        told = "; ".join(f"{run.path} predicts {label}" for label, run in labels.items())
        raise DataError(f"runs that are compared predict the same: {told}")
    if runs[0].target.kind == "category":
        raise DataError(f"{runs[0].path} predicts a category; numbers can be compared")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 compared, 2 refused, 130 stopped by Ctrl-C.
    """
    return answer(
        lambda: _serve(parse(CompareOptions, arguments, program=PROGRAM, description=DESCRIPTION))
    )


def _serve(options: CompareOptions) -> int:
    device = choose_device(options.device)
    runs = [load_run(path, device=device) for path in options.runs]
    check_alike(runs)
    for zoo in open_zoos(options.zoo or runs[0].own_zoos):
        with heartbeat("comparing"):
            contenders = compare(
                runs, zoo, split=options.split, resampling=Resampling(seed=options.seed)
            )
        if options.json:
            print(json.dumps(_json(contenders), ensure_ascii=False))
        else:
            print_sections([_section(contenders, name) for name in COMPARED], _notes(contenders))
    return 0


def _section(contenders: Sequence[Contender], figure: str) -> Section:
    first = contenders[0].evaluation
    zoo = first.zoo
    return Section(
        title=f"{NAMES[figure]} of {first.target.label}, {zoo.dataset} × {zoo.family}, "
        f"split {first.split}: {zoo.uri}",
        header=("run", "value", "interval", "n", f"less that of {contenders[0].run.name}, paired"),
        rows=tuple(_row(contender, figure) for contender in contenders),
        notes=(),
    )


def _row(contender: Contender, figure: str) -> tuple[str, ...]:
    name, measured = contender.run.name, contender.evaluation.measured
    if measured is None:
        return (name, "n/a", "", "", contender.evaluation.refusal or "")
    known, difference = measured.to_json()[figure], contender.differences.get(figure)
    told = ""
    if difference is not None:
        told = f"{number_text(difference.value)}  [{interval_text(difference.to_json())}]"
    return (name, number_text(known["value"]), interval_text(known), str(known["n"]), told)


def _notes(contenders: Sequence[Contender]) -> list[str]:
    notes = ["intervals: 95%, networks drawn again, the same ones for all runs"]
    cautions = ((c.run.name, caution(c.run)) for c in contenders)
    return [*notes, *(f"{name}: {note}" for name, note in cautions if note is not None), ""]


def _json(contenders: Sequence[Contender]) -> dict[str, Any]:
    return {
        "compared": [
            {
                "run": str(contender.run.path),
                "model": contender.run.config.model,
                **contender.evaluation.to_json(),
                "differences": {k: d.to_json() for k, d in contender.differences.items()},
            }
            for contender in contenders
        ]
    }


if __name__ == "__main__":
    sys.exit(main())
