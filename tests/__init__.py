"""A package of its own, so that one of this name in some library does not stand before it."""
