"""Folders of state dicts in and out: torch's and safetensors files, known and inferred networks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published import linear_state
from safetensors.torch import load_file, save_file
from tiny_zoo import image_plan, make_zoo, sine_plan

from zoogen import convert, export, info, verify
from zoogen.errors import SourceError
from zoogen.importers.find import find_source
from zoogen.importers.source import Hints
from zoogen.importers.tensors import read_state, read_torch
from zoogen.reader import Zoo, open_zoo


def converted(source: Path, zoo: Path, *flags: str) -> Zoo:
    assert convert.main([str(source), str(zoo), *flags]) == 0
    with pytest.raises(SystemExit) as stopped:
        verify.main([str(zoo)])
    assert stopped.value.code == 0
    return open_zoo(zoo)


def mixed_folder(folder: Path, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Twenty MLPs of two sizes, two checkpoints each, half of them safetensors."""
    states, lines = [], ["path,model,epoch,test_accuracy,depth,note"]
    (folder / "sub").mkdir(parents=True)
    for network in range(20):
        sizes = (4, 6, 3) if network % 3 else (4, 5, 5, 3)
        for epoch in (2, 10):
            state = linear_state(sizes, rng, "layers.")
            name = f"sub/net{network}-{epoch}.{'safetensors' if network % 2 else 'pt'}"
            if network % 2:
                save_file(state, folder / name)
            else:
                torch.save({"state_dict": state, "epoch": epoch}, folder / name)
            states.append(state)
            accuracy = "" if network == 3 else repr(float(rng.uniform()))
            lines.append(f"{name},net{network},{epoch},{accuracy},{len(sizes)},x")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return states


