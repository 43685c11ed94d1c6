"""Every engine against `loop`, step by step; and `loop` against autograd of the written loss."""

from collections.abc import Iterator
from dataclasses import replace
from math import inf

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.zoogen.arch_cases import CLASSIFIERS
from tests.zoogen.engine_cases import (
    ABSURD,
    CLASSIFIER,
    Rows,
    architecture,
    classifier,
    disagreements,
    few_images,
    image_data,
    image_job,
    inr,
    signal_job,
    train,
)
from zoogen.archs import to_module
from zoogen.members import Member
from zoogen.train.engines import ENGINES, load_engine
from zoogen.train.init import initial_weights
from zoogen.train.job import ImageJob, Job, Precision

ENGINES_UNDER_TEST = [name for name in ENGINES if name != "loop"]
# float64: weights are stored as float32, so they agree to its last bit; metrics are not rounded.
# float32: Adam and RMSprop divide by roots of tiny moments, which magnifies rounding.
ALLOWED: dict[Precision, dict[str, float]] = {
    "float64": {"weights": 1.3e-7, "metrics": 1e-9},
    "float32": {"weights": 1e-3, "metrics": 1e-4},
}
PRECISIONS: list[Precision] = ["float64", "float32"]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for work this small take longer than the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=ENGINES_UNDER_TEST)
def engine(request: pytest.FixtureRequest) -> str:
    name = request.param
    if reason := load_engine(name).refusal(image_job()):
        pytest.skip(f"{name}: {reason}")
    return name


def members_of_all_kinds() -> list[Member]:
    """Each optimizer with each activation, dropout zero and not, L2 and momentum zero and not."""
    members = []
    for optimizer in ("sgd", "adam", "rmsprop"):
        for activation in ("relu", "tanh"):
            for dropout in (0.0, 0.35):
                strong = {"l2reg": 0.05, "momentum": 0.9} if dropout else {}
                members.append(
                    classifier(
                        len(members),
                        optimizer=optimizer,
                        activation=activation,
                        dropout=dropout,
                        learning_rate=0.05 if optimizer == "sgd" else 0.001,
                        **strong,
                    )
                )
    return members


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("arch", ["arch1", "arch2"])
def test_each_step_of_every_kind_beside_a_diverging_member(
    engine: str, arch: str, precision: Precision
) -> None:
    """An epoch is one step, so every step is compared; two members leave the numbers on the way."""
    wild = [
        classifier(50, optimizer="sgd", learning_rate=ABSURD if precision == "float32" else inf),
        classifier(51, optimizer="adam", activation="tanh", learning_rate=inf, dropout=0.2),
    ]
    members = [wild[0], *members_of_all_kinds(), wild[1]]
    job = image_job(arch, epochs=4, precision=precision, data=few_images(arch))
    ours, reference = train(engine, job, members), train("loop", job, members)
    assert disagreements(ours, reference, **ALLOWED[precision]) == []
    assert {m for (m, _), s in ours.items() if s.status == "diverged"} == {50, 51}
    moved = [
        np.abs(ours[m.index, 4].weights - ours[m.index, 0].weights).max() for m in members[1:-1]
    ]
    assert min(moved) > 1e-3


@pytest.mark.parametrize("arch", sorted(set(CLASSIFIERS) - {"arch1", "arch2"}))
def test_every_architecture_by_every_optimizer(arch: str) -> None:
    """Exactly, with dropout, decay and a schedule; `native` is tried on its own architectures."""
    job = image_job(arch, epochs=3, batch_size=8, precision="float64", data=few_images(arch))
    job = replace(job, warmup_share=0.34, final_rate=1e-4)
    members = [
        classifier(
            i, optimizer=optimizer, activation=activation, dropout=0.3, weight_decay=0.01,
            learning_rate=0.05 if optimizer == "sgd" else 0.002, momentum=0.9,
        )
        for i, (optimizer, activation) in enumerate(
            [("sgd", "gelu"), ("adamw", "sigmoid"), ("adam", "leaky_relu"), ("rmsprop", "silu")]
        )
    ]  # fmt: skip
    ours, reference = (without_noise(job, train(e, job, members)) for e in ("vmap", "loop"))
    assert disagreements(ours, reference, **ALLOWED["float64"]) == []
    for m in members:
        assert np.abs(ours[m.index, 3].weights - ours[m.index, 0].weights).max() > 1e-3
    constant = train("loop", replace(job, final_rate=None, warmup_share=0.0), members)
    assert disagreements(constant, reference, **ALLOWED["float64"]) != []


