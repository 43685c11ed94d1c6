"""Faults for processes that tests start: with this folder on PYTHONPATH one member goes wrong.

ZOOGEN_TEST_RAISES=5: initialising member 5 raises. ZOOGEN_TEST_KILLS=5: it kills its process.
ZOOGEN_TEST_ASKS=5: it asks for more memory than there is.
"""

import os
import signal
from typing import Any

from zoogen.members import Member

_stream = Member.stream


def _faulty(self: Member, purpose: Any, *more: int) -> Any:
    if purpose == "init" and str(self.index) == os.environ.get("ZOOGEN_TEST_RAISES"):
        raise ValueError("a fault that the test put here")
    if purpose == "init" and str(self.index) == os.environ.get("ZOOGEN_TEST_KILLS"):
        os.kill(os.getpid(), signal.SIGKILL)
    if purpose == "init" and str(self.index) == os.environ.get("ZOOGEN_TEST_ASKS"):
        bytearray(2**50)
    return _stream(self, purpose, *more)


Member.stream = _faulty
