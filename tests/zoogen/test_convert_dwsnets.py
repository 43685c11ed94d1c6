"""DWSNets' INRs and lists of splits, in folders built as they are published.

Layouts: AvivNavon/DWSNets, inr_trainer.py and both generate_data_splits.py.
"""

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conversions import converted
from published import linear_state

from zoogen import export, info
from zoogen.errors import SourceError
from zoogen.importers.find import detect, find_source
from zoogen.importers.source import Hints


def siren_output(state: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """sin(30·(Wx + b)) twice, a linear layer, + 0.5, in float64."""
    y = x.astype(np.float64)
    for layer in range(3):
        w, b = (state[f"seq.{layer}.{n}"].numpy().astype(np.float64) for n in ("weight", "bias"))
        y = y @ w.T + b
        y = np.sin(30 * y) if layer < 2 else y + 0.5
    return y


def test_image_inrs_with_labels(tmp_path: Path, rng: np.random.Generator) -> None:
    root, states, split = tmp_path / "mnist-inrs", {}, {}
    for number in range(10):
        name = ("train", "train", "val", "test")[number % 4]
        path = root / "mnist_png_training_3_7" / f"{number}" / "checkpoints" / "model_final.pth"
        path.parent.mkdir(parents=True)
        states[number] = linear_state((2, 8, 8, 1), rng, "seq.")
        torch.save(OrderedDict(states[number]), path)
        part = split.setdefault(name, {"path": [], "label": []})
        part["path"].append(f"/home/them/dataset/{path.relative_to(tmp_path).as_posix()}")
        part["label"].append(str(number))
    (root / "mnist_splits.json").write_text(json.dumps(split))
    zoo = converted(root, tmp_path / "zoo")
    assert (zoo.plan.kind, zoo.plan.dataset, zoo.plan.family) == ("signals", "mnist", "siren")
    assert zoo.plan.origin is not None
    assert zoo.plan.origin.split == "source"
    info.main([zoo.store.uri, "--plot", str(tmp_path / "plot.png")])  # nothing was measured
    x = rng.uniform(-1, 1, (50, 2)).astype(np.float32)
    for row in zoo.table().to_pylist():
        number = row["config.image_label"]
        assert row["split"] == ("train", "train", "val", "test")[number % 4]
        with torch.inference_mode():
            got = zoo.to_module(row)(torch.tensor(x)).numpy()
        np.testing.assert_allclose(got, siren_output(states[number], x), rtol=2e-3, atol=2e-3)
    # Out again, in a form that DWSNets' loader of INRs reads: paths and labels by split.
    out = tmp_path / "out"
    assert export.main([zoo.store.uri, "--to", "state-dicts", "--out", str(out)]) == 0
    again = converted(out, tmp_path / "again", "--format", "dwsnets", "--dataset", "mnist")
    for column in ("config.image_label", "split"):
        labels = [z.table(["config.image_label", column]).to_pylist() for z in (zoo, again)]
        order = [sorted(rows, key=lambda r: r["config.image_label"]) for rows in labels]
        assert order[0] == order[1]
    name = json.loads((out / "splits.json").read_text())["val"]["path"][0]
    found = torch.load(out / name)
    assert [v.permute(1, 0).shape[0] for k, v in found.items() if "weight" in k] == [2, 8, 8]


def test_wave_inrs_with_their_coefficients(tmp_path: Path, rng: np.random.Generator) -> None:
    root, states = tmp_path / "ssl", {}
    root.mkdir()
    x = np.arange(-np.pi, np.pi, np.pi / 1000)
    for seed in range(5):
        coef = rng.uniform(0, 10, 2).tolist()
        state = linear_state((1, 4, 4, 1), rng, "seq.")
        states[seed] = (coef, dict(state))
        torch.save(
            {**state, "coef": coef, "x": x, "y": coef[0] * np.sin(coef[1] * x)},
            root / f"model_{seed}.pth",
        )
    names = [f"artifacts/model_{seed}.pth" for seed in range(5)]
    splits = {"train": names[:3], "test": names[3:4], "val": names[4:]}
    (root / "ssl_splits.json").write_text(json.dumps(splits))
    zoo = converted(root, tmp_path / "zoo")
    assert (zoo.plan.dataset, zoo.plan.family, len(zoo)) == ("sine", "siren", 5)
    for row in zoo.table().to_pylist():
        (amplitude, frequency), state = states[row["seed"]]
        assert (row["amplitude"], row["frequency"]) == (amplitude, frequency)
        assert row["split"] == {3: "test", 4: "val"}.get(row["seed"], "train")
        error = siren_output(state, x[:, None]) - (amplitude * np.sin(frequency * x))[:, None]
        assert row["mse"] == pytest.approx(np.mean(error**2), rel=1e-2)


def test_each_format_is_told_from_its_folder(tmp_path: Path) -> None:
    marks = {
        "schuerholt": "a/params.json",
        "dwsnets": "b/model_0.pth",
        "wild-park": "c/d/checkpoint.pt",
        "state-dicts": "networks.csv",
    }
    for name, mark in marks.items():
        path = tmp_path / name / mark
        path.parent.mkdir(parents=True)
        path.touch()
        assert detect(tmp_path / name) == name
    (tmp_path / "empty").mkdir()
    assert detect(tmp_path / "empty") is None


@pytest.mark.parametrize(
    ("form", "content", "said"),
    [
        (
            "dwsnets",
            {"train": {"path": ["/x/a.pth"], "label": [1]}, "test": []},
            "names /x/a.pth, and no end of that path is a file",
        ),
        ("dwsnets", {"train": {"path": ["b.pth"], "label": ["cat"]}, "test": []}, "got 'cat'"),
        ("dwsnets", {"train": {"path": ["b.pth"], "label": []}, "test": []}, "lists of one length"),
        ("dwsnets", {"train": 3, "test": []}, "wanted a list of paths"),
        ("dwsnets", {"train": ["b.pth"], "test": ["b.pth"]}, "two rows for epoch 1"),
        ("wild-park", {"train": {"path": ["b.pth"], "step": ["x"]}, "test": []}, "got 'x'"),
        ("wild-park", {"train": ["b.pth"], "test": []}, "wanted a checkpoint with a state dict"),
    ],
)
def test_a_list_that_cannot_be_is_refused(
    form: str, content: Any, said: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    torch.save(linear_state((1, 4, 4, 1), rng, "seq."), tmp_path / "b.pth")
    (tmp_path / "m_splits.json").write_text(json.dumps(content))
    source = find_source(tmp_path, format_name=form, hints=Hints())
    with pytest.raises(SourceError, match=said):
        source.listing(lambda *_: None)
