"""What a gradient-trained model learns from: batches of networks, the task's loss, the penalty.

Everything random in a step follows from (seed, epoch, step): the batch and its symmetries.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sne.apart import outputs_apart
from sne.config import Symmetry, TrainConfig, Training
from sne.losses import TASKS, logit_invariance
from sne.material import Material
from sne.model import Batch, Encoded, Outputs, ProbedModel
from sne.models import model_kind
from sne.pool import Pool
from sne.predict import as_model, computing, device_of, predict
from sne.sampling import AUGMENTATION, epoch_batches, steps_of, stream, torch_seed
from sne.symmetry import move_batch
from sne.targets import Target


class NetworkLesson:
    """A `fit.Lesson` on pools of networks."""

    def __init__(
        self,
        module: nn.Module,
        target: Target,
        *,
        train: Pool,
        validation: Pool | None,
        training: Training,
        symmetry: Symmetry,
    ) -> None:
        self.module = module
        self._target, self._train, self._validation = target, train, validation
        self._training, self._symmetry = training, symmetry
        self.independent = False
        """Of the model, as `ModelKind.independent`: whether parts may be computed side by side."""
        self._labels = labels_of(target, train.target)
        self._epoch, self._batches = -1, list[Int[np.ndarray, " b"]]()

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        sizes = np.unique(self._train.zoo, return_counts=True)[1].tolist()
        return steps_of(sizes, self._training.batch)

    def backward(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """See `fit.Lesson`."""
        rows = self._rows(epoch, step)
        size = self._training.micro_batch or len(rows)
        sums: dict[str, Tensor] = {}
        for number, first in enumerate(range(0, len(rows), size)):
            part = rows[first : first + size]
            seed = torch_seed(self._training.seed, epoch, step, number)
            losses = self._losses(part, seed=seed)
            share = len(part) / len(rows)
            (losses["loss"] * share).backward()
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0) + loss.detach().double() * share
        return sums

    def validate(self) -> float | None:
        """Mean loss of each zoo's validation networks, averaged over zoos."""
        pool = self._validation
        if isinstance(self.module, ProbedModel):
            self._fit_probe(self.module)
        if pool is None or not len(pool):
            return None
        raw = predict(self.module, pool, how=self._training.inference).raw
        prediction = torch.from_numpy(raw)
        labels = labels_of(self._target, pool.target).double()
        # A class that training never saw has no loss.
        known = np.isfinite(pool.target) & (pool.target >= 0 if self._is_category else True)
        losses = [
            float(TASKS[self._target.kind].loss(prediction[own], labels[own]))
            for number in np.unique(pool.zoo)
            if (own := torch.from_numpy(known & (pool.zoo == number))).any()
        ]
        return float(np.mean(losses)) if losses else None

    def _fit_probe(self, module: ProbedModel) -> None:
        """On all training networks; validation networks choose among probes."""
        pools = [self._train, *([self._validation] if self._validation else [])]
        given: list[Encoded] = []
        for pool in pools:
            known = np.isfinite(pool.target) & (pool.target >= 0 if self._is_category else True)
            encoding = predict(self.module, pool, how=self._training.inference).encoding
            labels = labels_of(self._target, pool.target)
            given.append((torch.from_numpy(encoding[known]), labels[torch.from_numpy(known)]))
        training, *others = given
        module.fit_probe(training, others[0] if others and len(others[0][0]) else None)

    @property
    def _is_category(self) -> bool:
        return self._target.kind == "category"

    def _rows(self, epoch: int, step: int) -> Int[np.ndarray, " b"]:
        if epoch != self._epoch:
            seed, batch = self._training.seed, self._training.batch
            self._batches = epoch_batches(self._train.zoo, batch=batch, seed=seed, epoch=epoch)
            self._epoch = epoch
        return self._batches[step]

    def _losses(self, rows: Int[np.ndarray, " b"], *, seed: int) -> dict[str, Tensor]:
        device, symmetry = device_of(self.module), self._symmetry
        generator = _generator(device, seed)
        batch = self._train.batch(rows)
        if symmetry.augment:
            batch = move_batch(batch, generator=generator, flip_signs=symmetry.sign_flips)
        checked = self._checked(len(rows), seed)
        if isinstance(self.module, ProbedModel):
            with computing(self._training.precision, device), _dice(device, seed):
                return dict(self.module.teach(batch, generator=generator))
        moved: Batch = []
        if checked.size:
            moved = move_batch(
                pick(batch, checked),
                generator=generator,
                copies=symmetry.invariance_copies,
                flip_signs=symmetry.sign_flips,
            )
        with _dice(device, seed):
            outputs = self._outputs([*batch, *moved], device)
        plain, other = _split(outputs, len(rows))
        labels = self._labels[torch.from_numpy(rows)].to(device)
        task = TASKS[self._target.kind].loss(plain.prediction, labels)
        if not checked.size:
            return {"loss": task}
        penalty = logit_invariance(
            _rows_of(plain, torch.from_numpy(checked).to(device)),
            other,
            place=symmetry.invariance_at,
            task=self._target.kind,
        )
        loss = task + symmetry.invariance * penalty
        return {"loss": loss, "task": task, "invariance": penalty}

    def _outputs(self, batch: Batch, device: torch.device) -> Outputs:
        """On a CPU, parts of the batch side by side where the model allows it."""

        def forward(part: Batch) -> Outputs:
            with computing(self._training.precision, device):
                return as_model(self.module)(part)

        # A compiled module has threads of its own.
        compiled = getattr(self.module, "_compiled_call_impl", None) is not None
        beside = self.independent and device.type == "cpu" and not compiled
        threads = torch.get_num_threads() if beside else 1
        return outputs_apart(forward, self.module, batch, threads=threads)

    def _checked(self, count: int, seed: int) -> Int[np.ndarray, " c"]:
        """Which networks of the batch the penalty is computed on."""
        if not self._symmetry.invariance:
            return np.array([], dtype=np.int64)
        wanted = max(1, round(self._symmetry.invariance_share * count))
        return np.sort(stream(seed, AUGMENTATION).permutation(count)[:wanted])


