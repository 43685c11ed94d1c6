"""Counted work against what torch counts, and how it grows."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from weight_cases import ARCH1, INFERRED, SIREN, networks

from sne.blocks import Sab
from sne.encoder import Encoder
from sne.scaling import no_scaling
from sne.settings import SneConfig
from sne.work import forward_flops, spared_flops

CONFIG = SneConfig()


@pytest.mark.parametrize(
    "config",
    [CONFIG, replace(CONFIG, width=32, sabs=2), replace(CONFIG, without=("set_functions",))],
    ids=["default", "narrow", "without set functions"],
)
def test_counted_work_is_torchs_count(config):
    # In double precision, since torch counts neither oneDNN's products nor its fused attention.
    encoder = Encoder(config, no_scaling()).double()
    parts = [networks(a, n) for a, n in ((ARCH1, 2), (SIREN, 3), (INFERRED, 1))]
    batch = [replace(part, weights=part.weights.double()) for part in parts]
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        encoder(batch)
    counted = forward_flops(encoder.plan(batch).shapes, config)
    bridge = 2 * 6 * config.width * config.encoding
    assert counted + bridge == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_chunk_work_is_linear_in_the_number_of_weights():
    def chunks(count: int) -> int:
        return forward_flops({"chunks": ((count, 32),)}, CONFIG)

    assert chunks(100) == 100 * chunks(1)
    assert forward_flops({"tensors": ((1, 200),)}, CONFIG) > 2 * forward_flops(
        {"tensors": ((1, 100),)}, CONFIG
    )


def test_what_numbers_spare_is_all_of_their_block_but_its_feed_forward():
    sab = Sab(1, CONFIG.width, heads=CONFIG.heads).double()
    x = torch.randn(5, 7, 1, dtype=torch.float64)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        sab(x)
    feed = 5 * 7 * 2 * CONFIG.width**2
    assert spared_flops({"chunks": ((5, 7),)}, CONFIG) == counter.get_total_flops() - feed
    assert spared_flops({"chunks": ((5, 7),)}, replace(CONFIG, without=("set_functions",))) == 0
