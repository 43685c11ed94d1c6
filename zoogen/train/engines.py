"""Engines by the names that `--engine` takes; each is loaded when it is asked for.

So that reading, planning and training on the CPU with `native` never wait for torch.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from zoogen.errors import PlanError
from zoogen.train.job import Engine


@dataclass(frozen=True, slots=True)
class Engines(Mapping[str, Engine]):
    """Names → engines, imported at first use."""

    places: Mapping[str, str]
    """Name → `module:class`."""

    def __getitem__(self, name: str) -> Engine:
        if name not in self.places:
            raise PlanError(f"no engine {name!r}; there are: {', '.join(self.places)}")
        module, _, cls = self.places[name].partition(":")
        return getattr(importlib.import_module(module), cls)()

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def _native() -> Engine:
    from zoogen.train.native.engine import NativeEngine

    return NativeEngine()


ENGINES: Mapping[str, Engine] = Engines(
    {
        "loop": "zoogen.train.loop:LoopEngine",
        "vmap": "zoogen.train.vmapped:VmapEngine",
        "native": "zoogen.train.native.engine:NativeEngine",
    }
)
