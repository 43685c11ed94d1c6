"""A report as tables: rich ones on a terminal, plain text where it is piped."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from zoogen import distributions
from zoogen.look.explain import FOLDS, Explanation
from zoogen.look.report import Report, chance_of
from zoogen.look.spread import Spread
from zoogen.origin import Origin
from zoogen.plan import Plan
from zoogen.recipe import SINE
from zoogen.summary import ALL, judged_by

NOTHING = "–"
_SPREAD_HEADER = ("split", "n", "min", "10 %", "median", "90 %", "max", "mean")
_TITLES: Mapping[str, str] = {
    "test_accuracy": "test accuracy",
    "train_accuracy": "train accuracy",
    "test_loss": "test loss (nat)",
    "train_loss": "train loss (nat)",
    "generalization_gap": "gap, train − test",
    "mse": "mean squared error",
    "epoch": "steps taken",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One table of the report."""

    title: str
    header: tuple[str, ...]
    """Empty for a list of names and values."""
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def sections(report: Report) -> Iterator[Section]:
    """The report's tables in the order in which they are read."""
    yield Section(title="", header=(), rows=tuple(_facts(report)))
    judged = judged_by(report.plan)
    if report.final[judged]:
        yield _spread_section(judged, report.final[judged])
        yield _others_section(report, judged)
    if report.checkpoints:
        yield _checkpoint_section(report)
    if report.worst:
        yield _worst_section(report)
    yield _explanation_section(report)


def as_text(report: Report) -> str:
    """The whole report in plain text, without colours and lines, for pipes and files."""
    return "\n\n".join(_plain(section) for section in sections(report)) + "\n"


