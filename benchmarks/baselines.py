"""What we compare with, as people write it: plain scripts and the published generators' form.

Plain: images in memory as normalised floats, contiguous, torch's default Adam, `nn.Dropout`.
Published form: a `DataLoader` over a data set that makes a PIL image of each item and passes it
through torchvision's transforms; for SIRENs, the full batch through a `DataLoader`, one network
after another, the loss read in each step. Neither has an L2 term, which would cost them more.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

Order = Callable[[int], Tensor]
"""The images of an epoch; only the check of the answer brings its own."""


Hidden = Callable[[], list[nn.Module]]
"""What follows a hidden layer."""


def cnn(
    arch: str, *, dropout: float, activation: Callable[[], nn.Module] = nn.ReLU
) -> nn.Sequential:
    """arch1 or arch2 for grey images of 28 × 28, written down layer by layer."""

    def hidden() -> list[nn.Module]:
        return [activation(), nn.Dropout(dropout)] if dropout else [activation()]

    return {"arch1": _arch1, "arch2": _arch2}[arch](hidden)


def _arch1(hidden: Hidden) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2),
        *hidden(),
        nn.Conv2d(16, 16, 3, stride=2),
        *hidden(),
        nn.Conv2d(16, 16, 3, stride=2),
        *hidden(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


def _arch2(hidden: Hidden) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 5),
        nn.MaxPool2d(2),
        *hidden(),
        nn.Conv2d(8, 6, 5),
        nn.MaxPool2d(2),
        *hidden(),
        nn.Conv2d(6, 4, 2),
        *hidden(),
        nn.Flatten(),
        nn.Linear(36, 20),
        *hidden(),
        nn.Linear(20, 10),
    )


def train_plain(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int[Tensor, " n"],
    *,
    batch: int,
    epochs: int,
    order: Order | None = None,
) -> None:
    """Epochs over shuffled images; an incomplete last batch is dropped."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for epoch in range(epochs):
        shuffled = torch.randperm(len(images)) if order is None else order(epoch)
        for start in range(0, len(shuffled) - batch + 1, batch):
            index = shuffled[start : start + batch]
            loss = F.cross_entropy(model(images[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


class PilImages(Dataset[tuple[Tensor, int]]):
    """Items as torchvision's own data sets give them: array → PIL image → transform."""

    def __init__(self, images: UInt8[np.ndarray, "n h w"], labels: Int[np.ndarray, " n"]) -> None:
        self.images, self.labels = images, labels
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image: Any = self.transform(Image.fromarray(self.images[index]))
        return image, int(self.labels[index])


def train_published(model: nn.Module, images: PilImages, *, batch: int, epochs: int) -> float:
    """The generators' loop: a loader, transforms on each image, a running loss."""
    loader = DataLoader(images, batch_size=batch, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    running = 0.0
    for _ in range(epochs):
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
            running += loss.item()
    return running


class Siren(nn.Module):
    """1-32-32-1 with w0 = 30 in both sine layers and 0.5 added to the output."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1, self.layer2 = nn.Linear(1, 32), nn.Linear(32, 32)
        self.layer3 = nn.Linear(32, 1)
        for layer in (self.layer1, self.layer2):
            bound = (6 / layer.in_features) ** 0.5 / 30
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Float[Tensor, "points 1"]) -> Float[Tensor, "points 1"]:
        """The fitted signal."""
        x = torch.sin(30 * self.layer1(x))
        x = torch.sin(30 * self.layer2(x))
        return self.layer3(x) + 0.5


def fit_plain(
    model: nn.Module,
    x: Float[Tensor, "points 1"],
    y: Float[Tensor, "points 1"],
    *,
    steps: int,
    stop_mse: float = 0.0,
) -> float:
    """One network on one signal in memory; returns the loss before the last step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    value = float("inf")
    for _ in range(steps):
        loss = F.mse_loss(model(x), y)
        value = loss.item()
        if value <= stop_mse:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return value


class Points(Dataset[tuple[Tensor, Tensor]]):
    """The samples of one signal, one by one."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.x[index], self.y[index]


def fit_published(model: nn.Module, points: Points, *, epochs: int, stop_mse: float = 0.0) -> float:
    """The published generator's form: an epoch is one full batch from a loader, not shuffled."""
    loader: Any = DataLoader(points, batch_size=len(points), shuffle=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    value = float("inf")
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            value = loss.item()
        if value <= stop_mse:
            break
    return value


def load_flat(model: nn.Module, weights: Float[np.ndarray, " p"]) -> nn.Module:
    """The model with these weights, in the order of its parameters."""
    nn.utils.vector_to_parameters(torch.tensor(weights), model.parameters())
    return model


def flat(model: nn.Module) -> Float[np.ndarray, " p"]:
    """The model's weights as one vector."""
    return nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
