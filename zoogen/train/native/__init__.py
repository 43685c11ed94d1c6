"""Engine `native`: C++ generated from an architecture description, compiled on first use.

`lanes.hpp` says how it computes; `source.py` writes the network, `packing.py` moves weights into
its layout, `library.py` compiles and calls, `engine.py` is the engine.
"""
