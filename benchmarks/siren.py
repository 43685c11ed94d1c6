"""Steps of sine INRs a second, against one network after another in torch.

`Engine.train` on jobs that never stop early, so that everybody takes the same number of steps; the
loss of each step is part of the work on all sides.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import torch

from benchmarks import baselines, jobs
from benchmarks.cnn import require_close
from benchmarks.jobs import Team
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, main
from benchmarks.timing import Contender, Samples, race, require, speedup
from zoogen.signals import sine_target
from zoogen.train.init import initial_weights
from zoogen.train.job import SignalJob

STEPS: Mapping[int, int] = {128: 1500, 2000: 250}
"""Steps of our members in a round, by sample points."""
PLAIN_STEPS: Mapping[int, int] = {128: 1500, 2000: 600}
PUBLISHED_STEPS = 50
LEAST_MEMBERS = 8
"""One network trains too quickly to be timed."""


def short_signal() -> Iterator[Row]:
    """128 points: ours and the plain loop."""
    job, team = _job(128)
    contenders = [_ours(job, team), _plain(128)]
    ours, plain = race(contenders, check=partial(check_same_fit, 128, team)).values()
    yield _row(("128", "128 points: engine / plain loop"), 15.0, ours, plain, team)


def long_signal() -> Iterator[Row]:
    """2,000 points: ours, the plain loop, the published generator's form; two rows."""
    job, team = _job(2000)
    contenders = [_ours(job, team), _plain(2000), _published(2000)]
    samples = race(contenders, check=partial(check_same_fit, 2000, team))
    ours, plain, published = samples.values()
    yield _row(("2000", "2,000 points: engine / plain loop"), 3.0, ours, plain, team)
    form = ("2000-published", "2,000 points: engine / published form (DataLoader)")
    yield _row(form, 20.0, ours, published, team)


def check_same_fit(points: int, team: Team) -> None:
    """From the same start, both scripts end at the engine's weights."""
    steps = 30
    job = jobs.siren_job(points=points, steps=steps)
    member = jobs.siren_members(3)[1]
    (ours,) = team.train(job, [member])
    start = initial_weights(job.architecture, member)
    x, y = _signal(job, points)
    plain, published = (baselines.load_flat(baselines.Siren(), start) for _ in range(2))
    baselines.fit_plain(plain, x, y, steps=steps)
    baselines.fit_published(published, baselines.Points(x, y), epochs=steps)
    require_close(ours.weights, baselines.flat(plain), start, "the plain loop")
    require_close(ours.weights, baselines.flat(published), start, "the published form")
    with torch.no_grad():
        mse = float(torch.nn.functional.mse_loss(plain(x), y))
    reported = ours.metrics["mse"] or float("nan")
    require(abs(reported - mse) < 0.05 * mse, f"the engine reports MSE {reported}, it is {mse}")


def _signal(job: SignalJob, points: int) -> tuple[torch.Tensor, torch.Tensor]:
    member = jobs.siren_members(3)[1]
    return torch.tensor(job.inputs), torch.from_numpy(sine_target(member.config, points))


def _job(points: int) -> tuple[SignalJob, Team]:
    job = jobs.siren_job(points=points, steps=STEPS[points])
    return job, jobs.chosen(job)


def _ours(job: SignalJob, team: Team) -> Contender:
    members = jobs.siren_members(max(team.members, LEAST_MEMBERS))
    work = len(members) * job.steps
    return Contender(label=team.name, run=lambda: team.train(job, members), work=work)


def _plain(points: int) -> Contender:
    x, y = _signal(jobs.siren_job(points=points, steps=1), points)
    steps = PLAIN_STEPS[points]

    def run() -> float:
        return baselines.fit_plain(baselines.Siren(), x, y, steps=steps)

    return Contender(label="plain loop", run=run, work=steps)


def _published(points: int) -> Contender:
    signal = baselines.Points(*_signal(jobs.siren_job(points=points, steps=1), points))

    def run() -> float:
        return baselines.fit_published(baselines.Siren(), signal, epochs=PUBLISHED_STEPS)

    return Contender(label="published form", run=run, work=PUBLISHED_STEPS)


def _row(what: tuple[str, str], bound: float, ours: Samples, theirs: Samples, team: Team) -> Row:
    return Row(
        name=f"siren/{what[0]}",
        what=f"SIREN, {what[1]}",
        promise=Promise(bound=bound),
        reached=speedup(ours, theirs),
        samples=(ours, theirs),
        note=(
            f"{ours.rate:,.0f} against {theirs.rate:,.0f} steps/s; engine {team.name}, "
            f"{team.members} at once"
        ),
    )


ROWS: Mapping[str, Measure] = {"128": short_signal, "2000": long_signal}

if __name__ == "__main__":
    main("siren", ROWS, long={})
