"""What the tests of conversions share: the command and a look at its zoo; classes of others."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from zoogen import convert, info, verify
from zoogen.reader import Zoo, open_zoo


def converted(source: Path, zoo: Path, *flags: str) -> Zoo:
    assert convert.main([str(source), str(zoo), *flags]) == 0
    with pytest.raises(SystemExit) as stopped:
        verify.main([str(zoo)])
    assert stopped.value.code == 0
    info.main([str(zoo)])
    return open_zoo(zoo)


def drawn(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.tensor(rng.normal(0, 0.3, shape), dtype=torch.float32)


def their_class(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A class of another project, importable while the file is written."""
    module_name, _, short = name.rpartition(".")
    parts = module_name.split(".")
    for end in range(1, len(parts) + 1):
        full = ".".join(parts[:end])
        if full not in sys.modules:
            monkeypatch.setitem(sys.modules, full, ModuleType(full))
    cls = type(short, (), {"__module__": module_name})
    setattr(sys.modules[module_name], short, cls)
    return cls
