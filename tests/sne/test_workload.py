"""What a training holds: counts from a zoo's columns, and the worst batch that follows."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from conftest import small_config
from memory_cases import SHARE
from weight_cases import ARCH1, ARCH2, SIREN

from sne.batching import KEPT
from sne.errors import DataError
from sne.material import read_material
from sne.workload import Held, Workload, read_workload


def counts(members: Any) -> dict[str, int]:
    return {architecture.family: count for architecture, count in members}


def held(zoo: int, architecture: Any, train: int, val: int = 0) -> Held:
    return Held(zoo=zoo, architecture=architecture, train=train, val=val)


ONE = Workload(target=SHARE, held=(held(0, ARCH1, 40, 10), held(0, ARCH2, 60)))
TWO = Workload(target=SHARE, held=(held(0, ARCH2, 100), held(1, ARCH1, 30), held(1, SIREN, 50)))


def test_of_one_zoo_all_may_be_of_its_heaviest_architecture():
    assert counts(ONE.worst(64)) == {"arch1": 64}
    assert counts(ONE.worst(64, 16)) == {"arch1": 16}
    assert counts(ONE.worst(500)) == {"arch1": 100}


def test_zoos_share_a_batch_and_its_parts_may_hold_the_heaviest():
    assert TWO.epoch == 200
    assert counts(TWO.worst(64)) == {"arch1": 32, "arch2": 32}
    assert counts(TWO.worst(7)) == {"arch1": 4, "arch2": 3}
    assert counts(TWO.worst(64, 16)) == {"arch1": 16}
    assert counts(TWO.worst(64, 40)) == {"arch1": 32, "arch2": 8}


def test_zoos_of_one_architecture_are_one_group():
    both = Workload(target=SHARE, held=(held(0, ARCH1, 10), held(1, ARCH1, 10)))
    assert counts(both.worst(8)) == {"arch1": 8}
    assert counts(both.all) == {"arch1": 20}


def test_all_networks_lie_on_the_device():
    assert ONE.data_bytes == 4 * (50 * ARCH1.parameters + 60 * ARCH2.parameters)
    assert TWO.architectures == (ARCH2, ARCH1, SIREN)


def test_unlike_batches_are_few_unless_a_zoo_holds_several_architectures():
    alone = Workload(target=SHARE, held=(held(0, ARCH1, 40),))
    apart = Workload(target=SHARE, held=(held(0, ARCH1, 40), held(1, ARCH2, 40)))
    assert (alone.compositions, apart.compositions, ONE.compositions) == (4, 8, KEPT)


def test_zoos_are_read_without_weights(digits_zoo, arch2_zoo, monkeypatch):
    config = small_config(digits_zoo)
    config = replace(config, data=replace(config.data, zoo=(str(digits_zoo), str(arch2_zoo))))
    material = read_material(config, device=torch.device("cpu"))
    monkeypatch.setattr("zoogen.networks.Networks.weights", None)
    found = read_workload(config)
    assert [(h.zoo, h.architecture.family, h.train, h.val) for h in found.held] == [
        (0, "arch1", 24, 6),
        (1, "arch2", 12, 3),
    ]
    assert found.target.kind == material.target.kind
    assert found.architectures == material.pools["train"].architectures
    weights = [w for pool in material.pools.values() for w in pool.weights]
    assert found.data_bytes == sum(w.numel() * w.element_size() for w in weights)


def test_a_category_has_its_classes(digits_zoo):
    config = small_config(digits_zoo)
    config = replace(config, data=replace(config.data, target="optimizer"))
    material = read_material(config, device=torch.device("cpu"))
    assert read_workload(config).target == material.target
    assert material.target.outputs == 3


def test_what_cannot_be_trained_on_is_refused(digits_zoo):
    config = small_config(digits_zoo)
    config = replace(config, data=replace(config.data, target="colour"))
    with pytest.raises(DataError, match="has no target 'colour'"):
        read_workload(config)
