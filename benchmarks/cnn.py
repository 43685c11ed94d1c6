"""arch1 and arch2 on one CPU thread, images a second, against scripts as people write them.

Training alone is timed, through `Engine.train` on jobs without checkpoints: the data order, the
gathering of batches, dropout and the steps, no evaluation. The scripts are timed likewise, in the
same process, whose allocator is left as it is (a worker's is tuned: `zoogen.machine`).
"""

import functools
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks import baselines, jobs
from benchmarks.jobs import Team
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, main
from benchmarks.timing import Contender, Samples, race, require, speedup
from zoogen.train.init import initial_weights
from zoogen.train.job import ImageData, ImageJob
from zoogen.train.loop import LoopEngine
from zoogen.train.schedule import epoch_order, image_schedule

DROPOUT = 0.35
MILD = 0.1
"""At 0.35 arch2 learns nothing for the first thousand steps, whoever trains it."""
PROMISED: Mapping[int, float] = {512: 3.0, 64: 2.5, 8: 3.0}
PROMISED_WITHOUT: Mapping[int, float] = {512: 2.0, 64: 2.0, 8: 3.0}
PROMISED_PUBLISHED = 8.0
IMAGES: Mapping[int, int] = {512: 8192, 64: 8192, 8: 4096}
"""Images that a script's round takes, by batch: about a second."""
OUR_IMAGES = 65_536
"""Ours takes more, so that a round of it is long enough to be timed."""
CLOSE = 0.02
"""Distance of two results as a share of the way from the start."""


def with_dropout(arch: str, batch: int) -> Iterator[Row]:
    """One race of three: ours, the plain script, the published form; two rows."""
    job, team = _job(arch, batch)
    images = jobs.image_data(train=IMAGES[batch])
    contenders = [
        _ours(job, team, DROPOUT),
        _plain(baselines.cnn(arch, dropout=DROPOUT), images, batch=batch),
        _published(baselines.cnn(arch, dropout=DROPOUT), images, batch=batch),
    ]
    samples = race(contenders, check=partial(check_dropout, arch, batch, team))
    ours, plain, published = samples.values()
    what = f"{arch}, batch {batch}, dropout {DROPOUT}: engine / "
    yield _row((f"{arch}-{batch}", what + "plain script"), PROMISED[batch], ours, plain, team)
    form = (f"{arch}-{batch}-published", what + "published form")
    yield _row(form, PROMISED_PUBLISHED, ours, published, team)


def without_dropout(arch: str, batch: int) -> Iterator[Row]:
    """Ours and the plain script, both without dropout."""
    job, team = _job(arch, batch)
    images = jobs.image_data(train=IMAGES[batch])
    plain = _plain(baselines.cnn(arch, dropout=0.0), images, batch=batch)
    contenders = [_ours(job, team, 0.0), plain]
    ours, theirs = race(contenders, check=partial(check_same_weights, arch, batch, team)).values()
    what = f"{arch}, batch {batch}, no dropout: engine / plain script"
    yield _row((f"{arch}-{batch}-nodropout", what), PROMISED_WITHOUT[batch], ours, theirs, team)


def check_same_weights(arch: str, batch: int, team: Team) -> None:
    """From the same start and in the same order, the plain script ends at the engine's weights."""
    images = max(4 * batch, 64)
    job = jobs.cnn_job(arch, batch=batch, images=images, epochs=1, checkpoints=(1,))
    (member,) = jobs.cnn_members(1, dropout=0.0)
    (ours,) = team.train(job, [member])
    start = initial_weights(job.architecture, member)
    model = baselines.load_flat(baselines.cnn(arch, dropout=0.0), start)
    order = epoch_order(member, image_schedule(member, images=images, batch_size=batch), 0)
    baselines.train_plain(
        model, *tensors(job.data), batch=batch, epochs=1,
        order=lambda epoch: torch.from_numpy(order.ravel()),
    )  # fmt: skip
    require_close(ours.weights, baselines.flat(model), start, f"{arch}, plain script")


def check_dropout(arch: str, batch: int, team: Team) -> None:
    """The engine ends at the reference engine's weights, and every script at a similar loss."""
    images = max(4 * batch, 64)
    job = jobs.cnn_job(arch, batch=batch, images=images, epochs=1, checkpoints=(1,))
    members = jobs.cnn_members(1, dropout=DROPOUT)
    (ours,) = team.train(job, members)
    (reference,) = Team(engine=LoopEngine(), members=1).train(job, members)
    start = initial_weights(job.architecture, members[0])
    require_close(ours.weights, reference.weights, start, f"{arch}, engine loop")
    check_losses(arch)


