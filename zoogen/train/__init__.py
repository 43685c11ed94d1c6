"""The engines that train many small networks, and the rule that chooses among them."""

from zoogen.train.engines import ENGINES, load_engine

__all__ = ["ENGINES", "load_engine"]
