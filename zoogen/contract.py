"""The zoo format for those who read zoos: the one door through which `sne` meets `zoogen`.

Nothing here imports torch or Ray. `docs/zoo-format.md` describes the same in words.
"""

from zoogen.bounds import most_bytes, read_parquet
from zoogen.description import Architecture, Axis, Edge, Factor, Node, Space, TensorSpec
from zoogen.errors import CompileError, ShardError, ZooError, system_sentence
from zoogen.exhausted import out_of_memory
from zoogen.infer import Inferred, infer_architecture, infer_module
from zoogen.json_text import parse_json
from zoogen.manifest import Manifest
from zoogen.native_code.build import build, compiler_version, widest_lanes
from zoogen.networks import Networks
from zoogen.plan import Plan
from zoogen.reader import Zoo, open_zoo
from zoogen.recipes import RECIPES
from zoogen.schema import Column
from zoogen.store import Store, open_store
from zoogen.torch_files import BROKEN_TORCH, check_torch_file, is_pickle
from zoogen.typed import MISUSED, checked

__all__ = [
    "BROKEN_TORCH",
    "MISUSED",
    "RECIPES",
    "Architecture",
    "Axis",
    "Column",
    "CompileError",
    "Edge",
    "Factor",
    "Inferred",
    "Manifest",
    "Networks",
    "Node",
    "Plan",
    "ShardError",
    "Space",
    "Store",
    "TensorSpec",
    "Zoo",
    "ZooError",
    "build",
    "check_torch_file",
    "checked",
    "compiler_version",
    "infer_architecture",
    "infer_module",
    "is_pickle",
    "most_bytes",
    "open_store",
    "open_zoo",
    "out_of_memory",
    "parse_json",
    "read_parquet",
    "system_sentence",
    "widest_lanes",
]
