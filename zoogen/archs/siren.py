"""`siren`: an implicit neural representation with sine layers, by default 1-32-32-1.

Every layer but the last is sin(w0·(Wx + b)) with w0 = 30; the last is linear, and 0.5 is added to
its output. Coordinates come in (1 for a wave, 2 for an image), signal values go out. The sine is
odd, so a hidden neuron's sign may flip; its period would allow shifts of the bias too, which the
description leaves out.

Source: Navon et al. 2023 (arXiv:2301.12780), published code; SNE's Table 16.
"""

from zoogen.archs.chain import Layer, Linear
from zoogen.archs.family import SequentialFamily
from zoogen.errors import PlanError

W0 = 30.0
OUTPUT_OFFSET = 0.5


def _layers(
    input_shape: tuple[int, ...], outputs: int, *, width: int, depth: int
) -> tuple[Layer, ...]:
    if len(input_shape) != 1 or input_shape[0] < 1:
        raise PlanError(
            f"siren wants (coordinates,), for instance (1,) for a wave or (2,) for an image, "
            f"got {input_shape}: use it with signals, as in --dataset sine"
        )
    if width < 1 or depth < 2:
        raise PlanError(
            f"siren wants a width of at least 1 and a depth of at least 2 layers, the last one "
            f"included, got {width=} {depth=}"
        )
    sines = (
        Linear(name=f"layer{i}", features=width, activation="sine", w0=W0, sign_flips=True)
        for i in range(1, depth)
    )
    last = Linear(name=f"layer{depth}", features=outputs, output_offset=OUTPUT_OFFSET)
    return (*sines, last)


SIREN = SequentialFamily(
    name="siren",
    summary="sine layers fitted to one signal (Table 16): 1-32-32-1, 1,153 parameters",
    layers=_layers,
    options={"width": 32, "depth": 3},
)
