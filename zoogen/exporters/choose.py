"""The formats that `--to` names."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from zoogen.exporters import hugging_face, small_cnn_zoo, state_dicts
from zoogen.exporters.place import Report
from zoogen.reader import Zoo

Export: TypeAlias = Callable[[Zoo, Path, Report], None]

EXPORTERS: Mapping[str, Export] = {
    "small-cnn-zoo": small_cnn_zoo.export,
    "state-dicts": state_dicts.export_torch,
    "safetensors": state_dicts.export_safetensors,
    "hf": hugging_face.export,
}
