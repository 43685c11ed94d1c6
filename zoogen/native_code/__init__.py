"""C++ that is compiled on first use, for this processor: `build.py`, and headers for its vectors.

`vectors.hpp` says what a vector is, `vecmath.hpp` has exp, tanh, sine and cosine of one.
"""
