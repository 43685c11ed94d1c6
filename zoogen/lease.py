"""A lease on an object store that can put an object on a condition (S3 and what speaks like it).

The lease is one small object. It is created only if absent, renewed three times in its life, and
each write names the version it replaces, so two runs never both believe they hold it. Age is taken
from the store's own clock (its `Date` and `Last-Modified`), so clocks of machines may disagree.
"""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from email.utils import parsedate_to_datetime
from typing import Any

from zoogen.errors import LockError
from zoogen.json_text import parse_json
from zoogen.lock import LOCK_NAME, Holder, parse_holder
from zoogen.object_store import ATTEMPTS, s3_place

RENEWALS = 3
"""Renewals in one lease time: two may fail before it expires."""
# 412: the condition does not hold; 409: another conditional write was under way.
_REFUSED = (409, 412)
log = logging.getLogger(__name__)


@contextlib.contextmanager
def lease(uri: str, me: Holder, *, seconds: float) -> Iterator["Lease"]:
    """Hold the lease of the zoo at an `s3://` URI, renewed by a thread, given back at the end.

    Raises:
        LockError: another run holds it, boto3 is missing, or the store knows no conditions.
    """
    held = Lease(_LeaseObject(uri), me, seconds=seconds)
    held.acquire()
    try:
        yield held
    finally:
        held.release()


class Lease:
    """A lease and the thread that renews it."""

    def __init__(self, place: "_LeaseObject", me: Holder, *, seconds: float) -> None:
        self._place, self._me, self._seconds = place, me, seconds
        self._version, self._renewals, self._valid_until = "", 0, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="zoogen-lease", daemon=True)

    @property
    def run(self) -> str:
        """See `zoogen.lock.Lock`."""
        return self._me.run

    def still_mine(self) -> bool:
        """See `zoogen.lock.Lock`."""
        return time.monotonic() < self._valid_until

    def acquire(self) -> None:
        """Create the object, or take over one that was given back or has expired.

        Raises:
            LockError: another run holds it, or the store ignores conditions.
        """
        started = time.monotonic()
        version = self._place.put(self._body(), None) or self._take_over()
        # A store that ignores conditions would overwrite silently: this put must be refused.
        if self._place.put(self._body(), None) is not None:
            self._place.delete()
            raise LockError(
                f"the store of {self._place.uri} overwrites objects that it was asked to create "
                "only if absent, so it cannot lock. If no other run writes this zoo, add --no-lock"
            )
        self._version, self._valid_until = version, started + self._seconds
        self._thread.start()

    def release(self) -> None:
        """Stop renewing and say in the object that nobody holds it."""
        self._stop.set()
        self._thread.join()
        if self.still_mine():
            self._valid_until = 0.0
            try:
                self._place.put(json.dumps({"released": True}).encode(), self._version)
            except LockError as error:
                log.warning("%s; it expires by itself in %g s", error, self._seconds)

    def _take_over(self) -> str:
        found = self._place.get()
        if found is None:
            raise LockError(
                f"{self._place.uri}: another run is just beginning or ending; try again"
            )
        body, version, age = found
        holder, lasts = parse_holder(body), _lasts(body, self._seconds)
        if holder is not None and holder.run == self._me.run:
            return version  # the first put arrived, only its answer was lost
        if holder is not None and age <= lasts:
            raise LockError(
                f"{self._place.uri} is being written by {holder}: wait until it ends, or stop it. "
                f"If it died, its lease ends {lasts:g} s after its last sign"
            )
        taken = self._place.put(self._body(), version)
        if taken is None:
            raise LockError(f"{self._place.uri}: another run has just taken it over")
        return taken

    def _keep(self) -> None:
        while not self._stop.wait(self._seconds / RENEWALS):
            started = time.monotonic()
            self._renewals += 1
            try:
                version = self._place.put(self._body(), self._version) or self._own_version()
            except LockError as error:
                log.warning("%s; trying again", error)
                continue
            if version is None:
                self._valid_until = 0.0
                log.error("%s: another run has taken the lease over", self._place.uri)
                return
            self._version, self._valid_until = version, started + self._seconds

    def _own_version(self) -> str | None:
        """After a refusal: our own put may have arrived with its answer lost."""
        found = self._place.get()
        if found is None:
            return None
        holder = parse_holder(found[0])
        return found[1] if holder is not None and holder.run == self._me.run else None

    def _body(self) -> bytes:
        # The count makes each renewal a version of its own.
        more = {"seconds": self._seconds, "renewals": self._renewals}
        return json.dumps({**asdict(self._me), **more}).encode()


class _LeaseObject:
    """One object with conditional writes."""

    def __init__(self, uri: str) -> None:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as error:
            raise LockError(
                "locking a zoo on S3 needs boto3 (pip install 'zooscope[s3]'). If no other run "
                "writes this zoo, add --no-lock"
            ) from error
        self._errors = (ClientError, BotoCoreError)
        place = s3_place(uri)
        self.uri = uri
        self._at = {"Bucket": place.bucket, "Key": place.key(LOCK_NAME)}
        retries = {"max_attempts": ATTEMPTS, "mode": "standard"}
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=place.endpoint,
            region_name=place.region or ("us-east-1" if place.endpoint else None),
            config=Config(retries=retries, connect_timeout=10, read_timeout=30),
        )

    def put(self, body: bytes, version: str | None) -> str | None:
        """Replace that version, or create the object if None; the new version, None if refused."""
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        try:
            answer = self._client.put_object(**self._at, Body=body, **condition)
        except self._errors as error:
            if _status(error) in _REFUSED:
                return None
            raise LockError(f"cannot write the lease of {self.uri}: {error}") from error
        return answer["ETag"]

    def get(self) -> tuple[bytes, str, float] | None:
        """Contents, version and age in seconds by the store's clock; None if it is not there."""
        try:
            answer = self._client.get_object(**self._at)
            body = answer["Body"].read()
        except self._errors as error:
            if _status(error) == 404:
                return None
            raise LockError(f"cannot read the lease of {self.uri}: {error}") from error
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return body, answer["ETag"], (now - answer["LastModified"]).total_seconds()

    def delete(self) -> None:
        """Remove it, whoever holds it."""
        self._client.delete_object(**self._at)


def _lasts(body: bytes, usual: float) -> float:
    """Seconds that a lease is good for, as its object says; else the usual ones."""
    try:
        return float(parse_json(body)["seconds"])
    except (ValueError, KeyError, TypeError):
        return usual


def _status(error: Any) -> int | None:
    response = getattr(error, "response", None) or {}
    return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
