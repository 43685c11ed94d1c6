"""The models by name: what `--model` takes. A model's module is imported when it is wanted."""

import importlib
from collections.abc import Mapping

from sne.errors import SettingError
from sne.model import ModelKind

MODELS: Mapping[str, str] = {
    "sne": "sne.sne",
    "mlp": "sne.baselines.mlp",
    "deepsets": "sne.baselines.deepsets",
    "statnn": "sne.baselines.statnn",
    "boosting": "sne.baselines.boosting",
    "nfn_np": "sne.baselines.nfn_np",
    "nfn_hnp": "sne.baselines.nfn_hnp",
    "nft": "sne.baselines.nft",
    "dwsnet": "sne.baselines.dwsnet",
    "hyperrep": "sne.baselines.hyperrep",
    "neuralgraph": "sne.baselines.neuralgraph",
    "scalegmn": "sne.baselines.scalegmn",
}
"""Each name with the module whose `KIND` it is."""


def model_kind(name: str) -> ModelKind:
    """The model of that name.

    Raises:
        SettingError: there is none; the sentence lists those there are.
    """
    if name not in MODELS:
        raise SettingError(f"no model {name!r}; there are: {', '.join(MODELS)}")
    return importlib.import_module(MODELS[name]).KIND
