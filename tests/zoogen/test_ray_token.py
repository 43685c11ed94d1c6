"""Who has no token, or another one, cannot submit to a Ray of ours, and hears so in a sentence.

Ray itself tries for some 20 seconds before it gives up.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="our Ray is on loopback on Linux"),
]
HEAD = """
import sys
from zoogen.ray_session import ray_session
with ray_session(cpus=1):
    import ray
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
"""
JOIN = """
import sys
from zoogen.errors import ZooError
from zoogen.ray_session import ray_session
try:
    with ray_session(address=sys.argv[1]):
        import ray
        print("submitted", ray.get(ray.remote(lambda: 6 * 7).remote()))
except ZooError as error:
    print("refused", error)
"""


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A Ray of another process: its address and its token's file."""
    cache = tmp_path_factory.mktemp("cache")
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "ZOOGEN_CACHE": str(cache)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        address = process.stdout.readline().strip()
        assert address.startswith("127.0.0.1:")
        yield address, cache / "ray-token"
        process.stdin.close()
        assert process.wait(timeout=120) == 0


def join(address: str, home: Path, **token: str) -> str:
    """What a process says that has this token and no other, and tries to submit."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", JOIN, address],
        env={**kept, "HOME": str(home), **token},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.strip()


def test_only_with_the_token_work_is_submitted(head: tuple[str, Path], tmp_path: Path) -> None:
    address, token = head
    told = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    assert join(address, tmp_path, **told) == "submitted 42"
    refused = f"refused no Ray cluster could be joined at --address {address}"
    wrong = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    assert join(address, tmp_path, **wrong).startswith(refused)
    assert join(address, tmp_path, RAY_AUTH_MODE="disabled").startswith(refused)
