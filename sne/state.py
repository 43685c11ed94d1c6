"""Where a training stands, on disk: killed at any moment, it goes on with identical losses.

`state/EPOCH-STEP.safetensors` holds the tensors (weights, best weights, Adam's moments, sums of the
unfinished epoch), `state/state.json` what else there is and the tensors' file name. The JSON is
replaced last and in one step, so it always names a whole file. Random numbers need no state: they
follow from (seed, epoch, step).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from sne.errors import RunError
from sne.files import read_json, sweep, write_bytes, write_json
from sne.zoo import MISUSED

FOLDER = "state"
RECORD = "state.json"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class State:
    """One moment of a training."""

    epoch: int
    """Epochs that are done."""
    step: int
    """Steps of the next epoch that are done."""
    tensors: Mapping[str, Tensor]
    record: Mapping[str, Any]
    """Plain values: curves so far, the best epoch, seconds spent."""


def save_state(run: Path, state: State) -> None:
    """Write the state; the one before it is removed once this one is whole."""
    folder = run / FOLDER
    name = f"{state.epoch:05d}-{state.step:05d}.safetensors"
    # Copies to the CPU are whole and of their own: tensors that share memory cannot be saved.
    tensors = {key: t.detach().cpu().clone().contiguous() for key, t in state.tensors.items()}
    write_bytes(folder / name, save(tensors))
    write_json(
        folder / RECORD,
        {"epoch": state.epoch, "step": state.step, "tensors": name, "record": state.record},
    )
    for path in folder.glob("*.safetensors"):
        if path.name != name:
            path.unlink(missing_ok=True)
    sweep(folder)


def load_state(run: Path) -> State | None:
    """The state of an interrupted training; None if it never got to save one.

    Raises:
        RunError: the files are damaged.
    """
    folder = run / FOLDER
    if not (folder / RECORD).exists():
        return None
    value = read_json(folder / RECORD)
    try:
        # Its own folder alone, whatever the name says.
        tensors = load_file(folder / Path(value["tensors"]).name)
        return State(
            epoch=value["epoch"], step=value["step"], record=value["record"], tensors=tensors
        )
    except (OSError, SafetensorError, *MISUSED) as error:
        raise RunError(
            f"{folder} is damaged ({error}): remove it to train this run from the start"
        ) from error


def clear_state(run: Path) -> None:
    """Remove the state of a training that is done; it is three times as large as the model."""
    for path in [run / FOLDER / RECORD, *(run / FOLDER).glob("*.safetensors")]:
        path.unlink(missing_ok=True)
