"""The panels of a zoo's figure, one function each: what is drawn onto one pair of axes."""

from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
from jaxtyping import Float

from zoogen.description import CONFIG_PREFIX
from zoogen.look.content import Content
from zoogen.look.explain import Explanation, varying
from zoogen.look.report import NOT_HYPERPARAMETERS, SMALLEST_MSE, Report, chance_of
from zoogen.look.spread import SPLITS, curve, numbers, words

# Okabe and Ito's palette: told apart with any colour vision.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
SPLIT_COLOURS = dict[str, str](zip(SPLITS, COLOURS, strict=False))
DIM = "#555555"
FEWEST_BINS, MOST_BINS = 8, 40
BARS = 8
LONG_LEGEND = 24


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sight:
    """What panels are drawn from."""

    content: Content
    report: Report


def accuracy_histogram(ax: Any, sight: Sight) -> None:
    """Test accuracy of the last checkpoints, stacked by split."""
    _stacked(ax, sight, numbers(sight.content.final, "test_accuracy"))
    chance = chance_of(sight.report.plan)
    if chance is not None:
        _mark_x(ax, chance, "chance")
    ax.set(title="Last checkpoint", xlabel="test accuracy", ylabel="networks")


def accuracy_against_rate(ax: Any, sight: Sight) -> None:
    """Test accuracy against the learning rate, coloured by optimizer, where these vary."""
    _accuracy_scatter(ax, sight, 0)


def accuracy_against_next(ax: Any, sight: Sight) -> None:
    """The same for the next numeric and the next text hyperparameter."""
    _accuracy_scatter(ax, sight, 1)


def accuracy_curve(ax: Any, sight: Sight) -> None:
    """Accuracies at each checkpoint."""
    _curves(ax, sight, ("train_accuracy", "test_accuracy"))
    _mark_chance(ax, sight)
    ax.set(title="Accuracy (median, 10–90 %)", ylabel="accuracy")


def loss_curve(ax: Any, sight: Sight) -> None:
    """Losses at each checkpoint."""
    _curves(ax, sight, ("train_loss", "test_loss"))
    ax.set(title="Cross-entropy (median, 10–90 %)", ylabel="loss (nat)")
    if sight.report.members:
        ax.set_yscale("log")
        _plain_ticks(ax.yaxis)


def importance_bars(ax: Any, sight: Sight) -> None:
    """What each hyperparameter adds to the prediction of the result."""
    answer = sight.report.explanation
    if not isinstance(answer, Explanation):
        _say(ax, "What explains it", answer.reason)
        return
    title = f"What explains {answer.target} (R² {answer.r2:.2f})"
    if answer.r2 <= 0:
        _say(ax, title, "the hyperparameters explain nothing")
        return
    shown = answer.importances[:BARS]
    drops, deviations = [i.drop for i in shown], [i.deviation for i in shown]
    names = [i.name.replace("_", " ") for i in shown]
    ax.barh(names, drops, xerr=deviations, color=COLOURS[0], ecolor=DIM)
    ax.grid(visible=False, axis="y")
    ax.axvline(0, color=DIM, linewidth=0.8)
    # Room for the same number of bars in every zoo, so that one bar does not fill the panel.
    ax.set(title=title, xlabel="loss of R² when shuffled", ylim=(BARS - 0.4, -0.6))


def mse_histogram(ax: Any, sight: Sight) -> None:
    """The logarithm of the MSE, stacked by split."""
    values, recipe = _log_mse(sight), sight.report.plan.recipe
    _stacked(ax, sight, values)
    if "stop_mse" in recipe:  # a converted zoo does not say
        stop, unfitted = np.log10(recipe["stop_mse"]), np.log10(recipe["unfitted_mse"])
        _mark_x(ax, stop, "stop", side="left")
        if np.any(values > (stop + unfitted) / 2):
            _mark_x(ax, unfitted, "unfitted")
    ax.set(title="Fit, last state", xlabel="log10 MSE", ylabel="networks")


