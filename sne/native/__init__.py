"""Set attention blocks in C++ for CPUs, compiled on first use.

`blocks.cpp` has the functions: `sab.hpp` a SAB, `numbers.hpp` one whose elements are numbers,
`pma.hpp` a PMA's first half. `products.hpp` multiplies matrices, `attention.hpp` attends within a
set, `tiles.hpp` says how much at once. `library.py` compiles and calls; `sne.fused` makes parts of
autograd of it.
"""
