"""The command: its table, its JSON and its exit codes."""

import json

import pytest

from sne.memory import main

SMALL = ["--sne.width", "8", "--sne.heads", "1", "--sne.chunk-sabs", "2", "--sne.sabs", "1"]


def test_the_table_says_parts_and_what_fits(digits_zoo, capsys):
    assert main(["--zoo", str(digits_zoo), *SMALL, "--card", "11GB", "--batch", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "sne on arch1, 4 networks at once"
    assert [line.split()[0] for line in lines[1:9]] == [
        "part", "networks", "weights", "gradients", "moments", "activations", "libraries", "total",
    ]  # fmt: skip
    assert "it fits: 11GB has 10.20 GiB to give (11.00 GiB, less 819.2 MiB)" in lines
    assert "largest batch that fits: 24 networks, all of an epoch" in lines
    assert "chunks that fit: 4 to 4,096 weights" in lines
    assert all(len(line) <= 80 for line in lines)


def test_json_says_the_same_and_the_exit_code_whether_it_fits(digits_zoo, capsys):
    arguments = ["--zoo", str(digits_zoo), "--model", "deepsets", "--batch", "24", "--json"]
    assert main([*arguments, "--card", "960MB"]) == 1
    found = json.loads(capsys.readouterr().out)
    plan, card = found["plan"], found["card"]
    assert found["fits"] is False
    assert plan["batch"] == 24
    assert plan["total_bytes"] > card["budget_bytes"] == 960 * 2**20 - round(0.8 * 2**30)
    assert plan["total_bytes"] == sum(v for k, v in plan.items() if k.endswith("_bytes")) / 2
    assert 1 <= found["micro_batch"] <= found["largest_batch"] < 24
    assert main([*arguments, "--card", "960MB", "--micro-batch", str(found["micro_batch"])]) == 0


def test_devices_and_models_differ(digits_zoo, capsys):
    sizes: dict[str, int] = {}
    for name, more in {
        "cuda": ["--model", "mlp"],
        "cpu": ["--model", "mlp", "--device", "cpu"],
        "boosting": ["--model", "boosting"],
    }.items():
        assert main(["--zoo", str(digits_zoo), "--json", *more]) == 0
        found = json.loads(capsys.readouterr().out)
        sizes[name] = found["plan"]["library_bytes"]
        assert found["chunks"] is None
        assert (found["micro_batch"] is None) == (name == "boosting")
    assert sizes["cpu"] == 0 < sizes["cuda"]


def test_a_model_without_batches_says_so(digits_zoo, capsys):
    assert main(["--zoo", str(digits_zoo), "--model", "boosting"]) == 0
    text = capsys.readouterr().out
    assert "boosting on arch1, 24 networks at once" in text
    assert "it is fitted to all its training networks at once" in text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--card", "eleven"], "a card's size is a number and GB or MB, such as 11GB"),
        (["--status", "diverged"], "no training networks of this choice"),
        (["--target", "colour"], "has no target 'colour'"),
    ],
)
def test_refusals(digits_zoo, capsys, more, message):
    assert main(["--zoo", str(digits_zoo), "--model", "mlp", *more]) == 2
    assert message in capsys.readouterr().err
