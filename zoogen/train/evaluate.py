"""Loss and accuracy of one network or of many on whole sets of images, without the L2 term."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from zoogen.train.inputs import DeviceImages

CHUNK = 1_024
"""Images that pass at once, over all networks together."""


@torch.no_grad()
def score(
    predict: Callable[[Float[Tensor, "*i b c h w"]], Float[Tensor, "*m b o"]],
    images: DeviceImages,
    index: Int64[Tensor, "*i n"],
    *,
    networks: int = 1,
) -> tuple[Float64[Tensor, "*m"], Float64[Tensor, "*m"]]:
    """Mean cross-entropy and accuracy in eval mode; nothing leaves the device.

    Args:
        predict: inputs to logits; its leading axis, if it has one, is the networks'.
        images: where the images are taken from.
        index: which images; one row for each network, or one for all.
        networks: how many networks answer, so that memory stays the same.
    """
    count = index.shape[-1]
    losses, hits = [], []
    for part in index.split(max(1, CHUNK // networks), dim=-1):
        logits = predict(images.inputs(part))
        labels = images.labels[part].expand(logits.shape[:-1])
        loss = F.cross_entropy(logits.flatten(0, -2), labels.reshape(-1), reduction="none")
        losses.append(loss.view(labels.shape).sum(-1, dtype=torch.float64))
        hits.append((logits.argmax(-1) == labels).sum(-1))
    return torch.stack(losses).sum(0) / count, torch.stack(hits).sum(0).double() / count
