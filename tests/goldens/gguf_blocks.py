#!/usr/bin/env python3
"""Write gguf_blocks.safetensors: a few blocks of every type of GGUF's that is read, and their values as the `gguf` package
dequantizes them. Blocks are what the package makes of random weights, or of a row of zeros; of a type that it cannot make,
random bytes with moderate scales.

    python gguf_blocks.py      (needs gguf, numpy and safetensors; made with gguf 0.19.0)
"""

from pathlib import Path

import gguf
import numpy as np
from gguf.constants import GGML_QUANT_SIZES
from gguf.constants import GGMLQuantizationType as Type
from safetensors.numpy import save_file

# Where the f16 of a block lie.
SCALES = {
    Type.Q4_0: [0],
    Type.Q4_1: [0, 2],
    Type.Q5_0: [0],
    Type.Q5_1: [0, 2],
    Type.Q8_0: [0],
    Type.Q2_K: [80, 82],
    Type.Q3_K: [108],
    Type.Q4_K: [0, 2],
    Type.Q5_K: [0, 2],
    Type.Q6_K: [208],
    Type.IQ4_NL: [0],
}
# Of every type.
VALUES = 1024


def blocks(kind: Type, random: np.random.Generator) -> np.ndarray:
    length, size = GGML_QUANT_SIZES[kind]
    rows = random.standard_normal((VALUES // length, length)).astype(np.float32)
    rows[0] = 0
    try:
        return gguf.quantize(rows, kind)
    except NotImplementedError:
        made = random.integers(0, 256, (len(rows), size), dtype=np.uint8)
        for at in SCALES[kind]:
            scales = random.uniform(-0.1, 0.1, (len(rows), 1)).astype(np.float16)
            made[:, at : at + 2] = scales.view(np.uint8)
        return made


def main() -> None:
    random = np.random.default_rng(7)
    tensors = {}
    for kind in SCALES:
        made = blocks(kind, random)
        tensors[f"{kind.name}.blocks"] = made
        tensors[f"{kind.name}.values"] = gguf.dequantize(made, kind)
    target = Path(__file__).with_suffix(".safetensors")
    save_file(tensors, target)
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