@functools.cache
def check_losses(arch: str) -> None:
    """After six epochs on 2,048 images all have learnt, and about equally well."""
    job = jobs.cnn_job(arch, batch=16, images=2048, epochs=6, checkpoints=(6,))
    (member,) = jobs.cnn_members(1, dropout=MILD)
    (ours,) = jobs.chosen(job).train(job, [member])
    losses = {"engine": ours.metrics["test_loss"] or float("nan")}
    for label, train in (("plain script", _plain), ("published form", _published)):
        torch.manual_seed(jobs.SEED)
        model = baselines.cnn(arch, dropout=MILD)
        baselines.load_flat(model, initial_weights(job.architecture, member))
        train(model, job.data, batch=16, epochs=6).run()
        losses[label] = test_loss(model, job.data)
    spread = max(losses.values()) - min(losses.values())
    require(max(losses.values()) < 1 and spread < 0.35, f"{arch}: test losses differ: {losses}")


def require_close(a: np.ndarray, b: np.ndarray, start: np.ndarray, what: str) -> None:
    """Two ends of training are near, measured by the way from the start to the second.

    Raises:
        WrongAnswer: they are not.
    """
    apart = float(np.linalg.norm(a - b) / np.linalg.norm(b - start))
    require(apart < CLOSE, f"weights are {apart:.2g} of the way apart from those of {what}")


def test_loss(model: torch.nn.Module, data: ImageData) -> float:
    """Mean cross-entropy on the test images."""
    images, labels = tensors(data, test=True)
    with torch.no_grad():
        return float(F.cross_entropy(model.eval()(images), labels))


def tensors(data: ImageData, *, test: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised floats in memory, as the plain script holds them."""
    images, labels = (
        (data.test_images, data.test_labels) if test else (data.train_images, data.train_labels)
    )
    scaled = images.astype(np.float32) * np.float32(data.scale[0]) + np.float32(data.shift[0])
    channels_first = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
    return torch.from_numpy(channels_first), torch.from_numpy(labels.astype(np.int64))


def _job(arch: str, batch: int) -> tuple[ImageJob, Team]:
    images = IMAGES[batch]
    team = jobs.chosen(jobs.cnn_job(arch, batch=batch, images=images, epochs=1))
    epochs = max(1, OUR_IMAGES // (images * team.members))
    return jobs.cnn_job(arch, batch=batch, images=images, epochs=epochs), team


def _ours(job: ImageJob, team: Team, dropout: float) -> Contender:
    members = jobs.cnn_members(team.members, dropout=dropout)
    work = len(members) * job.epochs * len(job.data.train_labels)
    return Contender(label=team.name, run=lambda: team.train(job, members), work=work)


def _plain(model: torch.nn.Module, data: ImageData, *, batch: int, epochs: int = 1) -> Contender:
    images, labels = tensors(data)
    run = partial(baselines.train_plain, model, images, labels, batch=batch, epochs=epochs)
    return Contender(label="plain script", run=run, work=epochs * len(images))


def _published(
    model: torch.nn.Module, data: ImageData, *, batch: int, epochs: int = 1
) -> Contender:
    images = baselines.PilImages(data.train_images[..., 0], data.train_labels)
    run = partial(baselines.train_published, model, images, batch=batch, epochs=epochs)
    return Contender(label="published form", run=run, work=epochs * len(images))


def _row(what: tuple[str, str], bound: float, ours: Samples, theirs: Samples, team: Team) -> Row:
    return Row(
        name=f"cnn/{what[0]}",
        what=what[1],
        promise=Promise(bound=bound),
        reached=speedup(ours, theirs),
        samples=(ours, theirs),
        note=(
            f"{ours.rate:,.0f} against {theirs.rate:,.0f} images/s; engine {team.name}, "
            f"{team.members} at once; evaluation excluded"
        ),
    )


CASES = [(arch, batch) for arch in ("arch1", "arch2") for batch in (512, 64, 8)]
ROWS: Mapping[str, Measure] = {
    **{f"{arch}-{batch}": partial(with_dropout, arch, batch) for arch, batch in CASES},
    **{f"{arch}-{batch}-nodropout": partial(without_dropout, arch, batch) for arch, batch in CASES},
}

if __name__ == "__main__":
    main("cnn", ROWS, long={})
