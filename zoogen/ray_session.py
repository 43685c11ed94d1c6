"""Start or join Ray for every package of the project: quiet, on loopback, nothing left behind.

A Ray of our own listens on 127.0.0.1 only, wants a token that only this user can read, shows no
dashboard, reports no usage and keeps its session files in a temporary folder that goes with it.
A cluster is joined as it is. Ray is imported inside functions, after its environment is set.
"""

import fcntl
import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zoogen import ray_reaper
from zoogen.cache import CACHE_VARIABLE, cache_root
from zoogen.errors import ZooError, first_line

log = logging.getLogger(__name__)
OBJECT_STORE_BYTES = 200_000_000
"""Receipts are a few hundred bytes; Ray's default would take 30 % of the memory."""
SHUTDOWN_PATIENCE_S = 2.0
KNOCK_PATIENCE_S = 10.0
NOT_STARTED = (RuntimeError, ConnectionError, TimeoutError, OSError, ValueError)
TEMP_PREFIX = "zoogen-ray-"
LONGEST_TEMP_PARENT = 30
"""Characters: Ray appends about 65 for its sockets, whose paths must stay below 107 bytes."""
QUIET: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A second torch thread must not spin while another process has its core (16 times slower).
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
}
# Despite its name: node address 127.0.0.1, and every server of this Ray listens there alone.
LOOPBACK: Mapping[str, str] = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What the Ray in use has in all."""

    cpus: int
    gpus: int
    nodes: int


@contextmanager
def ray_session(
    *, address: str | None = None, cpus: int | None = None, gpus: int | None = None
) -> Iterator[Resources]:
    """A Ray for the time of the `with`: one of our own, or the cluster at `address`.

    Where this process has a Ray already, that one is used and left running.

    Args:
        address: `HOST:PORT`, `auto` or `ray://…`; None starts Ray on this machine.
        cpus: CPU slots of a Ray of our own; None: as many as Ray finds.
        gpus: GPU slots of a Ray of our own; None: as many as Ray finds.

    Raises:
        ZooError: no cluster answers at the address, Ray cannot start here, or it was imported
            too early.
    """
    _set_environment(address)
    import ray

    if ray.is_initialized():
        yield resources()
        return
    with ExitStack() as cleanup:
        cleanup.enter_context(_quiet_core())
        if address is None:
            folder = cleanup.enter_context(_session_folder())
            cleanup.push(partial(_shut_down, folder))
            _start(cpus=cpus, gpus=gpus, folder=folder)
        else:
            cleanup.push(partial(_shut_down, None))
            _join(address)
        cleanup.enter_context(_quiet_raylet())
        yield resources()


def _set_environment(address: str | None) -> None:
    local = address is None or address.startswith(("127.", "localhost"))
    settings = {**QUIET, **(LOOPBACK if local else {})}
    if address is None:
        settings |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file())}
    late = [n for n in settings if n not in os.environ and "ray" in sys.modules]
    if late and not sys.modules["ray"].is_initialized():
        raise ZooError(
            "Ray was imported before its session: it reads its environment when it is imported, so "
            f"import it inside `with ray_session()` only, or set {', '.join(late)} first"
        )
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def token_file() -> Path:
    """The token that drivers and workers show one another: 64 hex digits, for this user alone.

    Raises:
        ZooError: the cache folder, where it lies, cannot be written.
    """
    path = cache_root() / "ray-token"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(prefix=".ray-token-", dir=path.parent)  # mode 0600
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(32))
            Path(draft).replace(path)
        path.chmod(0o600)
    except OSError as error:
        raise ZooError(
            f"cannot keep Ray's token in {path.parent}: {error.strerror or error}; set "
            f"{CACHE_VARIABLE} to a folder that can be written"
        ) from error
    return path


def _start(*, cpus: int | None, gpus: int | None, folder: Path) -> None:
    import ray

    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=gpus,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _temp_dir=str(folder),
        )
    except Exception as error:
        # Where a node takes too long to start, Ray raises an Exception and nothing narrower.
        if isinstance(error, NOT_STARTED) or type(error) is Exception:
            raise ZooError(
                f"Ray did not start on this machine: {first_line(error)}; "
                "--local runs the same plan in one process without Ray"
            ) from error
        raise


def _join(address: str) -> None:
    import ray

    try:
        _knock(address)
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except NOT_STARTED as error:
        raise ZooError(
            f"no Ray cluster could be joined at --address {address}: {first_line(error)}; "
            "`ray status` on its head says whether it runs (without --address Ray starts here)"
        ) from error


def _knock(address: str) -> None:
    """Connect once: Ray itself would wait for minutes for a head that is not there."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=KNOCK_PATIENCE_S).close()


