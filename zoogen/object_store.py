"""Zoos on object stores, through pyarrow's file systems: S3, and by the same way GCS and Azure.

An object is written from bytes that are complete, by one write and one close, so that no error of
ours can leave half of it under its name. Requests that fail with a server error or are throttled
are repeated with growing pauses by the client library. Credentials come from the environment or a
profile, are never taken from the URI and never logged.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs

import pyarrow as pa
from pyarrow import fs

from zoogen.errors import PlanError, ShardError, first_line
from zoogen.store import Bytes, refuse_credentials, split_uri

ATTEMPTS = 8
"""Tries for each request; pauses double up to 20 s, so an outage of a minute is survived."""
# Their objects become visible when the stream is closed, which HDFS and others do not promise.
_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss")


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Place:
    """A bucket and prefix, and how to reach them."""

    bucket: str
    prefix: str
    endpoint: str | None
    """`http://host:port` of a store that is not Amazon's."""
    region: str | None

    def key(self, name: str) -> str:
        """The object's key within the bucket."""
        return str(PurePosixPath(self.prefix) / name)


def s3_place(uri: str) -> S3Place:
    """Read an `s3://bucket/prefix` URI.

    The endpoint comes from AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, or as pyarrow writes it from
    `?endpoint_override=host:port&scheme=http`; the region from `?region=` or AWS_REGION.

    Raises:
        PlanError: no bucket, or credentials in the URI.
    """
    refuse_credentials(uri)
    parts = split_uri(uri)
    if not parts.netloc:
        raise PlanError(f"an S3 zoo is s3://bucket/prefix, got {uri!r}")
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    override = query.get("endpoint_override")
    if override is not None:
        endpoint = f"{query.get('scheme', 'https')}://{override}"
    else:
        endpoint = _environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    region = query.get("region") or _environment("AWS_REGION", "AWS_DEFAULT_REGION")
    return S3Place(
        bucket=parts.netloc, prefix=parts.path.strip("/"), endpoint=endpoint, region=region
    )


def open_object_store(uri: str) -> "ObjectStore":
    """The store at an object store's URI.

    Raises:
        PlanError: credentials in the URI, or a scheme whose objects do not appear whole.
    """
    refuse_credentials(uri)
    scheme = split_uri(uri).scheme
    if scheme not in _SCHEMES:
        raise PlanError(
            f"a zoo lies in a folder or at {', '.join(s + '://' for s in _SCHEMES)}, got {uri!r}"
        )
    if scheme == "s3":
        place = s3_place(uri)
        try:
            filesystem = _s3(place)
        except (pa.ArrowException, OSError, ValueError, TypeError) as error:
            raise PlanError(f"{uri!r} cannot be reached: {first_line(error)}") from error
        return ObjectStore(uri, filesystem, f"{place.bucket}/{place.prefix}".rstrip("/"))
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise PlanError(f"pyarrow cannot open {uri!r}: {first_line(error)}") from error
    return ObjectStore(uri, filesystem, path)


class ObjectStore:
    """A zoo under a prefix of an object store; see `zoogen.store.Store` for the methods."""

    def __init__(self, uri: str, filesystem: Any, root: str) -> None:
        self._uri, self._fs, self._root = uri.rstrip("/"), filesystem, root.rstrip("/")

    @property
    def uri(self) -> str:
        """As it was given."""
        return self._uri

    @property
    def local_root(self) -> None:
        """No folder."""
        return

    def read(self, name: str) -> bytes:
        """See `Store`."""
        with self._fs.open_input_file(self._path(name)) as file:
            return file.read()

    def open(self, name: str) -> Any:
        """See `Store`."""
        return self._fs.open_input_file(self._path(name))

    def put(self, name: str, data: Bytes) -> None:
        """See `Store`; a put that ended short or failed is an error, never a believed object."""
        buffer = pa.py_buffer(data)
        try:
            with self._fs.open_output_stream(self._path(name)) as stream:
                stream.write(buffer)
            written = self._fs.get_file_info(self._path(name)).size
        except OSError as error:
            raise ShardError(f"cannot write {self._uri}/{name}: {error}") from error
        if written != buffer.size:
            raise ShardError(f"{self._uri}/{name} holds {written} bytes, {buffer.size} were sent")

    def put_new(self, name: str, data: Bytes) -> bool:
        """See `Store`; looks first and puts then, so it relies on the lock against others."""
        if self.exists(name):
            return False
        self.put(name, data)
        return True

    def exists(self, name: str) -> bool:
        """See `Store`."""
        return self._fs.get_file_info(self._path(name)).type == fs.FileType.File

    def list(self, folder: str) -> Iterator[str]:
        """See `Store`."""
        selector = fs.FileSelector(self._path(folder), allow_not_found=True)
        found = (i.base_name for i in self._fs.get_file_info(selector) if i.is_file)
        return (str(PurePosixPath(folder) / name) for name in sorted(found))

    def delete(self, name: str) -> None:
        """See `Store`."""
        if self.exists(name):
            self._fs.delete_file(self._path(name))

    def sweep(self) -> int:
        """Nothing: a put that was cut short leaves no object."""
        return 0

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")


def _s3(place: S3Place) -> Any:
    endpoint = split_uri(place.endpoint) if place.endpoint else None
    region = place.region or ("us-east-1" if endpoint else fs.resolve_s3_region(place.bucket))
    return fs.S3FileSystem(
        region=region,
        endpoint_override=endpoint.netloc if endpoint else None,
        scheme=endpoint.scheme if endpoint else "https",
        allow_delayed_open=True,  # small objects in one request
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        connect_timeout=10,
        request_timeout=60,
    )


def _environment(*names: str) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