def without_noise(job: ImageJob, rows: Rows) -> Rows:
    """Attention's key biases set to zero: a softmax does not see what all keys have in common.

    So their gradient is rounding noise and decay, and Adam makes steps of whatever it is.
    """
    keys = np.zeros(job.architecture.parameters, dtype=bool)
    for t in job.architecture.tensors:
        keys[t.offset : t.offset + t.size] = t.name.endswith("key.bias")
    return {
        key: replace(row, weights=np.where(keys, np.float32(0), row.weights))
        for key, row in rows.items()
    }


@pytest.mark.parametrize("precision", PRECISIONS)
def test_compiled_sigmoid_and_gelu(precision: Precision) -> None:
    native = load_engine("native")
    job = image_job("arch1", epochs=3, batch_size=8, precision=precision, data=few_images("arch1"))
    if reason := native.refusal(job):
        pytest.skip(reason)
    members = [
        classifier(i, activation=activation, dropout=rate)
        for i, (activation, rate) in enumerate(
            [("sigmoid", 0.0), ("sigmoid", 0.3), ("gelu", 0.0), ("gelu", 0.3)]
        )
    ]
    ours, reference = train("native", job, members), train("loop", job, members)
    assert disagreements(ours, reference, **ALLOWED[precision]) == []
    relu = [replace(m, config={**m.config, "activation": "relu"}) for m in members]
    assert disagreements(train("native", job, relu), reference, **ALLOWED[precision]) != []


def test_the_compiled_engine_says_what_it_lacks() -> None:
    native = load_engine("native")
    if reason := native.refusal(image_job()):
        pytest.skip(reason)
    for change, sentence in [
        ({"final_rate": 1e-5}, "it keeps learning rates constant"),
        ({"choices": {"activation": ("relu", "silu")}}, "it has no activation 'silu'"),
        ({"choices": {"optimizer": ("adamw",)}}, "it has no optimizer 'adamw'"),
    ]:
        assert native.refusal(replace(image_job(), **change)) == sentence


@pytest.mark.parametrize("precision", PRECISIONS)
def test_epochs_of_several_steps_with_a_rest(engine: str, precision: Precision) -> None:
    """100 images, a fraction of 0.9, batches of 16: five steps, ten images left out."""
    members = [
        classifier(i, train_fraction=0.9, dropout=0.3, activation=("relu", "tanh")[i % 2])
        for i in range(4)
    ]
    job = image_job(epochs=2, batch_size=16, precision=precision)
    ours, reference = train(engine, job, members), train("loop", job, members)
    assert disagreements(ours, reference, **ALLOWED[precision]) == []


def test_small_batches(engine: str) -> None:
    job = image_job(epochs=1, batch_size=4, precision="float64")
    members = [classifier(i, dropout=0.2, learning_rate=0.01) for i in range(3)]
    ours, reference = train(engine, job, members), train("loop", job, members)
    assert disagreements(ours, reference, weights=1e-6, metrics=1e-8) == []


@pytest.mark.parametrize("precision", PRECISIONS)
def test_inrs_stop_at_the_same_step(engine: str, precision: Precision) -> None:
    members = [inr(i, frequency=0.5 + i, weight_decay=1e-4 * i) for i in range(8)]
    members += [inr(8, learning_rate=inf), inr(9, learning_rate=1e-5)]
    job = signal_job(steps=120, stop_mse=0.02, unfitted_mse=0.03, precision=precision)
    ours, reference = train(engine, job, members), train("loop", job, members)
    assert disagreements(ours, reference, **ALLOWED[precision]) == []
    steps = dict(ours.keys())
    assert len(set(steps.values())) > 4
    assert {s.status for s in ours.values()} == {"ok", "unfitted", "diverged"}


