"""What torch's own allocator gave out on the CPU during a call: the other side of a memory plan."""

from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile


def measured_peak(act: Callable[[], object]) -> int:
    """Bytes at the peak of what was allocated and not yet freed, from the profiler's trace.

    Only what is allocated during the call counts, so everything is to be made in it.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        act()
    found: Any = trace.profiler
    events = [e for e in found.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak
