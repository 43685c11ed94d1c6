"""`python -m sne.evaluate`: how well a run predicts networks that it has never seen."""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sne.checkpoint import Run, load_run
from sne.config import flag
from sne.drawing import draw_predictions
from sne.errors import SneError
from sne.evaluation import Evaluated, Split, evaluate, figures_json
from sne.files import write_json, write_table
from sne.networks import Nonfinite, Which, ZooIdentity, open_zoos
from sne.predict import Inference, choose_device
from sne.report import log_to_stderr, print_evaluation
from sne.resampling import Resampling
from sne.zoo import ZooError

PROGRAM = "python -m sne.evaluate"
DESCRIPTION = """\
Measure a run on zoos: of other data sets, of other architectures, or its own test split. For each
zoo it writes every network's prediction as Parquet, a figure of predicted against true values, and
the figures that it prints.

For example:

    python -m sne.evaluate runs/svhn --zoo zoos/mnist-arch1-quick-seed0

Tables go to stdout, messages to stderr. Exit codes: 0 measured, 2 refused, or n/a: the model cannot
take the networks of a zoo."""
FOLDER = "evaluations"
log = logging.getLogger("sne")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateOptions:
    """Flags of the command."""

    run: Annotated[Path, tyro.conf.Positional, flag("RUN")]
    """The run's folder."""
    zoo: Annotated[tuple[str, ...], flag("ZOO"), tyro.conf.UseAppendAction]
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

    def __post_init__(self) -> None:
        if self.out is not None and len(self.zoo) != 1:
            raise SneError(f"--out is one zoo's folder, got {len(self.zoo)} zoos: leave it out")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 measured, 2 refused or n/a.
    """
    log_to_stderr()
    try:
        options = tyro.cli(
            EvaluateOptions,
            prog=PROGRAM,
            description=DESCRIPTION,
            args=arguments,
            config=(tyro.conf.DisallowNone,),
        )
        return _serve(options)
    except (SneError, ZooError) as error:
        log.error("%s", error)
        return 2


def write_evaluation(run: Run, evaluated: Evaluated, folder: Path) -> list[str]:
    """Write figures and, where there are some, predictions; returns where they are, in words."""
    write_json(folder / "figures.json", figures_json(run, evaluated.evaluation))
    if evaluated.predictions is None:
        return []
    write_table(folder / "predictions.parquet", evaluated.predictions)
    draw_predictions(folder / "predicted.png", run.target, evaluated)
    return [f"predictions and figure: {folder}"]


def folder_for(run: Run, zoo: ZooIdentity, split: str) -> Path:
    """Where an evaluation goes unless told otherwise: one folder for each zoo and split."""
    return run.path / FOLDER / f"{zoo.dataset}-{zoo.family}-{zoo.hash[:8]}-{split}"


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
    refused = False
    for zoo in open_zoos(options.zoo):
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
        folder = options.out or folder_for(run, evaluation.zoo, options.split)
        notes = write_evaluation(run, evaluated, folder)
        figures = figures_json(run, evaluation)
        if options.json:
            print(json.dumps(figures, ensure_ascii=False))
        else:
            print_evaluation(figures, notes)
    return 2 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
