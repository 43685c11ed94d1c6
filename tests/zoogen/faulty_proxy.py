"""A server before an S3 server: passes requests on, unless a fault is due.

Faults are counted down: so many answers of 503, so many connections cut in the middle of what is
sent, or a pause before every answer.
"""

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, urlsplit

BUSY = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


class Faults:
    """What goes wrong next, and what went wrong."""

    def __init__(self, *, busy: int = 0, cut: int = 0, pause_s: float = 0.0) -> None:
        self.pause_s = pause_s
        self.done: Counter[str] = Counter()
        self._left = Counter(busy=busy, cut=cut)
        self._lock = threading.Lock()

    def take(self, kind: str) -> bool:
        """Whether a fault of this kind is due now."""
        with self._lock:
            if self._left[kind] <= 0:
                return False
            self._left[kind] -= 1
            self.done[kind] += 1
            return True


class Handler(BaseHTTPRequestHandler):
    """One connection; `target` and `faults` are set by `faulty`."""

    protocol_version = "HTTP/1.1"
    target: SplitResult
    faults: Faults

    def handle_any(self) -> None:
        shard = self.command == "PUT" and "shards/" in self.path
        if shard and self.faults.take("cut"):
            self.rfile.read(100)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = self._body()
        if self.faults.pause_s:
            self.faults.done["slow"] += 1
            time.sleep(self.faults.pause_s)
        if self.faults.take("busy"):
            self._answer(503, {"Content-Type": "application/xml"}, BUSY)
            return
        link = http.client.HTTPConnection(self.target.hostname or "", self.target.port, timeout=60)
        passed = {k: v for k, v in self.headers.items() if k.lower() not in (*HOP, "expect")}
        link.request(self.command, self.path, body=body, headers=passed)
        answer = link.getresponse()
        found = {k: v for k, v in answer.getheaders() if k.lower() not in HOP}
        self._answer(answer.status, found, answer.read(), answer.getheader("Content-Length"))
        link.close()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailing headers
        return b"".join(parts)

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, length: str | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        size = length if self.command == "HEAD" and length else str(len(body))
        self.send_header("Content-Length", size)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def faulty(server: str, faults: Faults) -> Iterator[str]:
    """The URL of a server that behaves so, in front of another."""
    own = type("Own", (Handler,), {"target": urlsplit(server), "faults": faults})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), own)
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        proxy.server_close()


HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}
