"""The engines that train many small networks, and the rule that chooses among them."""

from zoogen.train.engines import ENGINES

__all__ = ["ENGINES"]