def mse_against_frequency(ax: Any, sight: Sight) -> None:
    """The MSE against the signal's frequency, coloured by amplitude or steps."""
    final = sight.content.final
    amplitude, steps = numbers(final, "amplitude"), numbers(final, "epoch")
    by_amplitude = np.ptp(amplitude) > 0 if amplitude.size else False
    points = ax.scatter(
        numbers(final, "frequency"),
        _log_mse(sight),
        c=amplitude if by_amplitude else steps,
        s=_size(final.num_rows),
        cmap="viridis",
    )
    ax.figure.colorbar(points, ax=ax, label="amplitude" if by_amplitude else "steps", pad=0.01)
    stop = sight.report.plan.recipe.get("stop_mse", 0.0)
    for each in (worst for worst in sight.report.worst if worst.mse > stop):
        place = (each.signal["frequency"], np.log10(max(each.mse, SMALLEST_MSE)))
        ax.annotate(
            str(each.member),
            place,
            xytext=(3, 2),
            textcoords="offset points",
            fontsize=7,
            color=DIM,
        )
    ax.set(title="Fit; the worst by number", xlabel="frequency", ylabel="log10 MSE")


def steps_against_frequency(ax: Any, sight: Sight) -> None:
    """Steps taken against the signal's frequency."""
    final = sight.content.final
    for split, mask in _masks(final):
        at = (numbers(final, "frequency")[mask], numbers(final, "epoch")[mask])
        _dots(ax, final, at, split=split)
    _legend(ax)
    ax.set(title="Steps against frequency", xlabel="frequency", ylabel="steps", ylim=(0, None))


def mse_against_steps(ax: Any, sight: Sight) -> None:
    """The MSE against the steps taken."""
    final, mse = sight.content.final, _log_mse(sight)
    for split, mask in _masks(final):
        _dots(ax, final, (numbers(final, "epoch")[mask], mse[mask]), split=split)
    _legend(ax)
    ax.set(title="Fit", xlabel="steps", ylabel="log10 MSE")


def mse_shares(ax: Any, sight: Sight) -> None:
    """Share of networks at or below each MSE."""
    for split, mask in _masks(sight.content.final):
        values = np.sort(_log_mse(sight)[mask])
        values = values[~np.isnan(values)]
        # From 0 on, so that a single network is a line too.
        shares = np.arange(values.size + 1) / max(values.size, 1)
        at = np.concatenate([values[:1], values])
        if values.size:
            ax.step(at, shares, where="post", color=SPLIT_COLOURS[split], label=split)
    _legend(ax)
    ax.set(title="Share at or below", xlabel="log10 MSE", ylabel="share", ylim=(0, 1.02))


def steps_histogram(ax: Any, sight: Sight) -> None:
    """Steps taken, stacked by split."""
    _stacked(ax, sight, numbers(sight.content.final, "epoch"))
    ax.set(title="Steps taken", xlabel="steps", ylabel="networks")


def _accuracy_scatter(ax: Any, sight: Sight, place: int) -> None:
    final, accuracy = sight.content.final, numbers(sight.content.final, "test_accuracy")
    numeric, text = _ranked(sight)
    if place >= len(numeric):
        _say(ax, "Accuracy against hyperparameters", "no further numeric hyperparameter varies")
        return
    name, colour = numeric[place], text[place] if place < len(text) else None
    x = numbers(final, CONFIG_PREFIX + name)
    values = words(final, CONFIG_PREFIX + colour) if colour else np.full(len(x), "")
    for value, shade in zip(sorted(set(values)), COLOURS, strict=False):
        mask = values == value
        size = _size(final.num_rows)
        ax.scatter(
            x[mask], accuracy[mask], s=size, color=shade, alpha=0.7, linewidths=0, label=value
        )
    if colour:
        _legend(ax)
    _mark_chance(ax, sight)
    logarithmic = sight.report.plan.recipe["draws"].get(name, {}).get("kind") == "log_uniform"
    ax.set(
        title=f"Accuracy by {colour}" if colour else "Accuracy",
        xlabel=name.replace("_", " "),
        ylabel="test accuracy",
        xscale="log" if logarithmic else "linear",
    )


def _ranked(sight: Sight) -> tuple[list[str], list[str]]:
    """Numeric and text hyperparameters that vary: learning rate and optimizer, then by rank."""
    final, answer = sight.content.final, sight.report.explanation
    names = list(varying(final, leave_out=NOT_HYPERPARAMETERS))
    if isinstance(answer, Explanation):
        rank = {importance.name: place for place, importance in enumerate(answer.importances)}
        names.sort(key=lambda n: rank.get(n, len(rank)))
    names.sort(key=lambda n: n not in ("learning_rate", "optimizer"))
    kinds = {n: str(final.schema.field(CONFIG_PREFIX + n).type) for n in names}
    numeric = [n for n in names if kinds[n] in ("double", "int64")]
    return numeric, [n for n in names if kinds[n] == "string"]


