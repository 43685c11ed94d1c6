"""`python -m sne.evaluate`: how well a run predicts networks that it has never seen."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sne.checkpoint import Run, load_run
from sne.command import REFUSED, answer, parse
from sne.config import flag
from sne.drawing import draw_predictions
from sne.errors import SneError
from sne.evaluation import Evaluated, Evaluation, Split, evaluate, figures_json
from sne.files import write_json, write_table
from sne.networks import Nonfinite, Which, open_zoos
from sne.predict import Inference, choose_device
from sne.progress import heartbeat
from sne.report import print_evaluation
from sne.resampling import Resampling

PROGRAM = "python -m sne.evaluate"
DESCRIPTION = """\
Measure a run on zoos: of other data sets, of other architectures, or its own test split (without
--zoo). For each zoo it writes every network's prediction as Parquet, a figure of predicted against
true values, and the figures that it prints.

For example:

    python -m sne.evaluate runs/svhn --zoo zoos/mnist-arch1-quick-seed0

Tables go to stdout, messages to stderr. Exit codes: 0 measured, 2 refused, or n/a: the model cannot
take the networks of a zoo."""
FOLDER = "evaluations"
OWN_ZOOS = "those it was trained on"


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateOptions:
    """Flags of the command."""

    run: Annotated[Path, tyro.conf.Positional, flag("RUN")]
    """The run's folder."""
    zoo: Annotated[tuple[str, ...], flag("ZOO", OWN_ZOOS), tyro.conf.UseAppendAction] = ()
    """A zoo's folder, or s3://BUCKET/PREFIX."""
    split: Split = "test"
    """all: every network, of a zoo that cannot hold one that the run was trained on."""
    checkpoints: Annotated[str | None, flag("last|all|EPOCH", "as in training")] = None
    """Which checkpoints of each network."""
    status: Annotated[tuple[str, ...] | None, flag("STATUS …", "as in training")] = None
    """Networks of which status: ok, unfitted, diverged."""
    nonfinite: Nonfinite = "drop"
    """What becomes of networks with weights that are not finite; those dropped are counted."""
    out: Annotated[Path | None, flag("FOLDER", "RUN/evaluations/…")] = None
    """Where predictions and figures go; only for one zoo."""
    batch: Annotated[int | None, flag("N", "as in training")] = None
    """Networks computed at once."""
    device: Annotated[str, flag("NAME")] = "auto"
    """cpu, cuda, …; auto: CUDA where there is a device."""
    seed: int = 0
    """Of the intervals' resamples."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print one JSON object for each zoo instead of a table."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 measured, 2 refused or n/a, 130 stopped by Ctrl-C.
    """
    return answer(
        lambda: _serve(parse(EvaluateOptions, arguments, program=PROGRAM, description=DESCRIPTION))
    )


def write_evaluation(run: Run, evaluated: Evaluated, folder: Path) -> list[str]:
    """Write figures and, where there are some, predictions; returns where they are, in words."""
    write_json(folder / "figures.json", figures_json(run, evaluated.evaluation))
    if evaluated.predictions is None:
        return []
    write_table(folder / "predictions.parquet", evaluated.predictions)
    draw_predictions(folder / "predicted.png", run, evaluated)
    return [f"predictions and figure: {folder}"]


def folder_for(run: Run, evaluation: Evaluation) -> Path:
    """Where an evaluation goes unless told otherwise: one folder for each choice of networks."""
    zoo, which, usual = evaluation.zoo, evaluation.which, run.config.data.which
    parts = [zoo.dataset, zoo.family, zoo.hash[:8], evaluation.split]
    if which.checkpoints != usual.checkpoints:
        parts.append(f"checkpoints-{which.checkpoints}")
    if which.status != usual.status:
        parts += ["status", *which.status]
    return run.path / FOLDER / "-".join(parts)


def _serve(options: EvaluateOptions) -> int:
    run = load_run(options.run, device=choose_device(options.device))
    usual = run.config.data
    which = Which(
        checkpoints=options.checkpoints or usual.checkpoints,
        status=options.status or usual.status,
        nonfinite=options.nonfinite,
    )
    how = run.inference
    if options.batch is not None:
        how = Inference(batch=options.batch, precision=how.precision)
    zoos = open_zoos(options.zoo or run.own_zoos)
    if options.out is not None and len(zoos) != 1:
        raise SneError(f"--out is one zoo's folder, got {len(zoos)} zoos: leave it out")
    refused = False
    for zoo in zoos:
        with heartbeat("measuring"):
            evaluated = evaluate(
                run,
                zoo,
                split=options.split,
                which=which,
                resampling=Resampling(seed=options.seed),
                how=how,
            )
        evaluation = evaluated.evaluation
        refused |= evaluation.refusal is not None
        folder = options.out or folder_for(run, evaluation)
        notes = write_evaluation(run, evaluated, folder)
        figures = figures_json(run, evaluation)
        if options.json:
            print(json.dumps(figures, ensure_ascii=False))
        else:
            print_evaluation(figures, notes)
    return REFUSED if refused else 0


if __name__ == "__main__":
    sys.exit(main())
