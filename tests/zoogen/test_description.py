"""What a description refuses, how it travels, and what it is found by."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from zoogen.description import Architecture, Axis, Edge, Factor, Node, Space, TensorSpec
from zoogen.errors import PlanError

FACTOR = Factor(space="stream")
STREAM = Axis(size=6, factors=(FACTOR,))
HEADS = Axis(size=6, factors=(Factor(space="head", stride=3), Factor(space="channel")))
HALVES = (Factor(space="head"), Factor(space="channel", stride=3))


def _attention() -> Architecture:
    """One fused projection of q, k and v, its bias, and a node behind it."""
    qkv = Axis(size=18, blocks=(HEADS,) * 3)
    rest = {"dtype": "float32", "layer": "attention", "layer_type": "attention", "level": 0}
    return Architecture(
        family="by hand",
        input_shape=(5, 6),
        output_size=6,
        spaces=(
            Space(name="stream", size=6, permutable=True),
            Space(name="head", size=2, permutable=True),
            Space(name="channel", size=3, permutable=True, within="head"),
        ),
        tensors=(
            TensorSpec(name="bias", shape=(18,), offset=0, role="bias", axes=(qkv,), **rest),
            TensorSpec(
                name="weight", shape=(18, 6), offset=18, role="weight", axes=(qkv, STREAM), **rest
            ),
        ),
        nodes=(Node(name="attention", op="attention", heads=2), Node(name="output", op="output")),
        edges=(Edge(source="attention", target="output"),),
        options={"width": 6},
    )


def _broken(**changes: object) -> Callable[[], Architecture]:
    """The same with the weight changed."""

    def make() -> Architecture:
        bias, weight = _attention().tensors
        return replace(_attention(), tensors=(bias, replace(weight, **changes)))

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_broken(offset=7), r"'weight': offset 7, wanted 18 \(no gaps\)"),
        (_broken(layer="nobody"), "its layer 'nobody' is not among the nodes"),
        (_broken(shape=(6, 18)), r"shape \(6, 18\) does not fit its axes"),
        (_broken(axes=(Axis(size=18, blocks=(STREAM, STREAM)), STREAM)), "blocks add up to 12"),
        (
            _broken(axes=(Axis(size=18, factors=(FACTOR,), blocks=(STREAM,) * 3), STREAM)),
            "either blocks or factors, this one has both",
        ),
        (_broken(axes=(Axis(size=18, factors=(FACTOR,)), STREAM)), "spaces multiply to 6"),
        (_broken(axes=(Axis(size=18, factors=HALVES), STREAM)), "stride 3 of 'channel', wanted 2"),
        (
            _broken(axes=(Axis(size=18, factors=(Factor(space="channel"),)), STREAM)),
            "'channel' lies within 'head', which is not there",
        ),
        (
            _broken(axes=(Axis(size=18, factors=(Factor(space="nowhere"),)), STREAM)),
            "unknown space 'nowhere'",
        ),
    ],
)
def test_contradictions_are_refused_by_name(make, message):
    with pytest.raises(PlanError, match=message):
        make()


def test_unknown_nodes_and_double_names_are_refused():
    architecture = _attention()
    with pytest.raises(PlanError, match="edge output -> moon has no such node"):
        replace(architecture, edges=(*architecture.edges, Edge(source="output", target="moon")))
    with pytest.raises(PlanError, match="two spaces or two nodes share one name"):
        replace(architecture, spaces=(*architecture.spaces, architecture.spaces[0]))


def test_descriptions_survive_json():
    architecture = _attention()
    again = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert again == architecture
    assert again.content_id == architecture.content_id


def test_content_id_is_a_function_of_the_content():
    assert _attention().content_id == _attention().content_id
    assert replace(_attention(), family="another").content_id != _attention().content_id
    assert replace(_attention(), options={"width": 7}).content_id != _attention().content_id


def test_lookups_find_by_name():
    architecture = _attention()
    assert architecture.space("channel").within == "head"
    assert architecture.node("attention").heads == 2
    assert [t.name for t in architecture.tensors_of("attention")] == ["bias", "weight"]
    assert [t.size for t in architecture.tensors] == [18, 108]
    assert architecture.parameters == 126


def test_space_of_size_one_shares_its_neighbours_stride():
    factors = (Factor(space="stream"), Factor(space="one"))
    tensor = replace(_attention().tensors[0], shape=(6,), axes=(Axis(size=6, factors=factors),))
    spaces = (*_attention().spaces, Space(name="one", size=1, permutable=False))
    assert replace(_attention(), spaces=spaces, tensors=(tensor,)).parameters == 6
