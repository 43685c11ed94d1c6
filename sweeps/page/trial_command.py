"""The command that makes one trial alone, from what its results say."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sne.recipes import RECIPES, default_config

OUT = "runs/one"
Json = Mapping[str, Any]
GROUPS = ("data", "training", "optimizer", "symmetry", "settings")


def training_command(config: Json, zoos: Sequence[str], *, machine: Json, out: str = OUT) -> str:
    """`python -m sne.train …` with every setting that differs from the default.

    Args:
        config: the trial's, as its results have it.
        zoos: where the training zoos lie, in order.
        machine: device and threads that it ran with, as its record has them.
        out: the run's folder.
    """
    model = config["model"]
    choices = (
        ("--recipe", recipe, *_flags(config, default_config((), model=model, recipe=recipe)))
        for recipe in RECIPES
    )
    words = ["python", "-m", "sne.train"]
    words += [word for zoo in zoos for word in ("--zoo", zoo)]
    words += ["--model", model, *min(choices, key=len)]
    words += [w for name in ("device", "threads") for w in _machine(name, machine.get(name))]
    return shlex.join([*words, "--out", out])


def evaluation_command(zoo: str, *, out: str = OUT) -> str:
    """`python -m sne.evaluate …` of that run on one more zoo."""
    return shlex.join(["python", "-m", "sne.evaluate", out, "--zoo", zoo])


def _flags(config: Json, default: Any) -> Iterator[str]:
    usual = json.loads(json.dumps(asdict(default)))
    for group in GROUPS:
        prefix = f"{config['model']}." if group == "settings" else ""
        for name, value in config[group].items():
            if name == "zoo" or value is None or value == usual[group].get(name):
                continue
            flag = f"{prefix}{name}".replace("_", "-")
            if isinstance(value, bool):
                yield f"--{prefix}{'' if value else 'no-'}{name}".replace("_", "-")
                continue
            yield f"--{flag}"
            yield from (map(str, value) if isinstance(value, list) else [str(value)])


def _machine(name: str, value: Any) -> tuple[str, ...]:
    return () if value is None else (f"--{name}", str(value))
