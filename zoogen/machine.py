"""What this machine offers a run, and how a process that trains is set up.

Everything here works without torch, except on a machine that shows signs of a GPU.
"""

import ctypes
import os
import sys
from pathlib import Path

# Drivers of NVIDIA, of AMD, and of NVIDIA under WSL.
_GPU_SIGNS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
# glibc's mallopt parameters (malloc.h) and what they are set to.
_MALLOPT = {-1: 2**30, -2: 64 * 2**20, -3: 2**30}  # trim threshold, top pad, mmap threshold


def available_cores() -> int:
    """Cores that this process may use: its affinity, and a container's quota where there is one."""
    return max(1, min(len(os.sched_getaffinity(0)), _quota() or os.cpu_count() or 1))


def available_gpus() -> int:
    """GPUs that torch can use here. Imports torch only where a driver is installed."""
    if not any(Path(sign).exists() for sign in _GPU_SIGNS):
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def set_environment(threads: int) -> None:
    """Say how many threads numeric libraries start; before torch is imported, or it is too late."""
    os.environ.update(thread_environment(threads))


def thread_environment(threads: int) -> dict[str, str]:
    """The environment of a process that trains.

    A second thread that waits must not spin: with another process on its core that made a step
    16 times slower. cuBLAS is deterministic only with a workspace of fixed size.
    """
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }


def prepare_training(*, threads: int, device: str) -> None:
    """Set up this process for training: threads, reusable memory, deterministic kernels.

    An engine of our own on the CPU works without torch, whose import takes seconds and 200 MB, so
    torch is not imported here for a CPU: the environment tells it the number of threads.
    """
    keep_pages()
    set_environment(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if device.startswith("cuda"):
        import torch

        torch.use_deterministic_algorithms(True)
        # Memory that nobody has written yet is never read here; filling it costs a pass.
        torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


def keep_pages() -> bool:
    """Let the allocator keep freed memory: fresh pages were up to a third of a training step.

    By default glibc gives each large block back to the system and asks for a new one, whose
    pages the kernel then clears again. Returns False where there is no glibc to tell.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    accepted = [mallopt(key, value) for key, value in _MALLOPT.items()]
    return all(accepted)


def _quota() -> int | None:
    """Whole cores of a cgroup v2 quota; None without one."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))
