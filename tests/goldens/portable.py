"""Random numbers that any language can make again, bit for bit.

A *stream* is named by a string. Its key is the FNV-1a hash (64 bits) of the name in UTF-8; its element i (from 0)
is output number i of the SplitMix64 generator started at that key:

    z = key + (i + 1) * 0x9E3779B97F4A7C15                       (all modulo 2^64)
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    element = z ^ (z >> 31)

Generated models, adapters, token rows, shuffles and projections all come from such streams, so that the goldens
hold results only. `tests/src/portable.rs` is the same in Rust.
"""

import math

import numpy as np

PROJECTIONS = 64


def stream(name: str, count: int) -> np.ndarray:
    """The first `count` elements of the stream `name`, u64."""
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = ((key ^ byte) * 0x100000001B3) % 2**64
    z = np.uint64(key) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(name: str, shape: list[int], amplitude: float, centre: float = 0.0) -> np.ndarray:
    """f32 values in [centre - amplitude, centre + amplitude): centre + amplitude * u, where u = top 24 bits / 2^23 - 1
    is exact, and the product and the sum each round once to f32."""
    top = (stream(name, math.prod(shape)) >> np.uint64(40)).astype(np.float32)
    u = top / np.float32(2**23) - np.float32(1)
    return (np.float32(centre) + np.float32(amplitude) * u).reshape(shape)


def ids(name: str, count: int, vocab_size: int) -> list[int]:
    """`count` token ids: each element of the stream modulo `vocab_size`."""
    return [int(x) for x in stream(name, count) % np.uint64(vocab_size)]


def shuffled(name: str, items: list) -> list:
    """Fisher-Yates from the end: for i = n - 1 down to 1, swap items i and (element n - 1 - i) mod (i + 1)."""
    items = list(items)
    draws = stream(name, len(items))
    for i in range(len(items) - 1, 0, -1):
        j = int(draws[len(items) - 1 - i] % np.uint64(i + 1))
        items[i], items[j] = items[j], items[i]
    return items


def project(name: str, tensor: np.ndarray) -> np.ndarray:
    """64 projections of a tensor on random signs, f64: projection k is the sum over the elements i (row-major) of
    +x_i where bit k of the stream's element i is 0, and -x_i where it is 1.

    For the difference d of two tensors the mean of the squared projections of d estimates the sum of its squares
    (relative standard error sqrt(2 / 64), 18 %), so the Frobenius error of a tensor can be told without storing it."""
    x = tensor.reshape(-1).astype(np.float64)
    bits = stream(name, x.size)
    return np.array([x @ (1.0 - 2.0 * ((bits >> np.uint64(k)) & np.uint64(1))) for k in range(PROJECTIONS)])
