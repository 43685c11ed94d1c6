"""Numeric platforms: what is compared before a worker may go on with a zoo."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from zoogen.platforms import Platform, cpu_name, current_platform, differences


def test_versions_are_those_that_are_loaded_though_nothing_is_loaded() -> None:
    code = (
        "import sys; from zoogen.platforms import current_platform\n"
        "print(current_platform(engine='loop', threads=2, device='cpu').to_json())\n"
        "assert not {'torch', 'numpy', 'pyarrow'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = current_platform(engine="loop", threads=2, device="cpu")
    assert done.stdout.strip() == str(here.to_json())
    assert torch.__version__.startswith(here.torch)
    assert (here.numpy, here.pyarrow) == (np.__version__, pa.__version__)


def test_a_platform_survives_json_and_names_what_differs() -> None:
    here = current_platform(engine="loop", threads=1, device="cpu")
    assert Platform.from_json(here.to_json()) == here
    assert differences(here, here) == ()
    other = replace(here, threads=4, engine="vmap eager")
    assert differences(here, other) == ("engine: 'loop' and 'vmap eager'", "threads: 1 and 4")


def test_limits_on_instruction_sets_are_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    before = cpu_name()
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert cpu_name() == f"{before} ATEN_CPU_CAPABILITY=default"


@pytest.mark.gpu
def test_a_gpu_is_named_by_its_model() -> None:
    here = current_platform(engine="vmap", threads=1, device="cuda")
    assert torch.cuda.get_device_name() in here.device
