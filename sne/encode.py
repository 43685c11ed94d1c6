"""`python -m sne.encode`: the encoding and the predicted property of any PyTorch network.

In Python: `encode(load_run(folder), module)`.
"""

import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
import pyarrow as pa
import torch
import tyro
from jaxtyping import Float
from torch import nn

from sne.checkpoint import Run, load_run, scaling_of
from sne.command import REFUSED, answer, parse
from sne.config import flag
from sne.errors import DataError, ModelError, SneError
from sne.files import write_table
from sne.model import check_taken
from sne.networks import Nonfinite
from sne.predict import choose_device, device_of, in_units, infer
from sne.progress import heartbeat
from sne.report import caution
from sne.sources import FORMS, Source, from_module, read_source
from sne.zoo import ZooError

PROGRAM = "python -m sne.encode"
DESCRIPTION = f"""\
Encode networks and predict the property that a run has learnt. A network is {FORMS}.
A file holds model.state_dict(), as safetensors' save_file or torch.save write it. Layer types are
read from names and shapes where there is no module to ask, and that is said.

For example:

    python -m sne.encode runs/svhn my_model.safetensors torchvision:resnet18 --out enc.parquet

The table on stdout has one row for each network; --out holds the columns name, encoding,
prediction. Messages go to stderr. Exit codes: 0 all were encoded, 2 one was refused, 130 stopped by
Ctrl-C."""
Prediction: TypeAlias = float | str
log = logging.getLogger("sne")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Encoded:
    """What a run says of one network."""

    name: str
    encoding: Float[np.ndarray, " e"]
    prediction: Prediction
    """In the target's unit, or log10 where it is predicted so; of a category its name."""
    parameters: int
    notes: tuple[str, ...]
    """What was assumed of the network, and kinds of weights that training never saw."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodeOptions:
    """Flags of the command."""

    run: Annotated[Path, tyro.conf.Positional, flag("RUN")]
    """The run's folder."""
    networks: Annotated[tuple[str, ...], tyro.conf.Positional, flag("NETWORK …")]
    """Files, rows of zoos, models of torchvision."""
    out: Annotated[Path | None, flag("FILE.parquet", "write no file")] = None
    """Where encodings and predictions go."""
    nonfinite: Nonfinite = "error"
    """What becomes of networks with weights that are not finite."""
    device: Annotated[str, flag("NAME")] = "auto"
    """cpu, cuda, …; auto: CUDA where there is a device."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print one JSON object for each network, with its encoding."""

    def __post_init__(self) -> None:
        if not self.networks:
            raise SneError(f"give at least one network: {FORMS}")


def encode(run: Run, network: Source | nn.Module | str) -> Encoded:
    """Encode one network.

    Args:
        run: with its module on the device to compute on.
        network: a torch module, or what the command line takes.

    Raises:
        DataError: there is no such network, or its weights are not finite.
        ModelError: the model cannot take it.
    """
    source = _source(network)
    check_taken(run.module, source.architecture)
    if bad := int((~torch.isfinite(source.weights)).sum()):
        raise DataError(
            f"{source.name}: {bad:,} of its {len(source.weights):,} weights are not finite: leave "
            "it out, or skip such networks with --nonfinite drop"
        )
    batch = source.batch(device_of(run.module), predicted=run.target.column)
    outputs = infer(run.module, batch, precision=run.inference.precision)
    values = in_units(run.target, outputs.prediction.double().cpu().numpy())
    if run.target.kind == "category":
        prediction: Prediction = run.target.classes[int(values[0].argmax())]
    else:
        prediction = float(values[0])
    return Encoded(
        name=source.name,
        encoding=outputs.encoding[0].float().cpu().numpy(),
        prediction=prediction,
        parameters=source.architecture.parameters,
        notes=(*source.notes, *_unseen(run, source)),
    )


def encodings_table(found: Sequence[Encoded], *, target: str) -> pa.Table:
    """Columns name, encoding, prediction."""
    kind = pa.string() if found and isinstance(found[0].prediction, str) else pa.float64()
    return pa.table(
        [
            pa.array([one.name for one in found], type=pa.string()),
            pa.array([one.encoding.tolist() for one in found], type=pa.list_(pa.float32())),
            pa.array([one.prediction for one in found], type=kind),
        ],
        schema=pa.schema(
            [
                pa.field("name", pa.string()),
                pa.field("encoding", pa.list_(pa.float32())),
                pa.field("prediction", kind, metadata={"target": target}),
            ]
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 all were encoded, 2 one was refused, 130 stopped by Ctrl-C.
    """
    return answer(
        lambda: _serve(parse(EncodeOptions, arguments, program=PROGRAM, description=DESCRIPTION))
    )


def _serve(options: EncodeOptions) -> int:
    run = load_run(options.run, device=choose_device(options.device))
    if (warning := caution(run)) is not None:
        log.warning("%s", warning)
    found: list[Encoded] = []
    refused = False
    for text in options.networks:
        try:
            one = _encode_aloud(run, text, options.nonfinite)
        except (SneError, ZooError) as error:
            refused = True
            log.error("n/a: %s" if isinstance(error, ModelError) else "%s", error)
            continue
        if one is not None:
            found.append(one)
            _print(one, run, as_json=options.json)
    if options.out is not None and found:
        write_table(options.out, encodings_table(found, target=run.target.label))
        log.info("%d encodings: %s", len(found), options.out)
    return REFUSED if refused else 0


def _encode_aloud(run: Run, text: str, nonfinite: Nonfinite) -> Encoded | None:
    """None for a network that is left out since its weights are not finite."""
    source = read_source(text)
    if nonfinite == "drop" and not torch.isfinite(source.weights).all():
        log.warning("%s: left out, it has weights that are not finite", text)
        return None
    log.info("%s: %s weights", text, f"{source.architecture.parameters:,}")
    begun = time.monotonic()
    with heartbeat("encoding"):
        one = encode(run, source)
    for note in one.notes:
        log.info("  %s", note)
    log.info("  encoded in %.1f s", time.monotonic() - begun)
    return one


def _print(one: Encoded, run: Run, *, as_json: bool) -> None:
    if as_json:
        values = {
            "name": one.name,
            "parameters": one.parameters,
            "target": run.target.label,
            "prediction": one.prediction,
            "encoding": one.encoding.tolist(),
            "notes": list(one.notes),
        }
        print(json.dumps(values, ensure_ascii=False))
        return
    shown = one.prediction if isinstance(one.prediction, str) else f"{one.prediction:.6g}"
    print(f"{one.name}\t{run.target.label} {shown}")


def _source(network: Source | nn.Module | str) -> Source:
    if isinstance(network, Source):
        return network
    return read_source(network) if isinstance(network, str) else from_module(network)


def _unseen(run: Run, source: Source) -> list[str]:
    scaling = scaling_of(run.module)
    kinds = () if scaling is None else scaling.unseen(source.architecture)
    if not kinds:
        return []
    return [f"never seen in training, scaled as their nearest role: {', '.join(kinds)}"]


if __name__ == "__main__":
    sys.exit(main())
