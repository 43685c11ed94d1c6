"""`python -m sne.train`: fit a model to zoos, select it on their validation splits, measure it.

`train` is the same in Python: one plain process that knows no command line.
"""

import fcntl
import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sne.admission import admit
from sne.checkpoint import CONFIG, RESULT, Run, begin_run, load_run, save_model
from sne.command import answer
from sne.config import Machine, TrainConfig
from sne.errors import RunError
from sne.fit import Fitted, Report, Saving, fit
from sne.lesson import labels_of, make_lesson
from sne.material import Material, make_module, read_material, summary_line
from sne.model import FittedModel
from sne.options import TrainOptions, parse_options
from sne.outcome import write_curves, write_outcome
from sne.predict import choose_device
from sne.progress import shown
from sne.report import print_run
from sne.state import FOLDER, RECORD, State, load_state, save_state

log = logging.getLogger("sne")


def train(
    config: TrainConfig,
    out: Path,
    *,
    machine: Machine | None = None,
    report: Report = lambda progress: None,
) -> Run:
    """Train one model, or go on with it where it was interrupted.

    Args:
        config: the training as a value.
        out: the run's folder.
        machine: device, threads, how often states are saved, what must fit its card.
        report: called after each step and each epoch.

    Returns:
        The run with its weights on the device and its figures in `result`.

    Raises:
        SneError: what keeps it from training, in one sentence.
        ZooError: a zoo that cannot be read.
    """
    machine = machine or Machine()
    if machine.threads is not None:
        torch.set_num_threads(machine.threads)
    device = choose_device(machine.device)
    config = admit(config, machine=machine, device=device, out=out)
    material = read_material(config, device=device)
    module = make_module(config, material).to(device)
    log.info("%s", summary_line(config, material, module))
    begin_run(
        out,
        config,
        target=material.target,
        zoos=material.uses,
        architectures=material.pools["train"].architectures,
    )
    with _held(out):
        if not (out / RESULT).exists():
            fitted, steps = _fit(module, config, material, out=out, machine=machine, report=report)
            save_model(out, fitted.best)
            log.info("measuring on the test splits")
            run = load_run(out, device=device)
            write_outcome(run, material, fitted, steps=steps, machine=machine)
        else:
            log.info("%s is done already", out)
    return load_run(out, device=device)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 done, 2 refused, 130 stopped by Ctrl-C.
    """
    out: Path | None = None

    def serve() -> int:
        nonlocal out
        options = parse_options(arguments)
        out = options.out
        _serve(options)
        return 0

    def last_words() -> None:
        if out is not None and (out / CONFIG).exists():
            saved = (out / FOLDER / RECORD).exists()
            where = f"from the last state in {out}" if saved else "from the start"
            log.warning("stopped; the same command goes on %s", where)

    return answer(serve, last_words=last_words)


def _serve(options: TrainOptions) -> None:
    with shown(batch=options.config.training.batch) as report:
        run = train(options.config, options.out, machine=options.machine, report=report)
    if options.json:
        print(json.dumps({"run": str(run.path), **run.result}, ensure_ascii=False))
    else:
        print_run(run)


def _fit(
    module: nn.Module,
    config: TrainConfig,
    material: Material,
    *,
    out: Path,
    machine: Machine,
    report: Report,
) -> tuple[Fitted, int]:
    """What was learnt, and in how many steps."""
    if isinstance(module, FittedModel):
        return _fit_at_once(module, material), 0
    lesson = make_lesson(module, config, material)
    if machine.compile:
        module.compile()

    def save(state: State) -> None:
        save_state(out, state)
        save_model(out, best_of(state))
        write_curves(out, state.record["curves"])

    fitted = fit(
        lesson,
        config.optimizer,
        epochs=config.training.epochs,
        state=load_state(out),
        report=report,
        saving=Saving(every_s=machine.save_every, save=save, each_epoch=machine.save_epochs),
    )
    return fitted, lesson.steps * len(fitted.curves)


def best_of(state: State) -> dict[str, Tensor]:
    """The best weights so far, among a state's tensors."""
    prefix = "best."
    return {k.removeprefix(prefix): t for k, t in state.tensors.items() if k.startswith(prefix)}


def _fit_at_once(module: nn.Module, material: Material) -> Fitted:
    """For models without steps; the state dict is what `fit` left in the module."""
    assert isinstance(module, FittedModel)
    begun = time.monotonic()
    target, pools = material.target, material.pools
    given = {
        split: (pool.batch(np.arange(len(pool))), labels_of(target, pool.target))
        for split, pool in pools.items()
        if len(pool)
    }
    batch, labels = given["train"]
    module.fit(batch, labels, given.get("val"))
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    return Fitted(best=state, best_epoch=0, curves=[], seconds=time.monotonic() - begun)


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """Keep a second process from training in the same folder."""
    lock = out / FOLDER / "lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(f"another process is training in {out}: wait for it") from error
        yield


if __name__ == "__main__":
    sys.exit(main())
