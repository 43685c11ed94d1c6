"""Which hyperparameters explain how good the networks of a zoo are.

A random forest predicts the result from the configuration; it is judged on networks that it was
not fitted to. A hyperparameter's importance is what the forest loses there when that column is
shuffled: permutation importance, which also sees a column that acts only together with another.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from zoogen.description import CONFIG_PREFIX
from zoogen.look.spread import numbers, words

FEWEST = 30
"""Networks below which nothing is fitted."""
MOST = 2_000
"""Networks beyond which a fixed random choice of them is taken: more changes no rank, only time."""
FOLDS, TREES, SHUFFLES = 5, 150, 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """What one hyperparameter adds to the prediction."""

    name: str
    drop: float
    """Loss of R² when the column is shuffled among held-out networks, mean over the folds."""
    deviation: float
    """Standard deviation of that loss over the folds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """How well configurations predict a result, and by which hyperparameters."""

    target: str
    networks: int
    r2: float
    """Coefficient of determination on held-out networks, mean over the folds."""
    deviation: float
    """Standard deviation of R² over the folds."""
    importances: tuple[Importance, ...]
    """The most important first."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "folds": FOLDS}


@dataclass(frozen=True, kw_only=True, slots=True)
class Unexplained:
    """Why there is no explanation."""

    reason: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


Answer: TypeAlias = Explanation | Unexplained


def explain(
    final: Any, target: Float[np.ndarray, " n"], *, name: str, leave_out: Sequence[str] = ()
) -> Answer:
    """Fit the result on the hyperparameters that vary.

    Args:
        final: one row for each network with its `config.*` columns, as a `pyarrow.Table`.
        target: the result of each row, NaN where there is none; those rows are left out.
        name: what the target is called.
        leave_out: configuration columns that are not hyperparameters, without their prefix.
    """
    known = np.flatnonzero(~np.isnan(target))
    if known.size < FEWEST:
        return Unexplained(
            reason=f"{known.size} measured networks are too few to say which hyperparameters "
            f"explain {name}: at least {FEWEST} are needed"
        )
    chosen = np.random.default_rng(0).permutation(known)[:MOST]
    features = varying(final.take(pa.array(chosen)), leave_out=leave_out)
    if not features:
        return Unexplained(reason=f"no hyperparameter varies, so none explains {name}")
    values = target[chosen]
    if np.ptp(values) == 0:
        return Unexplained(reason=f"{name} is {values[0]:g} for every network")
    return _fit(features, values, name)


def varying(table: Any, *, leave_out: Sequence[str] = ()) -> dict[str, Float[np.ndarray, " n"]]:
    """The configuration columns with more than one value, as numbers; text by its rank."""
    found: dict[str, np.ndarray] = {}
    for column in table.schema.names:
        name = column.removeprefix(CONFIG_PREFIX)
        if column == name or name in leave_out:
            continue
        codes = _as_numbers(table, column)
        if np.unique(codes).size > 1:
            found[name] = codes
    return found


def _as_numbers(table: Any, column: str) -> Float[np.ndarray, " n"]:
    if not pa.types.is_string(table.schema.field(column).type):
        return numbers(table, column)
    return np.unique(words(table, column).astype(str), return_inverse=True)[1].astype(np.float64)


def _fit(features: dict[str, np.ndarray], values: np.ndarray, name: str) -> Explanation:
    # Imported here: scikit-learn takes a second that `--help` must not wait for.
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    x, rng = np.stack(list(features.values()), axis=1), np.random.default_rng(0)
    scores: list[float] = []
    drops: list[np.ndarray] = []
    for fitted, held_out in KFold(FOLDS, shuffle=True, random_state=0).split(x):
        forest = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=0)
        forest.fit(x[fitted], values[fitted])
        inputs = np.concatenate([x[held_out][None], _shuffled(x[held_out], rng)])
        # All at once: a call of a forest costs far more than its rows.
        answers = forest.predict(inputs.reshape(-1, x.shape[1])).reshape(len(inputs), -1)
        r2 = [_r2(values[held_out], answer) for answer in answers]
        scores.append(r2[0])
        drops.append(r2[0] - np.mean(np.reshape(r2[1:], (-1, SHUFFLES)), axis=1))
    means, deviations = np.mean(drops, axis=0), np.std(drops, axis=0)
    ranked = sorted(zip(features, means, deviations, strict=True), key=lambda r: -r[1])
    return Explanation(
        target=name,
        networks=len(values),
        r2=float(np.mean(scores)),
        deviation=float(np.std(scores)),
        importances=tuple(
            Importance(name=n, drop=float(m), deviation=float(d)) for n, m, d in ranked
        ),
    )


def _shuffled(
    x: Float[np.ndarray, "n f"], rng: np.random.Generator
) -> Float[np.ndarray, "copies n f"]:
    """Copies with one column in another order: `SHUFFLES` for the first column, and so on."""
    copies = np.repeat(x[None], SHUFFLES * x.shape[1], axis=0)
    for number, copy in enumerate(copies):
        rng.shuffle(copy[:, number // SHUFFLES])
    return copies


def _r2(values: np.ndarray, answers: np.ndarray) -> float:
    """1 - residual over total variance; of values that are all alike, 1 or 0."""
    total = float(np.sum((values - values.mean()) ** 2))
    rest = float(np.sum((values - answers) ** 2))
    if total == 0:
        return float(rest == 0)
    return 1 - rest / total
