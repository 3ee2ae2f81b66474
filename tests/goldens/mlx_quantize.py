#!/usr/bin/env python3
"""Write mlx_quantize.safetensors: MLX's own affine quantization of a few rows in f32, f16 and bf16, at 2, 3, 4, 5, 6 and 8
bits in groups of 32, 64 and 128, and as metadata the SHA-256 of what MLX makes of the f32 ones again. Rows of zeros,
constants, one sign, outliers, subnormals and large values are among them.

    python mlx_quantize.py      (needs mlx and numpy; made with mlx 0.32.4 on a CPU)
"""

import hashlib
from pathlib import Path

import mlx.core as mx
import numpy as np

COLUMNS = 256


def rows() -> np.ndarray:
    random = np.random.default_rng(7)
    normal = random.standard_normal((4, COLUMNS))
    return np.stack(
        [
            np.zeros(COLUMNS),
            np.full(COLUMNS, 0.75),
            np.full(COLUMNS, -0.75),
            *normal,
            np.abs(normal[0]),
            -np.abs(normal[1]),
            np.where(np.arange(COLUMNS) == 100, 50.0, normal[2] * 0.01),
            np.where(np.arange(COLUMNS) % 2 == 0, 1.0, -1.0),
            normal[3] * 1e-7,
            normal[0] * 1e-9,
            normal[1] * 1e4,
            np.round(normal[2] * 4) / 4,
            np.linspace(-1.0, 1.0, COLUMNS),
        ]
    ).astype(np.float32)


def main() -> None:
    mx.set_default_device(mx.cpu)
    tensors, hashes = {}, {}
    for name, dtype in {"f32": mx.float32, "f16": mx.float16, "bf16": mx.bfloat16}.items():
        weights = mx.array(rows()).astype(dtype)
        tensors[f"{name}.w"] = weights
        for bits in (2, 3, 4, 5, 6, 8):
            for group in (32, 64, 128):
                codes, scales, biases = mx.quantize(weights, group_size=group, bits=bits)
                case = f"{name}.b{bits}.g{group}"
                tensors |= {f"{case}.q": codes, f"{case}.scales": scales, f"{case}.biases": biases}
                if dtype == mx.float32:
                    values = np.array(mx.dequantize(codes, scales, biases, group_size=group, bits=bits))
                    hashes[case] = hashlib.sha256(values.tobytes()).hexdigest()
    mx.save_safetensors(str(Path(__file__).with_suffix("")), tensors, hashes)


if __name__ == "__main__":
    main()
