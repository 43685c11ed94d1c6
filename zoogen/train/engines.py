"""Engines by the names that `--engine` takes; each is loaded when it is asked for.

So that reading, planning and training on the CPU with `native` never wait for torch.
"""

from collections.abc import Callable, Mapping

from zoogen.errors import PlanError
from zoogen.train.job import Engine


def _loop() -> Engine:
    from zoogen.train.loop import LoopEngine

    return LoopEngine()


def _vmap() -> Engine:
    from zoogen.train.vmapped import VmapEngine

    return VmapEngine()


def _native() -> Engine:
    from zoogen.train.native.engine import NativeEngine

    return NativeEngine()


ENGINES: Mapping[str, Callable[[], Engine]] = {"loop": _loop, "vmap": _vmap, "native": _native}


def load_engine(name: str) -> Engine:
    """The engine of that name.

    Raises:
        PlanError: there is no such engine.
    """
    if name not in ENGINES:
        raise PlanError(f"no engine {name!r}; there are: {', '.join(ENGINES)}")
    return ENGINES[name]()
