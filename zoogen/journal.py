"""What a run writes to log/: who ran it and when, and each shard's receipt.

Everything that depends on time, host or attempt stands here and nowhere else in a zoo.
"""

import json
import os
import platform
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from zoogen import __version__
from zoogen.execute import ATTEMPTS, Receipt, end_attempts
from zoogen.store import Store

CHUNK = 100
"""Receipts in one file: object stores cannot append, so the last file is written anew."""


class Journal:
    """The log of one run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.label = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
        self._chunk: list[str] = []
        self._chunks = 0

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Note who runs what, and forget attempts of runs that died."""
        for name in list(self._store.list(ATTEMPTS)):
            self._store.delete(name)
        who = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "begun_utc": self.label[:15],
            "command": sys.argv[1:],
            "zoogen": __version__,
            "python": platform.python_version(),
        }
        data = json.dumps({**who, **facts}, indent=1, ensure_ascii=False) + "\n"
        self._store.put(f"log/run-{self.label}.json", data.encode())

    def commit(self, receipt: Receipt) -> None:
        """Keep a receipt; the shard's attempts are over."""
        self._chunk.append(json.dumps(receipt.to_json(), ensure_ascii=False))
        text = "\n".join(self._chunk) + "\n"
        self._store.put(f"log/receipts-{self.label}-{self._chunks:04d}.jsonl", text.encode())
        if len(self._chunk) == CHUNK:
            self._chunk, self._chunks = [], self._chunks + 1
        end_attempts(self._store, self.label, receipt)
