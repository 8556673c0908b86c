"""Lossless coders of integer vectors as pure TensorFlow functions.

Every coder is a pair of functions, a vector to a byte stream `uint8 [?]` and back, and is exact. They use no Python,
variable, resource, ragged tensor or random operation when they run, so that they work in a graph that is executed
by a session or by TFF's C++ worker. A stream is longer than the code's bits only by the zeros that fill its last byte.

- `bits`: a fixed number of bits a value; and what the others write and read their codes with.
- `elias`: Elias-gamma coded runs and values, without a table, for vectors that are mostly zero.
- `huffman`: canonical Huffman codes from a histogram that both sides know.
"""
