"""Figures: readable whatever the numbers are, and what is written on them."""

import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from sne import figures
from sne.figures import draw_confusion, draw_curves, draw_groups, draw_scatter

CURVES = [
    {"epoch": 1, "train_loss": 0.7, "train_task": 0.5, "train_invariance": 2.0, "val_loss": 0.6},
    {"epoch": 2, "train_loss": 0.5, "train_task": 0.4, "train_invariance": 1.0, "val_loss": None},
]


@pytest.fixture
def drawn(monkeypatch):
    """The matplotlib figures that were saved, in turn."""
    found: list[Figure] = []
    save = Figure.savefig

    def keep(figure, *arguments, **options):
        found.append(figure)
        return save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return found


def labels(figure: Figure) -> list[str]:
    legend = figure.axes[0].get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_curves_show_what_a_constant_would_reach_and_what_was_kept(drawn, tmp_path):
    path = tmp_path / "curves.png"
    words = {"loss": "cross-entropy (nat)", "title": "sne learns"}
    draw_curves(path, CURVES, best_epoch=2, constant=0.69, **words)
    (axes,) = drawn[0].axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "cross-entropy (nat)")
    assert labels(drawn[0]) == [
        "training", "training, task alone", "invariance penalty, without λ", "validation",
        "best constant", "kept: epoch 2",
    ]  # fmt: skip
    assert axes.get_yscale() == "linear"
    shown = [line.get_ydata() for line in axes.get_lines() if line.get_label() == "best constant"]
    assert np.allclose(shown, 0.69)
    falling = [{**CURVES[0], "train_loss": loss} for loss in (90.0, 0.1)]
    draw_curves(path, falling, best_epoch=1, constant=0.69, **words)
    assert drawn[1].axes[0].get_yscale() == "log"
    assert imread(io.BytesIO(path.read_bytes()), format="png").shape[2] == 4


@pytest.mark.parametrize("values", [(0.1, 0.9), (0.5, 0.5), (np.nan, 0.3)])
def test_axes_of_predicted_and_true_are_alike(drawn, tmp_path, values):
    true, predicted = np.array(values), np.array([0.2, 0.4])
    words = {"label": "test accuracy (share of images)", "title": "one\ntwo"}
    draw_scatter(tmp_path / "a.png", true, predicted, chance=0.1, **words)
    (axes,) = drawn[0].axes
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_xlabel() == "true test accuracy (share of images)"
    assert axes.get_ylabel() == "predicted test accuracy (share of images)"
    assert labels(drawn[0]) == ["predicted = true", "chance 0.1"]


def test_who_was_taken_for_whom(drawn, tmp_path):
    true, predicted = np.array([0, 0, 1, -1]), np.array([0, 1, 1, 1])
    words = {"label": "optimizer", "title": "three of four are known", "classes": ("adam", "sgd")}
    draw_confusion(tmp_path / "a.png", true, predicted, **words)
    (axes,) = drawn[0].axes
    assert [text.get_text() for text in axes.texts] == ["1", "1", "0", "1"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted optimizer", "true optimizer")


def test_groups_have_their_counts_and_a_second_picture_their_values(drawn, tmp_path):
    places, groups = np.eye(3)[:, :2], ["a", "b", "b"]
    draw_groups(tmp_path / "a.png", places, groups, title="t", values=np.arange(3.0), label="τ")
    assert len(drawn[0].axes) == 3  # with the scale of the values
    (legend,) = drawn[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["a (1)", "b (2)"]
    assert drawn[0].axes[2].get_ylabel() == "τ"
    draw_groups(tmp_path / "a.png", places, groups, title="t")
    assert len(drawn[1].axes) == 1


def test_titles_fit(drawn, tmp_path):
    title = "svhn × arch2, sne trained on " + ", ".join(["mnist × arch1"] * 9) + "\nn = 5 networks"
    draw_scatter(tmp_path / "a.png", np.arange(2.0), np.arange(2.0), label="x", title=title)
    (axes,) = drawn[0].axes
    lines = axes.get_title().splitlines()
    assert lines[-1] == "n = 5 networks"
    box = axes.title.get_window_extent(FigureCanvasAgg(drawn[0]).get_renderer())
    assert box.x0 >= 0
    assert box.x1 <= figures.SQUARE[0] * drawn[0].dpi
