#!/usr/bin/env python3
"""Write gguf_dequant.json: for every tensor of the published GGUF file, the SHA-256 of its values as the `gguf` package
dequantizes them: f32, little-endian, rows of q and k put back from interleaved to half-by-half rotation, under Hugging
Face's names.

    python gguf_dequant.py SmolLM2-135M-Instruct.Q4_1.gguf      (needs gguf and numpy)
"""

import hashlib
import json
import sys
from pathlib import Path

import gguf
import numpy as np

MODULES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def halves_apart(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undo llama.cpp's permutation: within a head, row 2i goes to i and row 2i + 1 to i + head_dim / 2."""
    return weight.reshape(heads, -1, 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def path(name: str) -> str:
    parts = name.removesuffix(".weight").split(".")
    module = MODULES[parts[-1]]
    return f"model.layers.{parts[1]}.{module}" if parts[0] == "blk" else module


def main() -> None:
    reader = gguf.GGUFReader(sys.argv[1])
    heads = {
        "attn_q": reader.fields["llama.attention.head_count"].contents(),
        "attn_k": reader.fields["llama.attention.head_count_kv"].contents(),
    }
    sums = {}
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype("<f4").reshape(tensor.shape[::-1])
        for part, count in heads.items():
            if f".{part}." in tensor.name:
                values = halves_apart(values, count)
        sums[path(tensor.name)] = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    target = Path(__file__).with_suffix(".json")
    target.write_text(json.dumps(dict(sorted(sums.items())), indent=1) + "\n")
    print(f"{target}: {len(sums)} tensors")


if __name__ == "__main__":
    main()
