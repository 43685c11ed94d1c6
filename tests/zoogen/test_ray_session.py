"""A Ray that cannot start is said in one sentence, whatever Ray raises."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zoogen import ray_session
from zoogen.errors import ZooError


@pytest.mark.parametrize(
    "error",
    [
        # Ray 2.60's own, where a loaded machine takes more than 30 s.
        Exception("The current node timed out during startup. This could happen."),
        ConnectionError("no port is left"),
    ],
)
def test_a_ray_that_does_not_start_is_one_sentence(error: Exception, tmp_path: Path, monkeypatch):
    def init(**settings: Any):
        raise error

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with pytest.raises(ZooError) as refusal:
        getattr(ray_session, "_start")(cpus=1, gpus=0, folder=tmp_path)  # noqa: B009
    assert str(refusal.value) == (
        f"Ray did not start on this machine: {error}; --local runs the same plan in one process "
        "without Ray"
    )


def test_a_fault_of_ours_is_no_ray_that_does_not_start(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=None))
    with pytest.raises(TypeError):
        getattr(ray_session, "_start")(cpus=1, gpus=0, folder=tmp_path)  # noqa: B009
