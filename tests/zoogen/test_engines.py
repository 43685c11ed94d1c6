"""What every engine must do: one class, run on each of them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.zoogen.engine_cases import (
    ABSURD,
    architecture,
    classifier,
    disagreements,
    image_data,
    image_job,
    inr,
    signal_job,
    train,
)
from zoogen.archs import to_module
from zoogen.errors import MemberError, PlanError
from zoogen.train.engines import ENGINES, load_engine
from zoogen.train.init import initial_weights
from zoogen.train.job import Engine, ImageJob, Job, Progress, SignalJob, Snapshot
from zoogen.train.schedule import image_schedule

ENGINES_UNDER_TEST = list(ENGINES)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for work this small take longer than the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=ENGINES_UNDER_TEST)
def name(request: pytest.FixtureRequest) -> str:
    if reason := load_engine(request.param).refusal(image_job()):
        pytest.skip(f"{request.param}: {reason}")
    return request.param


@pytest.fixture
def engine(name: str) -> Engine:
    return load_engine(name)


def accuracy_and_loss(job: ImageJob, snapshot: Snapshot, config, index) -> tuple[float, float]:
    """The module itself on images turned into inputs by hand."""
    module = to_module(job.architecture, snapshot.weights, config)
    images = job.data.train_images[index].astype(np.float32)
    x = torch.from_numpy(images * np.float32(job.data.scale[0]) + np.float32(job.data.shift[0]))
    y = torch.from_numpy(job.data.train_labels[index])
    with torch.no_grad():
        logits = module(x.permute(0, 3, 1, 2))
    return float((logits.argmax(1) == y).double().mean()), float(F.cross_entropy(logits, y))


class TestEngine:
    """The contract of `zoogen.train.job.Engine`."""

    def test_it_has_a_name(self, engine: Engine, name: str) -> None:
        assert engine.name.split()[0] == name

    def test_one_snapshot_for_each_member_and_checkpoint(self, name: str) -> None:
        members = [classifier(i, dropout=0.2) for i in (3, 1)]
        rows = train(name, image_job(epochs=3, checkpoints=(0, 2, 3)), members)
        assert set(rows) == {(m, e) for m in (1, 3) for e in (0, 2, 3)}
        for snapshot in rows.values():
            assert snapshot.status == "ok"
            assert snapshot.weights.dtype == np.float32
            assert snapshot.weights.shape == (4_970,)
            assert set(snapshot.metrics) == {
                "train_loss", "test_loss", "train_accuracy", "test_accuracy",
            }  # fmt: skip
            assert all(type(v) is float for v in snapshot.metrics.values())

    def test_checkpoint_zero_is_the_initialisation(self, name: str) -> None:
        member = classifier(4)
        rows = train(name, image_job(epochs=1), [member])
        assert np.array_equal(rows[4, 0].weights, initial_weights(architecture("arch1"), member))
        assert not np.array_equal(rows[4, 0].weights, rows[4, 1].weights)

    def test_a_job_without_checkpoints_gives_none(self, name: str) -> None:
        assert train(name, image_job(epochs=1, checkpoints=()), [classifier(0)]) == {}

    def test_the_same_bytes_again(self, name: str) -> None:
        members = [classifier(i, dropout=0.3, optimizer="rmsprop") for i in range(3)]
        job = image_job(epochs=2, batch_size=30)
        one, two = train(name, job, members), train(name, job, members)
        assert all(np.array_equal(one[k].weights, two[k].weights) for k in one)
        assert all(one[k].metrics == two[k].metrics for k in one)

    def test_company_and_order_change_nothing_but_rounding(self, name: str) -> None:
        members = [classifier(i, dropout=0.3, activation=a) for i, a in enumerate(["tanh", "relu"])]
        job = image_job(epochs=2, batch_size=30, precision="float64")
        together = train(name, job, members[::-1])
        alone = {**train(name, job, members[:1]), **train(name, job, members[1:])}
        assert disagreements(together, alone, weights=1.3e-7, metrics=1e-9) == []

    def test_measures_are_those_of_the_stored_weights(self, name: str) -> None:
        """Train: whole batches of the member's subset; test: all; no dropout, no L2 term."""
        member = classifier(0, train_fraction=0.7, dropout=0.4, l2reg=0.01)
        job = image_job(epochs=2, batch_size=32)
        seen = image_schedule(member, images=100, batch_size=32).measured
        assert len(seen) == 64
        test_as_train = replace(
            job, data=replace(job.data, train_images=job.data.test_images,
                              train_labels=job.data.test_labels),
        )  # fmt: skip
        for snapshot in train(name, job, [member]).values():
            accuracy, loss = accuracy_and_loss(job, snapshot, member.config, seen)
            assert snapshot.metrics["train_accuracy"] == pytest.approx(accuracy, abs=1e-9)
            assert snapshot.metrics["train_loss"] == pytest.approx(loss, rel=1e-5)
            every = np.arange(40)
            accuracy, loss = accuracy_and_loss(test_as_train, snapshot, member.config, every)
            assert snapshot.metrics["test_accuracy"] == pytest.approx(accuracy, abs=1e-9)
            assert snapshot.metrics["test_loss"] == pytest.approx(loss, rel=1e-5)

    def test_it_learns(self, name: str) -> None:
        members = [
            classifier(i, optimizer=o, learning_rate=0.01, l2reg=1e-6, activation="tanh")
            for i, o in enumerate(["adam", "rmsprop"])
        ]
        rows = train(name, image_job(epochs=20, batch_size=10, checkpoints=(0, 20)), members)
        for i in range(2):
            before, after = rows[i, 0].metrics, rows[i, 20].metrics
            assert (before["train_accuracy"] or 0) < 0.4
            assert (after["train_accuracy"] or 0) > 0.6

    def test_few_images_are_one_batch(self, name: str) -> None:
        member = classifier(0, train_fraction=0.03)
        rows = train(name, image_job(epochs=2, batch_size=512), [member])
        assert [e for _, e in rows] == [0, 1, 2]
        thirds = (rows[0, 2].metrics["train_accuracy"] or 0) * 3
        assert thirds == pytest.approx(round(thirds), abs=1e-6)

    def test_grey_images_are_sums_of_channels(self, name: str) -> None:
        data = image_data("arch1")
        wide = {
            f"{part}_images": getattr(data, f"{part}_images").astype(np.uint16) * 3
            for part in ("train", "test")
        }
        sums = replace(data, **wide, scale=(1 / 382.5,))
        members = [classifier(0)]
        grey, plain = (train(name, image_job(epochs=2, data=d), members) for d in (sums, data))
        assert disagreements(grey, plain, weights=1e-4, metrics=1e-5) == []

    def test_a_diverging_member_ends_alone(self, name: str) -> None:
        members = [
            classifier(0),
            classifier(1, optimizer="sgd", learning_rate=ABSURD),
            classifier(2),
        ]
        job = image_job(epochs=5, checkpoints=(0, 1, 5))
        rows = train(name, job, members)
        last = max(e for m, e in rows if m == 1)
        assert rows[1, last].status == "diverged"
        assert last < 5
        assert set(rows[1, last].metrics.values()) == {None}
        assert len(rows[1, last].metrics) == 4
        assert rows[1, 0].status == "ok"
        healthy = {k: s for k, s in rows.items() if k[0] != 1}
        assert set(healthy) == {(m, e) for m in (0, 2) for e in (0, 1, 5)}
        # Whether or not it was there makes no difference to the others.
        without = train(name, job, [members[0], members[2]])
        assert disagreements(healthy, without, weights=1e-4, metrics=1e-5) == []
        assert all(np.isfinite(s.weights).all() for s in healthy.values())

    def test_all_members_may_diverge(self, name: str) -> None:
        members = [classifier(i, optimizer="sgd", learning_rate=ABSURD) for i in range(2)]
        rows = train(name, image_job(epochs=6, checkpoints=(6,)), members)
        assert [s.status for s in rows.values()] == ["diverged", "diverged"]

    @pytest.mark.parametrize(
        "job", [image_job(epochs=3), signal_job(steps=60)], ids=["images", "inr"]
    )
    def test_reported_epochs_add_up(self, engine: Engine, job: Job) -> None:
        members = [(inr if isinstance(job, SignalJob) else classifier)(i) for i in range(3)]
        events: list[Progress] = []
        list(engine.train(job, members, device="cpu", report=events.append))
        epochs = job.steps if isinstance(job, SignalJob) else job.epochs
        assert sum(e.member_epochs for e in events) == 3 * epochs

    def test_an_inr_stops_at_its_loss_and_not_before(self, name: str) -> None:
        members = [inr(i, frequency=1.0 + i) for i in range(4)]
        job = signal_job(steps=150, stop_mse=0.05)
        rows = train(name, job, members)
        steps = dict(rows.keys())
        assert all(0 < e < 150 for e in steps.values())
        for (index, epoch), snapshot in rows.items():
            assert snapshot.status == "ok"
            assert snapshot.metrics["mse"] == pytest.approx(
                mse_of(job, snapshot, members[index]), rel=1e-3
            )
            assert (snapshot.metrics["mse"] or 1) <= 0.05
            shorter = train(name, replace(job, steps=epoch - 1), [members[index]])
            assert (shorter[index, epoch - 1].metrics["mse"] or 0) > 0.05

    def test_an_inr_without_enough_steps_is_unfitted(self, name: str) -> None:
        rows = train(name, signal_job(steps=3, unfitted_mse=0.01), [inr(0), inr(1)])
        assert {(k[1], s.status) for k, s in rows.items()} == {(3, "unfitted")}
        assert all((s.metrics["mse"] or 0) > 0.01 for s in rows.values())

    def test_an_inr_that_needs_no_step_keeps_its_first_weights(self, name: str) -> None:
        job = signal_job(stop_mse=1e6)
        rows = train(name, job, [inr(5)])
        assert np.array_equal(rows[5, 0].weights, initial_weights(job.architecture, inr(5)))

    def test_an_inr_may_diverge(self, name: str) -> None:
        rows = train(name, signal_job(), [inr(0, learning_rate=ABSURD), inr(1)])
        status = {k[0]: (k[1], s.status, s.metrics) for k, s in rows.items()}
        assert status[0][1:] == ("diverged", {"mse": None})
        assert status[1][1] == "ok"

    def test_a_member_that_raises_is_named(self, engine: Engine) -> None:
        job = replace(signal_job(), targets=lambda member: 1 / np.zeros(3)[member.index + 7])
        with pytest.raises(MemberError, match=r"member 6 \(.*'frequency': 2.0.*IndexError"):
            list(engine.train(job, [inr(6)], device="cpu", report=lambda progress: None))

    def test_it_says_what_it_cannot_train(self, engine: Engine) -> None:
        arch = architecture("arch1")
        nodes = tuple(replace(n, op="concat") if n.op == "mean_pool" else n for n in arch.nodes)
        odd = replace(image_job(), architecture=replace(arch, nodes=nodes))
        assert "concat" in (engine.refusal(odd) or "")
        assert engine.refusal(image_job()) is None
        assert engine.refusal(signal_job()) is None


