"""Whether an error says that memory ran out, whoever raises it."""

CPU_WORDS = ("DefaultCPUAllocator: ", "std::bad_alloc")
"""Torch has no class of its own for a CPU's memory, only words."""


def out_of_memory(error: BaseException) -> bool:
    """Whether Python, numpy, torch on a CPU or torch on a card found no memory.

    Torch is not imported for it: its `OutOfMemoryError` is known by name.
    """
    if isinstance(error, MemoryError):  # numpy's is one too
        return True
    named = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    words = str(error)
    return named or (isinstance(error, RuntimeError) and any(w in words for w in CPU_WORDS))
