"""What is kept of a training that is done: curves, predictions, figures on the test splits."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from sne.blocks import Sab
from sne.checkpoint import CURVES, MACHINE, PREDICTIONS, RESULT, Run
from sne.config import Machine
from sne.drawing import draw_predictions, draw_training
from sne.evaluation import Evaluation, evaluate
from sne.files import write_json, write_table
from sne.fit import Fitted, Row
from sne.judge import constant_loss, judge_training
from sne.material import Material
from sne.predict import predict
from sne.state import clear_state
from sne.tables import predictions_table
from sne.zoo import compiler_version


def write_outcome(
    run: Run, material: Material, fitted: Fitted, *, steps: int, machine: Machine
) -> tuple[Evaluation, ...]:
    """Measure the run on its zoos' test splits and write everything; result.json comes last.

    Args:
        run: with the weights that were kept.
        material: what it was trained on.
        fitted: how the training went.
        steps: that were taken.
        machine: for the record.

    Returns:
        One evaluation for each training zoo.
    """
    out, target = run.path, run.target
    predicted = {
        split: predict(run.module, pool, how=run.inference)
        for split, pool in material.pools.items()
        if len(pool)
    }
    tests = [evaluate(run, zoo) for zoo in material.zoos]
    trained = judge_training(target, material.pools["train"], predicted["train"])
    tables = [predictions_table(target, material.pools[s], p) for s, p in predicted.items()]
    tables += [test.predictions for test in tests]
    write_table(out / PREDICTIONS, pa.concat_tables(tables))
    for number, test in enumerate(tests):
        draw_predictions(out / f"predicted-{number}.png", run, test)
    write_curves(out, fitted.curves)
    if fitted.curves:
        draw_training(
            out / f"{CURVES}.png",
            run,
            fitted.curves,
            best_epoch=fitted.best_epoch,
            constant=constant_loss(target, material.pools["train"]),
        )
    write_json(out / MACHINE, machine_facts(run, machine))
    budget = {
        "epochs": len(fitted.curves),
        "steps": steps,
        "seconds": round(fitted.seconds, 3),
        "best_epoch": fitted.best_epoch,
    }
    figures = [test.evaluation.to_json() for test in tests]
    result = {"budget": budget, "trained": trained.to_json(), "tests": figures}
    write_json(out / RESULT, result)
    clear_state(out)
    return tuple(test.evaluation for test in tests)


def write_curves(out: Path, curves: Sequence[Row]) -> None:
    """The curves so far; nothing for a model that is fitted at once."""
    if curves:
        write_table(out / f"{CURVES}.parquet", pa.Table.from_pylist([dict(row) for row in curves]))


def machine_facts(run: Run, machine: Machine) -> Mapping[str, Any]:
    """Where a training ended; no figure depends on it but by rounding."""
    parameter = next(run.module.parameters(), None)
    device = "cpu" if parameter is None else str(parameter.device)
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.processor()
    return {
        "device": device,
        "device_name": name or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "compile": machine.compile,
        "compiler": _compiler(run, machine),
    }


def _compiler(run: Run, machine: Machine) -> str | None:
    """Of the code that computed the model's attention; None where PyTorch's operations did."""
    blocks = run.module.modules()
    by_torch = machine.compile or run.inference.precision == "bf16"
    compiled = not by_torch and any(isinstance(b, Sab) and b.compiled for b in blocks)
    return compiler_version() if compiled else None
