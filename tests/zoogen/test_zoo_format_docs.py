"""Each line of the format's page that reads a zoo is run, and reads what is there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_zoo import image_plan, make_zoo

from zoogen.plan import Plan
from zoogen.schema import columns

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "zoo-format.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
LINES = {block.split("(")[0].split(" = ")[1].split(".")[0]: block for block in BLOCKS[:6]}
# What to import, and how a reader says how many rows it has found.
READERS = {
    "zoogen": ("import zoogen", "len(rows)"),
    "pyarrow": ("import pyarrow.parquet", "rows.num_rows"),
    "ray": ("import ray", "rows.count()"),
    "datasets": ("import datasets", "rows.num_rows"),
    "duckdb": ("import duckdb", "len(rows.fetchall())"),
    "polars": ("import polars", "rows.height"),
}
MEMBERS = 40


@pytest.fixture(scope="module")
def plan() -> Plan:
    return image_plan(members=MEMBERS)


@pytest.fixture(scope="module")
def zoo(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("docs") / "ZOO"
    make_zoo(path, plan, ends={4: (2, "diverged")})
    return path


def run(code: str, folder: Path) -> str:
    """Run code in a process that sees the zoo as ZOO and cannot reach a hub."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
    offline["ZOOGEN_CACHE"] = str(folder / "cache")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def expected_rows(plan: Plan) -> dict[str, int]:
    train = sum(m.split == "train" and m.index != 4 for m in plan.draw(range(MEMBERS)))
    every = 3 * MEMBERS
    return {
        "zoogen": train, "pyarrow": every, "ray": every, "datasets": every, "duckdb": 3,
        "polars": every,
    }  # fmt: skip


def test_the_page_has_a_line_for_each_reader() -> None:
    assert set(LINES) == set(READERS)
    assert all(block.count("\n") == 1 for block in LINES.values())


@pytest.mark.parametrize("name", ["zoogen", "pyarrow", "datasets", "duckdb", "polars"])
def test_a_line_reads_the_zoo(name: str, zoo: Path, plan: Plan) -> None:
    pytest.importorskip(name, exc_type=ImportError)
    load, count = READERS[name]
    code = f"{load}\n{LINES[name]}\nprint({count})"
    assert run(code, zoo.parent) == str(expected_rows(plan)[name])


@pytest.mark.ray
def test_the_line_for_ray_reads_the_zoo(zoo: Path, plan: Plan) -> None:
    load, count = READERS["ray"]
    code = (
        "from zoogen.ray_session import ray_session\n"
        f"with ray_session(cpus=2):\n    {load}, ray.data\n    {LINES['ray']}\n    print({count})"
    )
    assert run(code, zoo.parent) == str(expected_rows(plan)["ray"])


def test_the_longer_example_runs(zoo: Path, plan: Plan) -> None:
    assert len(BLOCKS) == 7
    code = f"import zoogen\n{BLOCKS[6]}\nprint(len(weights), len(accuracy), table.num_rows)"
    tested = sum(m.split == "test" and m.index != 4 for m in plan.draw(range(MEMBERS)))
    assert run(code, zoo.parent) == f"{tested} {tested} {3 * MEMBERS}"


def test_each_column_stands_in_the_table(plan: Plan) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for column in columns(plan):
        name = "config.*" if column.name.startswith("config.") else column.name
        assert f"`{name}`" in text


def test_each_field_of_the_plan_and_manifest_is_named(plan: Plan, zoo: Path) -> None:
    from zoogen.reader import open_zoo

    text = PAGE.read_text(encoding="utf-8")
    manifest = open_zoo(zoo).manifest
    assert manifest is not None
    written = {*plan.to_json(), *manifest.to_json(), *plan.shard_rule.to_json()}
    assert {name for name in written if f"`{name}`" not in text} == set()