def quieten(*loggers: str) -> None:
    """Let these loggers of Ray say errors only; each is set up anew when its part is imported."""
    for name in loggers:
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def _quiet_raylet() -> Iterator[None]:
    """Send what raylets tell the driver to the log at level debug: Ray prints it to stdout.

    That stream is for results. The function is private to Ray 2.60 and has no switch; without it
    nothing changes here but that the lines appear again.
    """
    import ray._private.worker as driver

    def note(data: Mapping[str, Any], ignore_prefix: bool) -> None:
        del ignore_prefix
        log.debug("Ray: %s", " ".join(data["lines"]))

    before = getattr(driver, "print_to_stdstream", None)
    driver.print_to_stdstream = note
    try:
        yield
    finally:
        if before is not None:
            driver.print_to_stdstream = before


@contextmanager
def _quiet_core() -> Iterator[None]:
    """Keep what Ray's C++ core writes to descriptor 2 off the user's terminal.

    At each run it reports one harmless thing as an error, and at each lost process some sixty
    lines of state. Python's `sys.stderr` goes on to where it went. Whoever wants to read the
    core's lines sets Ray's own variable RAY_BACKEND_LOG_LEVEL.
    """
    if "RAY_BACKEND_LOG_LEVEL" in os.environ:
        yield
        return
    sys.stderr.flush()
    before, descriptor = sys.stderr, os.dup(2)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(descriptor, 2)
        os.close(descriptor)
        sys.stderr.close()
        sys.stderr = before


def _shut_down(folder: Path | None, error: type[BaseException] | None, *rest: object) -> None:
    """End Ray; at once if the user wants to stop.

    A signal to the whole process group has hit Ray's servers as well, and `ray.shutdown` then
    waits for answers that do not come.
    """
    del rest
    import ray

    if error is None or not issubclass(error, KeyboardInterrupt):
        ray.shutdown()
        return
    if folder is not None:
        ray_reaper.end_users(str(folder))
    polite = threading.Thread(target=ray.shutdown, name="ray-shutdown", daemon=True)
    polite.start()
    polite.join(timeout=SHUTDOWN_PATIENCE_S)


def resources() -> Resources:
    """What the Ray in use has in all, now."""
    import ray

    total = ray.cluster_resources()
    return Resources(
        cpus=int(total.get("CPU", 0)), gpus=int(total.get("GPU", 0)), nodes=live_nodes()
    )


def request_gpus(count: int) -> None:
    """Ask the cluster's autoscaler for machines with so many GPUs in all; 0 takes it back."""
    from ray.autoscaler.sdk import request_resources

    bundles: list[Any] = [{"GPU": 1}] * count
    request_resources(bundles=bundles)


def live_nodes() -> int:
    """Machines of the cluster that answer; Ray notices a lost one after 12 to 14 seconds."""
    import ray

    return sum(1 for node in ray.nodes() if node["Alive"])


@contextmanager
def _session_folder() -> Iterator[Path]:
    """A short temporary folder for Ray's session, removed at the end.

    Should the folder be left all the same (a power cut), the lock inside tells the next run that
    nobody owns it.
    """
    parent = Path(tempfile.gettempdir())
    if len(str(parent)) > LONGEST_TEMP_PARENT:
        parent = Path("/tmp")
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=TEMP_PREFIX, dir=parent))
    with (folder / "owner").open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        with _reaper(folder):
            try:
                yield folder
            finally:
                _remove(folder)


@contextmanager
def _reaper(folder: Path) -> Iterator[None]:
    """A process that ends Ray and removes its folder should this process be killed."""
    reaper = subprocess.Popen(
        [sys.executable, "-I", "-S", ray_reaper.__file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # Ctrl-C in a terminal is meant for the driver
    )
    try:
        yield
    finally:
        assert reaper.stdin is not None  # it was asked for above
        reaper.stdin.close()
        reaper.wait(timeout=ray_reaper.PATIENCE_S + 5)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{TEMP_PREFIX}*"):
        try:
            if folder.stat().st_uid == os.getuid() and _is_abandoned(folder):
                _remove(folder)
        except OSError:  # another run sweeps the same folder
            continue


def _is_abandoned(folder: Path) -> bool:
    lock = folder / "owner"
    if not lock.exists():  # between mkdtemp and the lock, or half removed
        return time.time() - folder.stat().st_mtime > 3600
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _remove(folder: Path, *, patience_s: float = 5.0) -> None:
    """Remove it for good: Ray's last processes may still write while they end."""
    deadline = time.monotonic() + patience_s
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)
