"""A network of 25 million weights within 2 GB: encoded chunk group by chunk group."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from sne.encoder import Encoder
from sne.model import Group
from sne.scaling import no_scaling
from sne.settings import SneConfig
from zoogen.infer import infer_architecture

torch.set_num_threads(2)
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
shapes = {f"layer{i}.weight": (1250, 1000) for i in range(20)}
architecture = infer_architecture(shapes).architecture
assert architecture.parameters == 25_000_000
weights = torch.randn(1, architecture.parameters, generator=torch.Generator().manual_seed(0))
torch.manual_seed(0)
encoder = Encoder(SneConfig(layer_group=1024), no_scaling())
with torch.no_grad():
    encoding = encoder([Group(architecture=architecture, weights=weights)])
assert torch.isfinite(encoding).all()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak * 1024, base * 1024)
"""


@pytest.mark.slow
def test_25_million_weights_are_encoded_within_2_gb():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    peak, base = map(int, done.stdout.split())
    assert base < 1e9
    assert peak - base > 100e6
    assert peak < 2e9, f"{peak:,} bytes"