def test_any_networks_with_a_table(tmp_path: Path, rng: np.random.Generator) -> None:
    states = mixed_folder(tmp_path / "nets", rng)
    zoo = converted(tmp_path / "nets", tmp_path / "zoo", "--dataset", "MNIST")
    assert (len(zoo), zoo.plan.dataset, zoo.plan.architecture) == (20, "mnist", None)
    assert len(zoo.architectures) == 2
    for number, state in enumerate(states):
        row = zoo.row(number // 2, (2, 10)[number % 2])
        architecture = zoo.architectures[row["arch"]]
        assert sum(t.numel() for t in state.values()) == len(row["weights"])
        for tensor in architecture.tensors:
            own = row["weights"][tensor.offset : tensor.offset + tensor.size]
            wanted = state[tensor.name].numpy()
            assert own.reshape(tensor.shape).tobytes() == wanted.tobytes()
        assert row["config.depth"] == len(state) // 2 + 1
        assert row["config.note"] == "x"
    assert zoo.row(3)["test_accuracy"] is None
    assert zoo.plan.origin is not None
    assert any("what feeds what is not known" in note for note in zoo.plan.origin.notes)
    splits = zoo.table(["split"]).column("split").to_pylist()
    assert (splits.count("train"), splits.count("val"), splits.count("test")) == (8, 2, 10)


@pytest.mark.parametrize("form", ["state-dicts", "safetensors"])
def test_a_zoo_there_and_back(form: str, tmp_path: Path) -> None:
    plan = image_plan(members=4, checkpoints=(0, 3))
    make_zoo(tmp_path / "zoo", plan, ends={2: (1, "diverged")})
    out = tmp_path / "out"
    assert export.main([str(tmp_path / "zoo"), "--to", form, "--out", str(out)]) == 0
    zoo = open_zoo(tmp_path / "zoo")
    again = converted(out, tmp_path / "again")
    assert again.architectures == zoo.architectures
    assert (again.plan.dataset, again.plan.kind) == ("digits", "images")
    assert again.plan.origin is not None
    assert again.plan.origin.credit == "zoogen, recipe quick-arch1, seed 3"
    names = [c.name for c in zoo.columns if c.name != "weights"]
    tables = [z.table([*names, "weights"], checkpoint="all", status=None) for z in (zoo, again)]
    for name in names:
        assert tables[0].column(name).to_pylist() == tables[1].column(name).to_pylist(), name
    flat = [t.column("weights").combine_chunks().flatten().to_numpy() for t in tables]
    assert flat[0].tobytes() == flat[1].tobytes()
    # The files themselves are what torch and safetensors read, and fit the zoo's own module.
    row = zoo.row(1, 3)
    name = out / "networks" / "000" / "000001-000003"
    found = load_file(f"{name}.safetensors") if form == "safetensors" else torch.load(f"{name}.pt")
    zoo.to_module(row).load_state_dict(found)
    assert found["conv1.weight"].numpy().tobytes() == row["weights"][:144].tobytes()


def test_info_takes_seeds_of_63_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_zoo(tmp_path / "zoo", image_plan(members=40, checkpoints=(0, 1)))
    out = tmp_path / "out"
    assert export.main([str(tmp_path / "zoo"), "--to", "small-cnn-zoo", "--out", str(out)]) == 0
    assert convert.main([str(out), str(tmp_path / "again"), "--dataset", "mnist"]) == 0
    zoo = open_zoo(tmp_path / "again")
    assert zoo.row(0)["config.random_seed"] > 2**53
    info.main([zoo.store.uri])
    assert "random_seed" in capsys.readouterr().out


def test_waves_there_and_back(tmp_path: Path) -> None:
    make_zoo(tmp_path / "zoo", sine_plan(members=5), ends={1: (700, "unfitted")})
    assert export.main(
        [str(tmp_path / "zoo"), "--to", "state-dicts", "--out", str(tmp_path / "out")]
    ) == 0  # fmt: skip
    zoo, again = open_zoo(tmp_path / "zoo"), converted(tmp_path / "out", tmp_path / "again")
    assert again.plan.kind == "signals"
    for name in ("epoch", "status", "frequency", "amplitude", "mse", "config.frequency"):
        a, b = (z.table([name], status=None).to_pylist() for z in (zoo, again))
        assert a == b


def test_training_runs_on_it(tmp_path: Path, rng: np.random.Generator) -> None:
    from sne import train

    mixed_folder(tmp_path / "nets", rng)
    zoo = converted(tmp_path / "nets", tmp_path / "zoo")
    flags = ["--zoo", zoo.store.uri, "--out", str(tmp_path / "run"), "--target", "depth"]
    # The smallest model that takes any architecture.
    assert train.main([*flags, "--model", "deepsets", "--epochs", "1", "--json"]) == 0


class Malicious:
    """Unpickled, it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "gotcha")


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_is_not_run(legacy: bool, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    path = tmp_path / "bad.pt"
    torch.save(
        {"state_dict": {"w": torch.zeros(2)}, "x": Malicious(trap)},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    with pytest.raises(SourceError, match="code in files is never run"):
        read_torch(path)
    assert not trap.exists()
    torch.load(path, weights_only=False)  # what an unsafe loader would have done
    assert trap.read_text() == "gotcha"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("path,epoch\na.pt,0\na.pt,0\n", "two rows for epoch 0"),
        ("path,split\na.pt,training\n", "a split is train, val or test, got 'training'"),
        ("path,network,split,epoch\na.pt,1,train,0\na.pt,1,test,1\n", "in train and in test"),
        ("path\nb.pt\n", "names b.pt: wanted a file below"),
        ("path\n../a.pt\n", r"names \.\./a.pt: wanted a file below"),
        ("name,epoch\na.pt,0\n", "lacks the column 'file'"),
        ("path,test_accuracy\na.pt,good\n", "should hold numbers"),
        ("path,epoch\na.pt,\n", "row 2 has no epoch"),
    ],
)
def test_a_table_that_cannot_be_is_refused(table: str, said: str, tmp_path: Path) -> None:
    folder = tmp_path / "nets"
    folder.mkdir()
    torch.save({"0.weight": torch.zeros(2, 2)}, folder / "a.pt")
    torch.save({"0.weight": torch.zeros(2, 2)}, tmp_path / "a.pt")
    (folder / "t.csv").write_text(table)
    source = find_source(folder, format_name=None, hints=Hints())
    with pytest.raises(SourceError, match=said):
        source.listing(lambda *_: None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nothing", "no PyTorch file, or a damaged one"),
        ({"a": 1}, "holds no state dict"),
        ([torch.zeros(1)], "holds no state dict"),
    ],
)
def test_files_without_a_state_dict(content: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(SourceError, match=said):
        read_state(path)


def test_descriptions_must_be_what_their_ids_say(tmp_path: Path) -> None:
    make_zoo(tmp_path / "zoo", image_plan(members=2, checkpoints=(0, 1)))
    out = tmp_path / "out"
    assert export.main([str(tmp_path / "zoo"), "--to", "state-dicts", "--out", str(out)]) == 0
    found = json.loads((out / "architectures.json").read_text())
    (name,) = found
    found[name]["output_size"] = 11
    (out / "architectures.json").write_text(json.dumps(found))
    source = find_source(out, format_name="state-dicts", hints=Hints())
    with pytest.raises(SourceError, match=f"{name} describes"):
        source.listing(lambda *_: None)


def test_unknown_places_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert.main([str(tmp_path / "none"), str(tmp_path / "zoo")]) == 2
    assert convert.main([str(tmp_path), str(tmp_path / "zoo")]) == 2
    said = capsys.readouterr().err
    assert "there is no" in said
    assert "of no known format" in said
    make_zoo(tmp_path / "made", image_plan(members=1, checkpoints=(0, 1)))
    assert export.main([str(tmp_path / "made"), "--to", "hf", "--out", str(tmp_path / "made")]) == 2
    assert "is there already" in capsys.readouterr().err
