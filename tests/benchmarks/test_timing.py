import json
from collections.abc import Iterator

import pytest

from benchmarks.table import HEADER, Promise, Row, markdown, plain, show, verdict_counts
from benchmarks.theme import Unmeasurable, guarded, wanted
from benchmarks.timing import Contender, Samples, WrongAnswer, race, require, speedup


class Clock:
    """Seconds that pass only when a contender works."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def contender(self, label: str, seconds: list[float], work: float = 1.0) -> Contender:
        left = iter(seconds)

        def run() -> None:
            self.calls.append(label)
            self.now += next(left)

        return Contender(label=label, run=run, work=work)


def right() -> None:
    require(1 + 1 == 2, "arithmetic")


def wrong() -> None:
    require(1 + 1 == 3, "sums are 3 where 2 was wanted")


def samples(label: str, *seconds: float, work: float = 1.0) -> Samples:
    return Samples(label=label, work=work, seconds=seconds)


def test_contenders_take_turns_after_a_round_that_does_not_count():
    clock = Clock()
    contenders = [clock.contender("a", [9, 1, 2, 3]), clock.contender("b", [9, 4, 6, 5])]
    found = race(contenders, check=right, rounds=3, clock=clock)
    assert clock.calls == ["a", "b"] * 4
    assert found["a"].seconds == (1, 2, 3)
    assert (found["b"].min, found["b"].median) == (4, 5)


def test_a_wrong_answer_stops_the_benchmark_before_anything_is_timed():
    clock = Clock()
    with pytest.raises(WrongAnswer, match="sums are 3"):
        race([clock.contender("a", [1] * 9)], check=wrong, rounds=3, clock=clock)
    assert clock.calls == []


def test_a_ratio_is_taken_within_each_round():
    # The machine is ten times slower in the second round, for both.
    ours, theirs = samples("ours", 1, 10, 1, work=30), samples("theirs", 2, 20, 2, work=15)
    assert speedup(ours, theirs) == pytest.approx(4)
    drifting = samples("ours", 10, 1, 1, work=30)
    assert speedup(drifting, theirs) != pytest.approx(0.4)


def test_wrong_failed_and_unmeasurable_rows_say_so():
    def wrong_row() -> Iterator[Row]:
        wrong()
        yield Row(name="theme/row", what="never")

    def failing_row() -> Iterator[Row]:
        yield Row(name="theme/first", what="good", reached=1.0)
        raise OSError("no room")

    def skipped_row() -> Iterator[Row]:
        yield from ()
        raise Unmeasurable("one core")

    (bad,) = guarded("theme/row", wrong_row)
    assert (bad.name, bad.verdict, bad.note) == (
        "theme/row", "wrong", "sums are 3 where 2 was wanted",
    )  # fmt: skip
    good, failed = guarded("theme/rows", failing_row)
    assert (good.verdict, failed.verdict) == ("reported", "failed")
    assert failed.note == "OSError: no room"
    (skipped,) = guarded("theme/cores", skipped_row)
    assert (skipped.verdict, skipped.note) == ("skipped", "one core")


@pytest.mark.parametrize(
    ("promise", "reached", "verdict"),
    [
        (Promise(bound=3.0), 3.0, "pass"),
        (Promise(bound=3.0), 2.99, "miss"),
        (Promise(bound=6.0, kind="at most"), 5.0, "pass"),
        (Promise(bound=6.0, kind="at most"), 6.1, "miss"),
        (None, 0.2, "reported"),
        (Promise(bound=3.0), None, "failed"),
    ],
)
def test_verdicts(promise: Promise | None, reached: float | None, verdict: str):
    assert Row(name="a/b", what="w", promise=promise, reached=reached).verdict == verdict


def test_rows_survive_json_with_the_machine_beside_them():
    row = Row(
        name="cnn/arch1-512",
        what="arch1",
        promise=Promise(bound=3.0),
        reached=10.9,
        samples=(samples("ours", 0.5, 0.4), samples("theirs", 2.0, 2.5)),
        note="a | b",
    )
    line = json.dumps({**row.to_json(), "revision": "abc", "threads": 1})
    assert Row.from_json(json.loads(line)) == row
    assert json.loads(line)["samples"][0]["min"] == 0.4


def test_table_rows_parse():
    rows = [
        Row(name="a/b", what="x", promise=Promise(bound=1234.0), reached=90_312, note="a | b\nc"),
        Row(name="a/c", what="y", unit="s", promise=Promise(bound=6, kind="at most"), reached=6.1),
        Row(name="a/d", what="z", fault="skipped", note="one core"),
    ]
    lines = [[c.strip() for c in line.split("|")[1:-1]] for line in markdown(rows).splitlines()]
    assert tuple(lines[0]) == HEADER
    assert {len(line) for line in lines} == {len(HEADER)}
    assert lines[2] == ["a/b", "x", "≥ 1,200 ×", "90,300 ×", "pass", "a / b c"]
    assert lines[3][2:5] == ["≤ 6 s", "6.1 s", "miss"]
    assert lines[4][2:] == ["–", "–", "skipped", "one core"]
    assert len(plain(rows).splitlines()) == len(rows) + 1
    assert verdict_counts(rows) == "1 pass, 1 miss, 1 skipped"


def test_numbers_have_three_digits():
    assert [show(x) for x in (0.41234, 3.21, 15, 999.4, 90_312)] == [
        "0.412", "3.21", "15", "999", "90,300",
    ]  # fmt: skip


def test_only_names_themes_and_rows():
    assert wanted("cnn", ())
    assert wanted("cnn", ("cnn/arch1-512",))
    assert wanted("cnn/arch1-512", ("cnn",))
    assert wanted("cnn/arch1-512-nodropout", ("cnn/arch1-512",))
    assert not wanted("cnn/arch2-8", ("cnn/arch1-512",))
    assert not wanted("siren", ("cnn/arch1-512",))
