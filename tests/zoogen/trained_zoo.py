"""Small zoos of networks really trained, by the reference engine; and faults for copies of them."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoogen import verify
from zoogen.architecture_file import write_architectures
from zoogen.continuation import write_plan
from zoogen.grouping import ShardRule
from zoogen.manifest import MANIFEST_NAME, write_manifest
from zoogen.material import load_material, make_job
from zoogen.overrides import override
from zoogen.plan import Plan
from zoogen.planning import make_plan
from zoogen.platforms import current_platform
from zoogen.recipes import Recipe, recipe_for
from zoogen.schema import WEIGHTS
from zoogen.shards import write_shard
from zoogen.store import Store
from zoogen.varied import all_architectures

Zoo: TypeAlias = tuple[Store, Plan]
FIRST = "shards/part-00000.parquet"


def digits_zoo(store: Store, *, members: int = 20, epochs: int = 2) -> Plan:
    """Classifiers on digits; some diverge, because their learning rate is absurd."""
    recipe = override(
        recipe_for("arch1", "digits", "quick"),
        members=members,
        epochs=epochs,
        checkpoints=tuple(range(epochs + 1)),
        draws={"learning_rate": "0.002,0.01,0.05,1e30", "train_fraction": "0.1,0.2"},
    )
    return make_trained(store, recipe, names=("digits", "arch1"), shard_members=6)


def sine_zoo(store: Store, *, members: int = 8, steps: int = 70) -> Plan:
    """INRs of sine waves: some reach the goal, some have too few steps."""
    recipe = override(recipe_for("siren", "sine", "quick"), members=members, epochs=steps)
    return make_trained(store, recipe, names=("sine", "siren"), shard_members=3)


def make_trained(
    store: Store, recipe: Recipe, *, names: tuple[str, str], shard_members: int
) -> Plan:
    """A complete zoo of a recipe, by `loop`; names are the data set's and the architecture's."""
    # Here, so that tests that train nothing need not wait for torch.
    from zoogen.train.loop import LoopEngine

    dataset, arch = names
    material = load_material(recipe, dataset=dataset, arch=arch, data_dir=None, download=False)
    plan = make_plan(
        recipe,
        data=material.identity,
        architecture=material.planned,
        seed=5,
        platform=current_platform(engine="loop", threads=1, device="cpu"),
        group_size=2,
    )
    plan = replace(plan, shard_rule=ShardRule(members=shard_members))
    job, engine = make_job(recipe, material), LoopEngine()
    write_plan(store, plan)
    varied = plan.architecture is None
    write_architectures(store, all_architectures([plan]) if varied else [material.architecture])
    entries = []
    for spec in plan.shards():
        trained = engine.train(
            job, list(plan.draw(spec.members)), device="cpu", report=lambda _: None
        )
        entries.append(write_shard(store, plan=plan, spec=spec, snapshots=trained))
    write_manifest(store, plans=[plan], entries=entries)
    return plan


def read_shard(store: Store, name: str) -> Any:
    return pq.read_table(pa.BufferReader(store.read(name)))


def change_shard(store: Store, name: str, change: Callable[[Any], Any]) -> None:
    """Replace a shard by a changed table with good checksums, and cover it up in the manifest."""
    table = change(read_shard(store, name))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none", write_page_checksum=True)
    data = sink.getvalue().to_pybytes()
    store.put(name, data)
    last = dict(
        zip(table.column("member").to_pylist(), table.column("status").to_pylist(), strict=True)
    )
    line = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "rows": table.num_rows,
        "networks": len(last),
        "status": dict(Counter(last.values())),
    }
    change_manifest(store, lambda m: [e.update(line) for e in m["shards"] if e["name"] == name])


def change_manifest(store: Store, change: Callable[[Any], Any]) -> None:
    """Edit the manifest in place and write it as zoogen does."""
    manifest = json.loads(store.read(MANIFEST_NAME))
    change(manifest)
    text = json.dumps(manifest, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    store.put(MANIFEST_NAME, text.encode())


def set_cell(table: Any, column: str, row: int, value: Any) -> Any:
    """The table with another value in one cell, schema kept."""
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    values = table.column(column).to_pylist()
    values[row] = value
    return table.set_column(place, field, pa.array(values, type=field.type))


def check(store: Store, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, list[str]]:
    """Exit status and the lines on stdout; nothing is evaluated anew unless flags say so."""
    sample = [] if "--sample" in flags else ["--sample", "0"]
    with pytest.raises(SystemExit) as stop:
        verify.main([store.uri, "--no-download", *sample, *flags])
    return int(stop.value.code or 0), capsys.readouterr().out.splitlines()


def found(lines: list[str], *parts: str) -> bool:
    """Whether one line names a fault with all of these parts."""
    return any(line.startswith("fault: ") and all(p in line for p in parts) for line in lines)


def rows_of(table: Any, *, status: str = "ok") -> list[dict[str, Any]]:
    """Light rows with their place, of one status."""
    light = table.drop_columns([WEIGHTS]).to_pylist()
    return [{**row, "place": i} for i, row in enumerate(light) if row["status"] == status]
