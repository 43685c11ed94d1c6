"""Values from around the files: environment variables, addresses of object stores, cluster inputs.

Each is mutated from a right one; what is wrong with it is said in an error with a name.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from cluster import aws_setup
from tests.fuzz import WORDS, mutated_text, unnamed
from zoogen.cache import cache_root
from zoogen.errors import ZooError
from zoogen.images.sources import place_to_search
from zoogen.object_store import open_object_store, s3_place
from zoogen.ray_session import token_file
from zoogen.store import open_store

FEW, MANY = 25, 250


def store(uri: str) -> object:
    return open_object_store(uri)


def cached(value: str) -> object:
    return cache_root()


VARIABLES: dict[str, tuple[str, Callable[[str], object]]] = {
    "ZOOGEN_DATA": ("/data/images", lambda value: place_to_search(None)),
    "ZOOGEN_CACHE": ("/dev/null/cache", lambda value: token_file()),
    "XDG_CACHE_HOME": ("/dev/null/cache", cached),
    "AWS_ENDPOINT_URL_S3": ("http://127.0.0.1:9000", lambda value: store("s3://bucket/zoo")),
    "AWS_ENDPOINT_URL": ("http://127.0.0.1:9000", lambda value: store("s3://bucket/zoo")),
    "AWS_REGION": ("eu-central-1", lambda value: store("s3://bucket/zoo")),
}
"""A right value, and what reads the variable."""
URIS: dict[str, Callable[[str], object]] = {
    "s3://bucket/prefix?region=eu-central-1&endpoint_override=127.0.0.1:9000&scheme=http": store,
    "s3://bucket/prefix?region=eu-central-1": s3_place,
    "file:///dev/null/zoo": open_store,
    "gs://bucket/prefix": lambda uri: open_store(uri) if not uri.startswith("gs://b") else None,
}


def mutated(text: str, dice: Random) -> str:
    return dice.choice(WORDS) if dice.random() < 0.3 else mutated_text(text, dice)


COUNTS = pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])


@COUNTS
@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.filterwarnings("ignore")
def test_a_variable_is_understood_or_refused(
    name: str, count: int, tmp_path: Path, fuzz_seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_REGION", "us-east-1")  # none is asked for over the network
    right, read = VARIABLES[name]

    def attempt(dice: Random) -> None:
        value = mutated(right, dice).replace("\0", "")  # which no variable can hold
        monkeypatch.setenv(name, f"/dev/null/{value}" if name == "ZOOGEN_CACHE" else value)
        read(value)

    found = unnamed(attempt, range(fuzz_seed, fuzz_seed + count), (ZooError,))
    assert not found, "\n".join(found)


@COUNTS
@pytest.mark.parametrize("uri", URIS)
@pytest.mark.filterwarnings("ignore")
def test_an_address_is_understood_or_refused(
    uri: str, count: int, tmp_path: Path, fuzz_seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    def attempt(dice: Random) -> None:
        URIS[uri](mutated(uri, dice))

    found = unnamed(attempt, range(fuzz_seed, fuzz_seed + count), (ZooError,))
    assert not found, "\n".join(found)


WANTED = ["--bucket", "zoos-of-ours", "--cidr", "203.0.113.7/32", "--region", "us-west-2"]


class Reached(BaseException):
    """Everything was understood: now Amazon would be asked."""


@COUNTS
def test_cluster_inputs_are_understood_or_refused(
    count: int, tmp_path: Path, fuzz_seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    def reached(*_: object, **__: object) -> None:
        raise Reached

    monkeypatch.setattr(boto3, "client", reached)
    token = tmp_path / "token"

    def attempt(dice: Random) -> None:
        words = list(WANTED)
        words[1 + 2 * dice.randrange(3)] = mutated(dice.choice(WANTED[1::2]), dice)
        with pytest.raises((SystemExit, Reached)) as stopped:
            aws_setup.main([*words, "--token", str(token)])
        if isinstance(stopped.value, SystemExit):
            assert "\n" not in str(stopped.value.code)
        else:  # what is put into policies is a name, and no more JSON
            assert not set(words[1] + words[5]) - set("abcdefghijklmnopqrstuvwxyz0123456789.-")

    found = unnamed(attempt, range(fuzz_seed, fuzz_seed + count), ())
    assert not found, "\n".join(found)
    assert not token.exists()