def _curves(ax: Any, sight: Sight, columns: Iterable[str]) -> None:
    """Median and the band from the 10th to the 90th percentile; checkpoints evenly apart."""
    checkpoints = sight.report.plan.checkpoints
    for column, colour in zip(columns, COLOURS, strict=False):
        found = curve(sight.content.table, column, checkpoints)
        at = [checkpoints.index(c) for c in found]
        low, high = [s.p10 for s in found.values()], [s.p90 for s in found.values()]
        label = column.split("_", maxsplit=1)[0]
        ax.plot(at, [s.median for s in found.values()], "o-", color=colour, label=label)
        ax.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
    ax.set_xticks(range(len(checkpoints)), [str(c) for c in checkpoints])
    ax.set_xlabel("checkpoint (epochs)")
    _legend(ax)


def _stacked(ax: Any, sight: Sight, values: Float[np.ndarray, " n"]) -> None:
    """A histogram, one split on top of the other, with fewer bins for few networks."""
    masks = dict(_masks(sight.content.final))
    parts = [values[mask & ~np.isnan(values)] for mask in masks.values()]
    colours = [SPLIT_COLOURS[split] for split in masks]
    bins = int(np.clip(values.size // 4, FEWEST_BINS, MOST_BINS))
    if any(part.size for part in parts):
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.hist(parts, bins=bins, stacked=True, color=colours, label=list(masks))
    _legend(ax)


def _dots(ax: Any, final: Any, at: tuple[np.ndarray, np.ndarray], *, split: str) -> None:
    colour, size = SPLIT_COLOURS[split], _size(final.num_rows)
    ax.scatter(*at, s=size, color=colour, alpha=0.7, linewidths=0, label=split)


def _masks(final: Any) -> list[tuple[str, np.ndarray]]:
    """The splits that have networks, and which ones."""
    found = words(final, "split")
    return [(s, found == s) for s in SPLITS if np.any(found == s)]


def _log_mse(sight: Sight) -> Float[np.ndarray, " n"]:
    return np.log10(np.maximum(numbers(sight.content.final, "mse"), SMALLEST_MSE))


def _mark_x(ax: Any, x: float, name: str, *, side: str = "right") -> None:
    """A dotted line with its name, whose `side` touches the line."""
    ax.axvline(x, color=DIM, linestyle=":", linewidth=1)
    place = ax.get_xaxis_transform()
    ax.text(
        x, 0.98, f" {name} ", color=DIM, fontsize=9, rotation=90, va="top", ha=side,
        transform=place, bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1},
    )  # fmt: skip


def _mark_chance(ax: Any, sight: Sight) -> None:
    chance = chance_of(sight.report.plan)
    if chance is not None:
        ax.axhline(chance, color=DIM, linestyle=":", linewidth=1)


def _legend(ax: Any) -> None:
    """One line on top at the right, where it hides no point; a long one inside."""
    labels = ax.get_legend_handles_labels()[1]
    if sum(len(label) for label in labels) > LONG_LEGEND:
        ax.legend(fontsize=8, frameon=True, framealpha=0.8, handletextpad=0.1, borderpad=0.3)
    elif labels:
        ax.legend(
            loc="lower right", bbox_to_anchor=(1.02, 0.985), ncols=len(labels), columnspacing=0.9,
            handletextpad=0.3, handlelength=1.2, borderaxespad=0.2,
        )  # fmt: skip


def _say(ax: Any, title: str, text: str) -> None:
    """A panel that explains why it is empty."""
    ax.set_title(title)
    ax.set_axis_off()
    ax.text(0, 0.95, fill(text, width=48), va="top", color=DIM, transform=ax.transAxes)


def _size(networks: int) -> float:
    """Smaller dots for more networks."""
    return float(np.clip(4000 / max(networks, 1), 3, 28))


def _plain_ticks(axis: Any) -> None:
    """Decimal numbers on a logarithmic axis that spans little."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(LogLocator(subs=()))
