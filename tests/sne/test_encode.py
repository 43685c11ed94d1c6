"""Encodings of networks from anywhere: repeatable, different for different weights, or refused."""

import json
import time
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import VisionTransformer

from sne.checkpoint import load_run
from sne.embed import lay_out
from sne.embed import main as embed_main
from sne.encode import Encoded, EncodeOptions, encode, main
from sne.errors import DataError, ModelError, SneError
from sne.recipes import default_config
from sne.train import train


@pytest.fixture(scope="module")
def run(digits_run):
    return load_run(digits_run)


def small_vit(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return VisionTransformer(
        image_size=16,
        patch_size=8,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=16,
        num_classes=4,
    )


def test_two_weight_sets_differ_and_one_is_encoded_twice_the_same(run):
    one, same, other = (encode(run, small_vit(seed)) for seed in (0, 0, 1))
    assert one.encoding.shape == (8,)
    assert np.array_equal(one.encoding, same.encoding)
    assert one.prediction == same.prediction
    assert not np.array_equal(one.encoding, other.encoding)
    assert 0 < float(one.prediction) < 1
    assert any(note.startswith("never seen in training, scaled as") for note in one.notes)
    assert any("attention weight" in note for note in one.notes)


def test_a_row_of_a_zoo_has_the_prediction_of_the_run(run, digits_zoo):
    rows = pq.read_table(run.path / "predictions.parquet").to_pylist()
    for row in (rows[0], rows[-1]):
        found = encode(run, f"{digits_zoo}#{row['member']}")
        assert found.prediction == pytest.approx(row["prediction"], abs=1e-5)
        assert found.notes == ()


def test_the_command_writes_encodings(run, digits_zoo, tmp_path, capsys):
    torch.save(small_vit(0).state_dict(), tmp_path / "vit.pt")
    save_file(small_vit(0).state_dict(), tmp_path / "vit.safetensors")
    names = [str(tmp_path / "vit.pt"), str(tmp_path / "vit.safetensors"), f"{digits_zoo}#3"]
    out = tmp_path / "enc.parquet"
    assert main([str(run.path), *names, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert [line.split("\t")[0] for line in printed.out.splitlines()] == names
    assert "layer types and roles were read from names and shapes" in printed.err
    table = pq.read_table(out)
    assert table.column_names == ["name", "encoding", "prediction"]
    assert table.column("name").to_pylist() == names
    first, second, third = table.to_pylist()
    assert len(first["encoding"]) == 8
    # A file without order is brought into the order that it had.
    assert first["encoding"] == second["encoding"]
    assert first["encoding"] != third["encoding"]
    assert main([str(run.path), names[2], "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["name"], value["target"]) == (names[2], "test_accuracy")
    assert value["encoding"] == pytest.approx(third["encoding"])


def test_weights_that_are_not_finite(run, tmp_path, capsys):
    net = nn.Linear(3, 2)
    with torch.no_grad():
        net.weight[0, 0] = torch.inf
    with pytest.raises(DataError, match="Linear: 1 of its 8 weights are not finite"):
        encode(run, net)
    torch.save(net.state_dict(), tmp_path / "bad.pt")
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "good.pt")
    files = [str(tmp_path / name) for name in ("bad.pt", "good.pt")]
    assert main([str(run.path), *files]) == 2
    printed = capsys.readouterr()
    assert printed.out.count("test_accuracy") == 1  # the good one is encoded all the same
    assert main([str(run.path), *files, "--nonfinite", "drop"]) == 0
    assert "left out, it has weights that are not finite" in capsys.readouterr().err


def test_a_model_that_cannot_take_a_network_says_so(digits_zoo, tmp_path, capsys):
    config = default_config([str(digits_zoo)], model="mlp", recipe="cnn")
    run = train(replace(config, training=replace(config.training, epochs=1)), tmp_path / "run")
    with pytest.raises(ModelError, match="mlp reads 4,970 weights at fixed places"):
        encode(run, nn.Linear(2, 2))
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "net.pt")
    assert main([str(run.path), str(tmp_path / "net.pt"), f"{digits_zoo}#0"]) == 2
    printed = capsys.readouterr()
    assert "n/a: mlp reads 4,970 weights" in printed.err
    assert printed.out.startswith(f"{digits_zoo}#0\t")


def test_a_category_is_named(digits_zoo, tmp_path):
    config = default_config([str(digits_zoo)], model="deepsets", recipe="cnn")
    training = replace(config.training, epochs=1)
    data = replace(config.data, target="activation")
    run = train(replace(config, training=training, data=data), tmp_path / "run")
    found = encode(run, nn.Linear(2, 2))
    assert isinstance(found, Encoded)
    assert found.prediction in ("relu", "tanh")


def test_what_is_no_network(run, capsys):
    assert main([str(run.path), "gone.pt"]) == 2
    assert "there is no gone.pt; a network is a .safetensors file" in capsys.readouterr().err
    with pytest.raises(SneError, match="give at least one network"):
        EncodeOptions(run=run.path, networks=())


def test_encodings_in_the_plane(run, digits_zoo, arch2_zoo, sine_zoo, tmp_path, capsys):
    out = tmp_path / "places.parquet"
    zoos = [flag for zoo in (digits_zoo, arch2_zoo, sine_zoo) for flag in ("--zoo", str(zoo))]
    assert embed_main([str(run.path), *zoos, "--out", str(out), "--most", "10"]) == 0
    assert str(out) in capsys.readouterr().out
    table = pq.read_table(out).to_pylist()
    groups = [row["group"] for row in table]
    assert groups == ["digits × arch1"] * 10 + ["digits × arch2"] * 10 + ["sine × siren"] * 8
    assert all(np.isfinite([row["x"], row["y"]]).all() for row in table)
    assert len(table[0]["encoding"]) == 8
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert embed_main([str(run.path), "--zoo", str(digits_zoo), "--most", "2"]) == 2
    assert "t-SNE needs at least 5 networks, there are 2" in capsys.readouterr().err
    assert embed_main([str(run.path), "--zoo", str(digits_zoo), "--split", "tset"]) == 2


def test_groups_that_differ_lie_apart(rng):
    encoding = np.concatenate([rng.normal(size=(20, 4)), 8 + rng.normal(size=(20, 4))])
    places = lay_out(encoding, perplexity=30.0, seed=0)
    assert np.array_equal(places, lay_out(encoding, perplexity=30.0, seed=0))
    one, other = places[:20], places[20:]
    apart = np.linalg.norm(one.mean(axis=0) - other.mean(axis=0))
    assert apart > 2 * max(one.std(axis=0).max(), other.std(axis=0).max())


def test_runs_not_to_be_trusted_are_said_to_be_so(digits_run, digits_zoo, tmp_path, capsys):
    run = copytree(digits_run, tmp_path / "run")
    result = json.loads((run / "result.json").read_text())
    arguments = [str(run), f"{digits_zoo}#0"]
    for enough in (True, False):
        trained = {**result["trained"], "enough": enough}
        (run / "result.json").write_text(json.dumps({**result, "trained": trained}))
        assert main(arguments) == 0
        assert ("NOT TRAINED ENOUGH" in capsys.readouterr().err) is not enough
    (run / "result.json").unlink()
    assert main(arguments) == 0
    assert "NOT TRAINED TO ITS END: its weights are those of the best" in capsys.readouterr().err
    assert embed_main([str(run), "--zoo", str(digits_zoo)]) == 0
    assert "NOT TRAINED TO ITS END" in capsys.readouterr().err


@pytest.mark.slow
def test_a_resnet_and_a_vision_transformer_from_the_command_line(digits_zoo, tmp_path, capsys):
    """With SNE's own sizes: under 10 minutes each, repeatable, different for different weights."""
    config = default_config([str(digits_zoo)], recipe="cnn")
    run = train(replace(config, training=replace(config.training, epochs=1)), tmp_path / "run")
    files = [str(tmp_path / f"vit-{seed}.safetensors") for seed in (0, 1)]
    for seed, name in enumerate(files):
        torch.manual_seed(seed)
        vit = VisionTransformer(
            image_size=224, patch_size=16, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768
        )
        assert 5_000_000 < sum(p.numel() for p in vit.parameters()) < 6_000_000
        save_file(vit.state_dict(), name)
    names = ["torchvision:resnet18/seed0", "torchvision:resnet18/seed1", *files]
    encodings = [encoded_alone(run.path, name, tmp_path) for name in (*names, names[0], names[2])]
    capsys.readouterr()
    assert all(np.isfinite(e).all() and e.shape == (1024,) for e in encodings)
    assert np.array_equal(encodings[0], encodings[4])
    assert np.array_equal(encodings[2], encodings[5])
    for one, other in ((0, 1), (2, 3), (0, 2)):
        # Far above rounding, though networks that are not trained are statistically alike.
        assert np.abs(encodings[one] - encodings[other]).max() > 1e-4


def encoded_alone(run: Path, name: str, folder: Path) -> np.ndarray:
    begun = time.process_time()
    assert main([str(run), name, "--out", str(folder / "enc.parquet")]) == 0
    assert time.process_time() - begun < 600
    (row,) = pq.read_table(folder / "enc.parquet").to_pylist()
    return np.array(row["encoding"])