def print_rich(report: Report) -> None:
    """The whole report on the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for section in sections(report):
        if section.title:
            console.print(f"\n[bold]{section.title}")
        table = Table(
            show_header=bool(section.header),
            box=box.SIMPLE_HEAD if section.header else None,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            show_edge=False,
        )
        for place, name in enumerate(section.header or ("",) * len(section.rows[0])):
            right = bool(section.header) and _is_number(section, place)
            style = "cyan" if place == 0 else ""
            justify = "right" if right else "left"
            table.add_column(name, justify=justify, style=style, overflow="fold")
        for row in section.rows:
            table.add_row(*row)
        console.print(table)
        if section.note:
            console.print(section.note, style="dim")


def _plain(section: Section) -> str:
    lines = [section.header, *section.rows] if section.header else [*section.rows]
    places = range(len(lines[0]))
    widths = [max(len(row[place]) for row in lines) for place in places]
    right = [bool(section.header) and _is_number(section, place) for place in places]
    text = [
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in lines
    ]
    return "\n".join([*filter(None, [section.title]), *text, *filter(None, [section.note])])


def _is_number(section: Section, place: int) -> bool:
    return any(row[place][:1].isdigit() for row in section.rows)


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    plan = report.plan
    state = "complete" if report.complete else "unfinished"
    yield "zoo", f"{report.zoo} ({state})"
    if plan.origin is None:
        yield "recipe", f"{plan.recipe['name']}: {_schedule(report)}; seed {plan.seed}"
        yield "drawn", _draws(report)
    else:
        yield from _origin(plan, plan.origin)
    yield "data", _data(report)
    yield "network", _network(plan)
    if plan.origin is None:  # nothing was computed for a converted zoo
        for platform in report.platforms:
            yield "platform", platform
    yield "networks", _networks(report)
    yield (
        "stored",
        (
            f"{report.rows:,} rows in {_of(report.shards, report.shards_planned)} shards, "
            f"{_bytes(report.bytes)}"
        ),
    )
    yield "status", ", ".join(f"{n:,} {status}" for status, n in report.status.items())


def _origin(plan: Plan, origin: Origin) -> Iterator[tuple[str, str]]:
    size = f"{origin.file_count:,} files, {_bytes(origin.bytes)}"
    yield "converted", f"from {origin.format} ({size}, SHA-256 {origin.content_hash[:16]}…)"
    yield "by", f"{origin.credit}; licence: {origin.licence}"
    yield "checkpoints", " ".join(str(c) for c in plan.checkpoints)
    by = "the source's own" if origin.split == "source" else f"by shares, seed {plan.seed}"
    yield "splits", by
    for note in origin.notes:
        yield "note", note


def _network(plan: Plan) -> str:
    if plan.architecture is None and plan.origin is None:
        each = f"{plan.parameters:,} parameters on average"
        return f"{plan.family}: one of its own for each member, {each}"
    if plan.architecture is None:
        return f"{plan.family}: several architectures of at most {plan.parameters:,} parameters"
    return f"{plan.family}: {plan.parameters:,} parameters (id {plan.architecture})"


def _schedule(report: Report) -> str:
    plan = report.plan
    if plan.kind == "signals":
        stop = plan.recipe["stop_mse"]
        return f"at most {plan.epochs:,} steps, stopped at an MSE of {stop:g}"
    kept = " ".join(str(c) for c in plan.checkpoints)
    return f"{plan.epochs} epochs, batch {plan.recipe['batch_size']}, checkpoints {kept}"


def _draws(report: Report) -> str:
    """What each hyperparameter was drawn from, as the command line has it; constants last."""
    draws = {n: distributions.from_json(d) for n, d in report.plan.recipe["draws"].items()}
    names = sorted(draws, key=lambda name: isinstance(draws[name], distributions.Constant))
    return "; ".join(f"{name} {distributions.describe(draws[name])}" for name in names)


def _data(report: Report) -> str:
    data = report.plan.data
    if data["name"] == SINE and "points" in data:
        return f"{SINE}: a·sin(b·x) at {data['points']:,} points of [-π, π)"
    images = "images of which the source says no more"
    if "train_size" in data:
        images = f"{data['train_size']:,} training and {data['test_size']:,} test images"
    if "side" in data:
        images += f" of {data['side']}×{data['side']}×{data['channels']}"
    known = chance_of(report.plan)
    chance = "unknown" if known is None else f"{known:.4f}"
    licence = str(data.get("licence", "not stated")).removesuffix(".")
    return f"{data['name']}: {images}; chance accuracy {chance}; licence: {licence}"


def _networks(report: Report) -> str:
    splits = ", ".join(f"{n:,} {split}" for split, n in report.members_by_split.items())
    return f"{_of(report.members, report.members_planned)} ({splits})"


def _of(found: int, wanted: int) -> str:
    return f"{found:,}" if found == wanted else f"{found:,} of {wanted:,}"


def _bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.2f} MB"


def _spread_section(column: str, by_split: Mapping[str, Spread]) -> Section:
    chance = column.endswith("accuracy")
    thresholds = next(iter(by_split.values())).at_or_below
    names = tuple("≤ chance" if chance else f"≤ {t:.0e}" for t in thresholds)
    return Section(
        title=f"{_TITLES[column]}, last checkpoint of each network",
        header=(*_SPREAD_HEADER, *names),
        rows=tuple((split, *_cells(each, column)) for split, each in by_split.items()),
    )


def _others_section(report: Report, judged: str) -> Section:
    others = [(c, by_split) for c, by_split in report.final.items() if c != judged and by_split]
    return Section(
        title="what else was measured, last checkpoint of all networks",
        header=("", *_SPREAD_HEADER[1:]),
        rows=tuple((_TITLES[c], *_cells(by_split[ALL], c)) for c, by_split in others),
    )


def _checkpoint_section(report: Report) -> Section:
    return Section(
        title="test accuracy at each checkpoint",
        header=("epoch", *_SPREAD_HEADER[1:]),
        rows=tuple((str(c), *_cells(s, "test_accuracy")) for c, s in report.checkpoints.items()),
    )


def _cells(each: Spread, column: str) -> tuple[str, ...]:
    quantiles = (each.minimum, each.p10, each.median, each.p90, each.maximum, each.mean)
    shares = (f"{share:.1%}" for share in each.at_or_below.values())
    return (f"{each.networks:,}", *(_number(q, column) for q in quantiles), *shares)


def _number(value: float, column: str) -> str:
    if column == "mse":
        return f"{value:.1e}"
    return f"{value:,.0f}" if column == "epoch" else f"{value:.4f}"


def _worst_section(report: Report) -> Section:
    signal = tuple(report.worst[0].signal)
    rows = tuple(
        (
            str(each.member),
            f"{each.mse:.2e}",
            f"{each.steps:,}",
            each.status,
            each.split,
            *(_value(each.signal[name]) for name in signal),
        )
        for each in report.worst
    )
    header = ("member", "mse", "steps", "status", "split", *signal)
    return Section(title=f"the {len(rows)} worst fits", header=header, rows=rows)


def _value(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.6g}"


def _explanation_section(report: Report) -> Section:
    answer = report.explanation
    title = "what explains it"
    if not isinstance(answer, Explanation):
        return Section(title=title, header=(), rows=((answer.reason,),))
    return Section(
        title=f"hyperparameters that explain {answer.target}",
        header=("hyperparameter", "loss of R² when shuffled"),
        rows=tuple((i.name, f"{i.drop:.3f} ± {i.deviation:.3f}") for i in answer.importances),
        note=_quality(answer),
    )


def _quality(answer: Explanation) -> str:
    """How far the ranking can be trusted."""
    said = (
        f"R² of a random forest on networks it has not seen: {answer.r2:.3f} ± "
        f"{answer.deviation:.3f} ({answer.networks:,} networks, {FOLDS} folds)"
    )
    return said if answer.r2 > 0 else f"{said}: the hyperparameters explain nothing"
