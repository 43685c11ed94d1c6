"""Parts of the report page: commands from settings, hostile names, colours."""

import json
import shlex
from dataclasses import replace

import pyarrow as pa
import pytest
from conftest import tiny_config
from page_reader import read_page
from test_results import ROW, ZOO, result

from sne.options import parse_options
from sweeps.asked import Asked, Entry, write_asked
from sweeps.measures import MEASURES
from sweeps.page.block import Dot
from sweeps.page.palette import COLOURS, SERIES, contrast, heat_colours
from sweeps.page.pictures import draw_settings
from sweeps.page.trial_command import training_command
from sweeps.report import main
from sweeps.results import write_result


@pytest.mark.parametrize(
    ("group", "changes"),
    [
        ("training", {"scaling": "magnitude", "micro_batch": 4, "precision": "bf16"}),
        ("optimizer", {"learning_rate": 3e-05, "milestones": (0.5,), "clip_norm": 1.0}),
        ("optimizer", {"milestones": ()}),
        ("symmetry", {"invariance": 0.25, "augment": True, "canonical": True}),
        ("settings", {"width": 32, "head": (8, 4), "without": ("level_encoder", "type_encoder")}),
        ("settings", {"head": (), "element_positions": False}),
        ("data", {"status": ("ok", "diverged"), "checkpoints": "all", "target": "epoch"}),
    ],
)
def test_commands_have_every_setting(group, changes):
    config = tiny_config("sne")
    config = replace(config, **{group: replace(getattr(config, group), **changes)})
    config = replace(config, data=replace(config.data, zoo=("a zoo",)))
    command = training_command(json.loads(json.dumps(config.to_json())), ["a zoo"], machine={})
    assert parse_options(shlex.split(command)[3:]).config == config


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>$x^$"


def test_hostile_names_are_text(tmp_path):
    zoo = replace(ZOO, dataset=HOSTILE, family=HOSTILE)
    row = {**ROW, "train_zoos": [zoo.to_json()], "test_zoo": zoo.to_json(), "target": HOSTILE}
    kept = replace(
        result(),
        figures=[
            {**row, "config": json.dumps({"config": tiny_config("sne").to_json()})},
            {**row, "metric": "mse", "reason": HOSTILE, "value": None},
        ],
        predictions=pa.table(
            {
                "zoo": [zoo.hash] * 4,
                "member": range(4),
                "epoch": [1] * 4,
                "target": [0.1, 0.2, 0.3, 0.4],
                "prediction": [0.2, 0.1, 0.3, 0.5],
            }
        ),
    )
    where = {"host": HOSTILE, "command": HOSTILE, "zoos": {zoo.hash: HOSTILE}}
    write_result(tmp_path, replace(kept, where=where))
    entries = tuple(
        Entry(trial=ROW["trial"], table=table, row=HOSTILE, seed=0) for table in ("sne", HOSTILE)
    )
    write_asked(
        tmp_path,
        Asked(
            kind=HOSTILE,
            command=HOSTILE,
            entries=entries,
            test_zoos=(zoo.hash,),
            notes=(HOSTILE,),
        ),
    )
    assert main([str(tmp_path), "--device", "cpu", "--metric", "mse"]) == 0
    page = read_page((tmp_path / "page.html").read_text())
    assert len(list(page.all("script"))) == 1
    assert not list(page.all("img"))
    assert not [e for e in page.all() if any(name.startswith("on") for name in e.attributes)]
    assert page.text.count(HOSTILE) > 10


def test_colours_keep_contrast():
    themes = [{name: pair[theme] for name, pair in COLOURS.items()} for theme in (0, 1)]
    for theme, colours in enumerate(themes):
        for ground in ("page", "card"):
            for text in ("ink", "soft", "link", "good", "bad"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (theme, text, ground)
            assert contrast(colours["frame"], colours[ground]) >= 3
            assert all(contrast(colour, colours[ground]) >= 3 for colour in SERIES)
        steps = [pair[theme] for pair in heat_colours()]
        assert all(contrast(colours["ink"], step) >= 4.5 for step in steps)
        lightness = [contrast(step, colours["ink"]) for step in steps]
        assert lightness == sorted(lightness, reverse=True)


def test_contrast_is_wcags():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_pictures_with_errors_over_a_decade_have_plain_numbers_on_their_axes():
    dots = [
        Dot(label=label, value=value, low=value / 2, high=value * 2, seeds=(value,))
        for label, value in (("4", 0.01), ("8", 1.0))
    ]
    for own in (dots, [replace(dot, label=f"$x_{dot.label}$") for dot in dots]):
        text = draw_settings("a", "chunk size", own, MEASURES["mse"]).striptags()
        assert "0.01" in text
        assert "mathdefault" not in text
    assert "$x_8$" in text
