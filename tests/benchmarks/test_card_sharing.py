"""The table of trials on one card: plans of descriptions, sweeps' shares, what does not fit."""

import pytest

from benchmarks.card_sharing import ARCHITECTURES, MODELS, NETWORKS, main, row, training, workload
from sne.cards import GIB, RESERVED_BYTES, parse_card
from sne.rehearsal import plan_training

CARD = parse_card("11GB")


def test_a_row_says_how_many_fit_beside_one_another():
    needed = plan_training(
        training("DeepSets", "siren", batch=64), workload("siren"), device="cuda"
    ).total_bytes
    cells = [cell.strip() for cell in row("DeepSets", "siren", CARD, batch=64).split("|")[1:-1]]
    assert cells[:3] == ["DeepSets", "siren", "64"]
    count, share, fraction = int(cells[4]), float(cells[5]), float(cells[6])
    assert count * (needed + RESERVED_BYTES) <= 11 * GIB < (count + 1) * (needed + RESERVED_BYTES)
    assert count * share <= 1
    assert needed / (11 * GIB) < fraction < share


def test_what_does_not_fit_is_said():
    assert "does not fit" in row("DeepSets", "siren", parse_card("1GB"), batch=64)


def test_a_small_sne_has_settings_of_its_own():
    small, whole = (training(name, "arch1", batch=64) for name in ("small SNE", "SNE"))
    assert (small.training.batch, whole.training.batch) == (16, 64)
    assert small.settings.width < whole.settings.width


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]):
    main(["--architectures", "siren", "--models", "NFN-NP", "DeepSets", "--batch", "8"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines] == [
        "| model", "| ---", "| NFN-NP", "| DeepSets",
    ]  # fmt: skip
    assert set(NETWORKS) == set(ARCHITECTURES)
    assert "SNE" in MODELS