def mse_of(job: SignalJob, snapshot: Snapshot, member) -> float:
    module = to_module(job.architecture, snapshot.weights, member.config)
    with torch.no_grad():
        y = module(torch.from_numpy(np.asarray(job.inputs))).numpy()
    return float(np.square(y - job.targets(member)).mean())


def test_vmap_refuses_members_of_two_kinds() -> None:
    members = [classifier(0, train_fraction=0.5), classifier(1)]
    with pytest.raises(PlanError, match=r"of one kind together, got \[\(0\.5,\), \(1\.0,\)\]"):
        train("vmap", image_job(), members)


def test_an_unknown_engine_lists_the_known_ones() -> None:
    with pytest.raises(PlanError, match="no engine 'turbo'; there are: loop, vmap, native"):
        load_engine("turbo")


def test_vmap_lets_finished_inrs_go() -> None:
    """Members that are done leave the stack, and the rest is what it would have been."""
    from zoogen.train.vmapped import _SignalGroup

    sizes: Counter[int] = Counter()
    job = signal_job(steps=400, stop_mse=0.01)
    members = [inr(i, frequency=0.5 + 0.7 * i) for i in range(8)]
    group = _SignalGroup(job, members, "cpu")
    for _ in group.run(lambda progress: sizes.update([len(group.stack.members)])):
        pass
    assert len(sizes) > 2
    assert min(sizes) < 4