@contextmanager
def _dice(device: torch.device, seed: int) -> Iterator[None]:
    """Dropout in a model follows from the seed; the global generators are left as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _generator(device: torch.device, seed: int) -> torch.Generator:
    """On the device, but for `meta`, which holds no numbers (`sne.memory` plans a step there)."""
    return torch.Generator("cpu" if device.type == "meta" else device).manual_seed(seed)


def make_lesson(module: nn.Module, config: TrainConfig, material: Material) -> NetworkLesson:
    """What a training's module learns, and is selected by."""
    lesson = NetworkLesson(
        module,
        material.target,
        train=material.pools["train"],
        validation=material.pools["val"],
        training=config.training,
        symmetry=config.symmetry,
    )
    lesson.independent = model_kind(config.model).independent
    return lesson


def pick(batch: Batch, places: Int[np.ndarray, " c"]) -> Batch:
    """Some networks of a batch, by their ascending places in it."""
    picked, first = [], 0
    for group in batch:
        count = len(group.weights)
        own = places[(places >= first) & (places < first + count)] - first
        first += count
        if own.size:
            picked.append(group.rows(torch.from_numpy(own)))
    return picked


def _split(outputs: Outputs, count: int) -> tuple[Outputs, Outputs]:
    """The first networks and the others, in float32 whatever they were computed in."""
    encoding, prediction = outputs.encoding.float(), outputs.prediction.float()
    return (
        Outputs(encoding=encoding[:count], prediction=prediction[:count]),
        Outputs(encoding=encoding[count:], prediction=prediction[count:]),
    )


def _rows_of(outputs: Outputs, rows: Int[Tensor, " c"]) -> Outputs:
    return Outputs(encoding=outputs.encoding[rows], prediction=outputs.prediction[rows])


def labels_of(target: Target, values: Float[np.ndarray, " n"]) -> Float[Tensor, " n"]:
    """What a module is to give."""
    labels = torch.from_numpy(values)
    if target.kind == "number":
        labels = (labels - target.mean) / target.scale
    return labels.float()
