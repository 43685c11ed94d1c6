"""A zoo as people make one with Ray Tune: one trial for each network, a plain training script.

    python -m benchmarks.tune_zoo --members 8 --out FOLDER

The script trains the members that `zoogen.run` would: their configurations, initial weights and
checkpoints, each checkpoint saved as a .pt file and evaluated.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import baselines
from benchmarks.cnn import tensors
from zoogen.archs import arch_family
from zoogen.datasets import load_images
from zoogen.machine import available_cores
from zoogen.members import Member, draw_member
from zoogen.ray_session import ray_session
from zoogen.recipes import ClassifierRecipe, recipe_for
from zoogen.train.init import initial_weights

DATASET, ARCH = "digits", "arch1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What to make."""

    members: int
    out: Path
    reuse_actors: bool = False
    """Let trials share processes, which Ray Tune does not do by itself."""


def quick() -> ClassifierRecipe:
    """The recipe of the zoo."""
    recipe = recipe_for(ARCH, DATASET, "quick")
    assert isinstance(recipe, ClassifierRecipe)
    return recipe


def train_member(index: int, data: dict[str, Tensor], out: Path) -> dict[str, float]:
    """One network from start to end; the metrics of its last checkpoint."""
    recipe = quick()
    member = draw_member(recipe, zoo_seed=0, index=index, dataset=DATASET, arch=ARCH)
    torch.manual_seed(member.seed)
    model, optimizer = _model(member), None
    chosen = torch.randperm(len(data["labels"]))
    chosen = chosen[: int(len(chosen) * float(member.config["train_fraction"]))]
    images, labels = data["images"][chosen], data["labels"][chosen]
    metrics: dict[str, float] = {}
    for epoch in range(recipe.epochs + 1):
        if epoch:
            optimizer = optimizer or _optimizer(model, member)
            _epoch(
                model, optimizer, images, labels, recipe.batch_size, float(member.config["l2reg"])
            )
        if epoch in recipe.checkpoints:
            metrics = {
                **_score(model, images, labels, "train"),
                **_score(model, data["test_images"], data["test_labels"], "test"),
            }
            torch.save({"state_dict": model.state_dict(), **metrics}, out / f"{index}-{epoch}.pt")
    return metrics


def _model(member: Member) -> nn.Sequential:
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[str(member.config["activation"])]
    model = baselines.cnn(ARCH, dropout=float(member.config["dropout"]), activation=activation)
    architecture = arch_family(ARCH).describe(input_shape=(1, 28, 28), classes=10)
    baselines.load_flat(model, initial_weights(architecture, member))
    return model


def _optimizer(model: nn.Module, member: Member) -> torch.optim.Optimizer:
    rate, epsilon = float(member.config["learning_rate"]), float(member.config["epsilon"])
    if member.config["optimizer"] == "sgd":
        return torch.optim.SGD(model.parameters(), lr=rate)
    if member.config["optimizer"] == "adam":
        return torch.optim.Adam(model.parameters(), lr=rate, eps=epsilon)
    return torch.optim.RMSprop(model.parameters(), lr=rate, alpha=0.9, eps=epsilon)


def _epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor,
    batch: int, l2: float,
) -> None:  # fmt: skip
    model.train()
    kernels = [p for p in model.parameters() if p.dim() > 1]
    shuffled = torch.randperm(len(images))
    for start in range(0, len(images) - batch + 1, batch):
        index = shuffled[start : start + batch]
        loss = F.cross_entropy(model(images[index]), labels[index])
        loss = loss + l2 * torch.stack([(k * k).sum() for k in kernels]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _score(model: nn.Module, images: Tensor, labels: Tensor, name: str) -> dict[str, float]:
    model.eval()
    with torch.no_grad():
        logits = model(images)
        loss = float(F.cross_entropy(logits, labels))
        accuracy = float((logits.argmax(1) == labels).float().mean())
    return {f"{name}_loss": loss, f"{name}_accuracy": accuracy}


def images_in_memory() -> dict[str, Tensor]:
    """The recipe's images as normalised floats."""
    data = load_images(DATASET, quick().prep, download=False).data
    images, labels = tensors(data)
    test_images, test_labels = tensors(data, test=True)
    return {
        "images": images, "labels": labels,
        "test_images": test_images, "test_labels": test_labels,
    }  # fmt: skip


def main(options: Options) -> None:
    """Run the trials and leave `accuracies.json`: test accuracy by member."""
    models = options.out / "models"
    models.mkdir(parents=True)
    with ray_session(cpus=available_cores()):
        from ray import tune

        def trainable(config: dict[str, Any], data: dict[str, Tensor]) -> None:
            tune.report(train_member(config["member"], data, models))

        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(trainable, data=images_in_memory()), {"cpu": 1}
            ),
            param_space={"member": tune.grid_search(list(range(options.members)))},
            tune_config=tune.TuneConfig(reuse_actors=options.reuse_actors),
            run_config=tune.RunConfig(
                storage_path=str(options.out / "tune"), name="zoo", verbose=0
            ),
        )
        results = tuner.fit()
        done: list[Any] = [results[i] for i in range(len(results))]
        found = {r.config["member"]: r.metrics["test_accuracy"] for r in done}
    (options.out / "accuracies.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(tyro.cli(Options))
