"""What a process that trains is told: cores, threads, memory."""

import os
import subprocess
import sys

from zoogen.machine import available_cores, available_gpus, keep_pages

FAULTS = """
import resource, sys
import numpy as np
from zoogen.machine import keep_pages
if sys.argv[1] == "keep":
    assert keep_pages()
def work():
    for _ in range(20):
        np.ones(5_000_000)  # more than glibc ever keeps of itself
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
THREADS = """
import os, sys
from zoogen.machine import prepare_training
os.environ["OMP_NUM_THREADS"] = "7"
prepare_training(threads=2, device="cpu")
assert "torch" not in sys.modules
import torch
print(torch.get_num_threads())
prepare_training(threads=1, device="cpu")
print(torch.get_num_threads())
"""


def answer(code: str, *arguments: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return [int(line) for line in done.stdout.split()]


def test_freed_memory_is_kept_for_the_next_step():
    if not keep_pages():
        return  # no glibc: nothing to keep, and nothing is promised
    (kept,), (given_back,) = answer(FAULTS, "keep"), answer(FAULTS, "as it is")
    assert kept < given_back / 10


def test_threads_are_those_asked_for_whatever_the_environment_says():
    assert answer(THREADS) == [2, 1]


def test_cores_are_those_this_process_may_use():
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))


def test_no_gpu_is_found_without_torch_where_there_is_no_driver():
    code = (
        "import sys, os\nfrom zoogen.machine import _GPU_SIGNS, available_gpus\n"
        "gpus = available_gpus()\n"
        "print(int('torch' in sys.modules), int(any(map(os.path.exists, _GPU_SIGNS))))"
    )
    loaded, driver = answer(code)
    assert loaded == driver
    assert available_gpus() >= 0
