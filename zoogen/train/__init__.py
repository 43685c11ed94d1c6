"""The engines that train many small networks, and the rule that chooses among them."""
