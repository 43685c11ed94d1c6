"""Networks from files, torchvision, zoos and modules, and what is said of those that are none."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sne.errors import DataError
from sne.sources import from_module, read_source
from sne.zoo import open_zoo


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


class Evil:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def tensors_of(source) -> dict[str, torch.Tensor]:
    return {
        t.name: source.weights[t.offset : t.offset + t.size].reshape(t.shape)
        for t in source.architecture.tensors
    }


def test_a_module_a_file_and_a_safetensors_file_are_one_network(net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "net.pt")
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    wanted = from_module(net, name="net")
    assert wanted.name == "net"
    for name in ("net.pt", "net.safetensors"):
        found = read_source(str(tmp_path / name))
        assert torch.equal(found.weights, wanted.weights)
        assert [t.name for t in found.architecture.tensors] == list(tensors_of(wanted))
        assert any("no code to ask" in note for note in found.notes)
    for key, tensor in tensors_of(wanted).items():
        assert torch.equal(tensor, net.state_dict()[key])
    assert from_module(net).name == "Sequential"


def test_checkpoints_of_training_scripts(net, tmp_path):
    state = {f"module.{key}": tensor for key, tensor in net.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state, "optimizer": {}}, tmp_path / "last.ckpt")
    found = read_source(str(tmp_path / "last.ckpt"))
    assert torch.equal(found.weights, from_module(net).weights)
    assert found.notes[:2] == (
        "the state dict is what the file has under 'state_dict'",
        "'module.' was removed from all names",
    )


def test_half_precision_is_read_and_said(net, tmp_path):
    torch.save(net.half().state_dict(), tmp_path / "net.pt")
    found = read_source(str(tmp_path / "net.pt"))
    assert found.weights.dtype == torch.float32
    assert any("of float16 are read as float32" in note for note in found.notes)


def test_a_row_of_a_zoo(digits_zoo):
    zoo = open_zoo(digits_zoo)
    found = read_source(f"{digits_zoo}#7")
    assert np.array_equal(found.weights.numpy(), zoo.row(7)["weights"])
    assert found.architecture == next(iter(zoo.architectures.values()))
    first = read_source(f"{digits_zoo}#7@0")
    assert np.array_equal(first.weights.numpy(), zoo.row(7, 0)["weights"])
    assert not torch.equal(first.weights, found.weights)


def test_torchvision_by_name():
    before = torch.get_rng_state()
    one, same, other = (
        read_source(f"torchvision:squeezenet1_1/seed{seed}").weights for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_no_network(tmp_path, digits_zoo):
    (tmp_path / "notes.pt").write_text("hello")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    torch.save({"epoch": 3, "loss": 0.1}, tmp_path / "log.pt")
    torch.save({"step": torch.tensor(3)}, tmp_path / "step.pt")
    torch.save([1], tmp_path / "list.pt")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    for text, message in {
        str(tmp_path / "gone.pt"): "there is no .*; a network is a .safetensors file, a PyTorch",
        str(
            digits_zoo
        ): f"is a folder, not .*; if it is a zoo, its first network is {digits_zoo}#0",
        str(tmp_path / "notes.pt"): "is no PyTorch file, or a damaged one; a network is a .safet",
        str(tmp_path / "module.pt"): r"code in files is never run: save model\.state_dict\(\)",
        str(tmp_path / "evil.pkl"): r"takes code to load, and code in files is never run",
        str(tmp_path / "empty.safetensors"): "is no safetensors file",
        str(
            tmp_path / "log.pt"
        ): r"holds no state dict \(names to tensors\) but a dict with epoch, loss",
        str(tmp_path / "list.pt"): r"holds no state dict \(names to tensors\) but a list",
        str(tmp_path / "step.pt"): "has no tensor of floating-point numbers",
        "torchvision:resnet19": "torchvision has no model 'resnet19'; some that it has: resnet101",
        "torchvision:resnet18/BEST": "has no weights 'BEST'; there are: IMAGENET1K_V1, seed0",
    }.items():
        with pytest.raises(DataError) as caught:
            read_source(text)
        assert re.search(message, str(caught.value)), str(caught.value)
    assert not (tmp_path / "ran").exists()
    pickle.loads((tmp_path / "evil.pkl").read_bytes())
    assert (tmp_path / "ran").exists()  # what Python's own reader would have done
