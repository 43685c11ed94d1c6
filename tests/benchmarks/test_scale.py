"""The benchmark of large zoos, on small ones: every step gives its answer; growth is told right."""

import json

import pytest

from benchmarks.scale import Figure, cell, growth, main, markdown
from benchmarks.scale_steps import STEPS, Done, Watch


def figure(step: str, members: int, cpu: float, **more: int) -> Figure:
    done = Done(seconds=2 * cpu, cpu_seconds=cpu, **more)
    return Figure(step=step, members=members, done=done, peak_bytes=80_000_000)


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        ({1_000: 1.0}, "–"),
        ({1_000: 1.0, 10_000: 1.4}, "flat"),
        ({1_000: 1.0, 10_000: 10.0}, "linear"),
        ({1_000: 1.0, 10_000: 3.0, 100_000: 30.0}, "linear"),
        ({1_000: 1.0, 10_000: 20.0}, "worse than linear"),
        ({1_000: 1.0, 10_000: 2.0, 100_000: 200.0}, "worse than linear"),
    ],
)
def test_growth(seconds: dict[int, float], wanted: str):
    assert growth(seconds) == wanted


def test_the_table_has_a_column_for_each_size():
    figures = [figure("open", 100, 0.5), figure("open", 1_000, 5.0), figure("row", 100, 0.1)]
    lines = markdown(figures).splitlines()
    assert lines[0] == "| step | 100 | 1,000 | growth |"
    assert lines[2] == (
        "| `open_zoo` | 1 s (0.5 s of CPU), 80 MB | 10 s (5 s of CPU), 80 MB | linear |"
    )
    assert lines[3].endswith("| – | – |")
    shown = cell(figure("plan", 100, 0.5, bytes=2_100, shards=3))
    assert shown == "1 s (0.5 s of CPU), 80 MB, 2.1 kB of data, 3 shards"


def test_a_watch_counts_until_it_is_stopped():
    watch = Watch()
    watch.stop()
    before = watch.done()
    sum(range(200_000))
    assert watch.done() == before
    watch.stop()
    assert watch.done().cpu_seconds > before.cpu_seconds


def test_every_step_answers(tmp_path):
    for _, step in STEPS.values():
        assert step(tmp_path, 300).seconds > 0


def test_the_command_measures_in_processes_of_their_own(capsys):
    main(["--members", "20", "40", "--only", "plan", "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["step"], line["members"]) for line in lines] == [("plan", 20), ("plan", 40)]
    assert all(10**7 < line["peak_bytes"] < 10**9 for line in lines)
    assert {"machine", "revision"} <= lines[0].keys()


def test_a_wrong_step_is_refused():
    with pytest.raises(SystemExit):
        main(["--only", "nonsense"])