@pytest.mark.parametrize(
    "wrong",
    [{"dropout": 0.3}, {"l2reg": 0.051}, {"epsilon": 1e-4}, {"learning_rate": 0.0031}],
    ids=str,
)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_comparison_sees_one_wrong_hyperparameter(wrong, precision: Precision) -> None:
    right = classifier(0, dropout=0.35, l2reg=0.05)
    job = image_job(epochs=4, precision=precision)
    other = replace(right, config={**right.config, **wrong})
    ours, reference = train("loop", job, [other]), train("loop", job, [right])
    assert disagreements(ours, reference, **ALLOWED[precision]) != []


def test_the_comparison_sees_another_dropout_key_order_or_checkpoint() -> None:
    one, other = classifier(0, dropout=0.35), classifier(1, dropout=0.35)
    job = image_job(epochs=2, precision="float64", batch_size=50)
    for changed in (replace(other, index=0), replace(one, seed=one.seed + 1)):
        assert disagreements(
            train("loop", job, [changed]), train("loop", job, [one]), **ALLOWED["float32"]
        )
    fewer = replace(job, checkpoints=(0, 2))
    found = disagreements(
        train("loop", fewer, [one]), train("loop", job, [one]), weights=1, metrics=9
    )
    assert found == [(0, 1, "missing")]


def written_loss_steps(member: Member, job: Job, steps: int) -> np.ndarray:
    """The module itself, the loss as it is written with its L2 term, torch's optimizer."""
    arch = job.architecture
    start = initial_weights(arch, member).astype(np.float64)
    module = to_module(arch, start, member.config)
    kernels = [p for name, p in module.named_parameters() if name.endswith("weight")]
    rate, eps = float(member.config["learning_rate"]), float(member.config["epsilon"])
    optimizer = {
        "sgd": lambda p: torch.optim.SGD(p, lr=rate, momentum=float(member.config["momentum"])),
        "adam": lambda p: torch.optim.Adam(p, lr=rate, eps=eps),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=rate, eps=eps, alpha=0.9),
    }[str(member.config["optimizer"])](list(module.parameters()))
    data = image_data("arch1")
    x = torch.from_numpy(data.train_images / 127.5 - 1).permute(0, 3, 1, 2)
    y = torch.from_numpy(data.train_labels)
    for _ in range(steps):
        optimizer.zero_grad()
        penalty = sum(k.square().sum() for k in kernels)
        (F.cross_entropy(module(x), y) + float(member.config["l2reg"]) * penalty).backward()
        optimizer.step()
    return torch.cat([p.detach().reshape(-1) for p in module.parameters()]).numpy()


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_training_descends_the_written_loss(name: str, optimizer: str) -> None:
    """L2 as published: l2·Σw² on kernels in the loss, differentiated by autograd."""
    job = image_job(epochs=3, precision="float64")
    if reason := load_engine(name).refusal(job):
        pytest.skip(f"{name}: {reason}")
    member = classifier(0, optimizer=optimizer, l2reg=0.03, momentum=0.9, learning_rate=0.004)
    ours = train(name, job, [member])[0, 3].weights
    wanted = written_loss_steps(member, job, 3)
    assert np.abs(ours - wanted).max() <= 1.3e-7 * np.abs(wanted).max()
    half = replace(member, config={**member.config, "l2reg": 0.015})
    assert np.abs(ours - written_loss_steps(half, job, 3)).max() > 1e-5


def test_the_cases_cover_what_members_can_be() -> None:
    members = members_of_all_kinds()
    assert {m.config["optimizer"] for m in members} == {"sgd", "adam", "rmsprop"}
    assert {m.config["dropout"] for m in members} == {0.0, 0.35}
    assert set(CLASSIFIER) == set(members[0].config)
    assert architecture("arch1").parameters == 4_970
