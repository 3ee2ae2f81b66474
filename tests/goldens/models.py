"""The models that the goldens are about: generated ones, MLX folders, GGUF, all as transformers sees them in f32."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

import portable

REPOSITORY = Path(__file__).resolve().parent.parent.parent
GOLDENS = REPOSITORY / "tests" / "goldens"
SHARED = REPOSITORY.parent / "shared" / "data"
TOKENIZER = GOLDENS / "tokenizer"

LINEARS = {
    "q_proj": "self_attn", "k_proj": "self_attn", "v_proj": "self_attn", "o_proj": "self_attn",
    "gate_proj": "mlp", "up_proj": "mlp", "down_proj": "mlp",
}  # fmt: skip


def linear_shapes(config: LlamaConfig) -> dict[str, tuple[int, int]]:
    """`[out, in]` of the seven linear layers of a block."""
    hidden, feed_forward = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    return {
        "q_proj": (queries, hidden), "k_proj": (keys, hidden), "v_proj": (keys, hidden), "o_proj": (hidden, queries),
        "gate_proj": (feed_forward, hidden), "up_proj": (feed_forward, hidden), "down_proj": (hidden, feed_forward),
    }  # fmt: skip


def generated_tensors(config: dict, head: str) -> list[list]:
    """`[name, shape, centre, amplitude]` of every tensor of a generated model. `head` says under which names a model
    stores its embedding and output matrices: `embed` (tied, the usual name), `lm_head` (tied, stored under the head's
    name only), `both` (untied)."""
    parsed = LlamaConfig(**config)
    hidden, vocab = parsed.hidden_size, parsed.vocab_size
    tensors = []
    if head != "lm_head":
        tensors.append(["model.embed_tokens.weight", [vocab, hidden], 0.0, 1.0])
    for layer in range(parsed.num_hidden_layers):
        prefix = f"model.layers.{layer}"
        for linear, (rows, columns) in linear_shapes(parsed).items():
            tensors.append([f"{prefix}.{LINEARS[linear]}.{linear}.weight", [rows, columns], 0.0, 2 / math.sqrt(columns)])
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors.append([f"{prefix}.{norm}.weight", [hidden], 1.0, 0.5])
    tensors.append(["model.norm.weight", [hidden], 1.0, 0.5])
    if head != "embed":
        tensors.append(["lm_head.weight", [vocab, hidden], 0.0, 1.0 if head == "lm_head" else 4 / math.sqrt(hidden)])
    return tensors


def generated_values(seed: str, tensors: list[list]) -> dict[str, np.ndarray]:
    """f32 arrays of described tensors: `[name, shape, centre, amplitude]` each."""
    return {
        name: portable.uniform(f"{seed}/{name}", shape, amplitude, centre) for name, shape, centre, amplitude in tensors
    }


def digest(tensors: dict[str, np.ndarray]) -> str:
    """SHA-256 of the f32 values of all tensors in their order: shows that another language generates the same."""
    sha256 = hashlib.sha256()
    for tensor in tensors.values():
        sha256.update(tensor.astype("<f4").tobytes())
    return sha256.hexdigest()


def write_generated(model: dict, folder: Path) -> None:
    """The Hugging Face folder of a generated model, as `tests/src/golden.rs` writes it too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(model["config"], indent=1))
    for file in TOKENIZER.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    dtype = getattr(torch, model["dtype"])
    values = generated_values(model["seed"], model["tensors"])
    tensors = {name: torch.from_numpy(value).to(dtype) for name, value in values.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def as_f32(weights: dict, config: dict) -> LlamaForCausalLM:
    """A transformers model in f32 from a table of tensors, tied where the table has only one of the two matrices."""
    config = {key: value for key, value in config.items() if not key.startswith("quantization")}
    tied = "model.embed_tokens.weight" not in weights or "lm_head.weight" not in weights
    parsed = LlamaConfig(**{**config, "tie_word_embeddings": tied})
    parsed._attn_implementation = "eager"
    model = LlamaForCausalLM(parsed).float().eval()
    table = {name: torch.as_tensor(value).float() for name, value in weights.items()}
    if tied and "model.embed_tokens.weight" not in table:
        table["model.embed_tokens.weight"] = table["lm_head.weight"]
    table.setdefault("lm_head.weight", table["model.embed_tokens.weight"])
    model.load_state_dict(table, strict=True)
    return model


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    with safe_open(folder / "model.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def load_folder(folder: Path) -> LlamaForCausalLM:
    """A Hugging Face or MLX-quantized folder; quantized matrices become scale * q + bias in f32."""
    config = json.loads((folder / "config.json").read_text())
    return as_f32(dequantized(read_tensors(folder), config.get("quantization")), config)


def dequantized(tensors: dict, quantization: dict | None) -> dict:
    """Every tensor in f32. A matrix `P.weight` (u32 words, low bits first) with `P.scales` and `P.biases` is unpacked by
    the bits and the group of its own entry in `quantization`, else by the folder's."""
    plain = {}
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition(".")
        if f"{module}.scales" not in tensors:
            plain[name] = tensor.float()
        elif kind == "weight":
            entry = quantization.get(module) or quantization
            bits, group = entry["bits"], entry["group_size"]
            words = tensor.numpy().view(np.uint32)
            shifts = np.arange(0, 32, bits, dtype=np.uint32)
            q = (words[..., None] >> shifts & np.uint32(2**bits - 1)).reshape(words.shape[0], -1, group)
            scales, biases = (tensors[f"{module}.{part}"].float().numpy()[..., None] for part in ("scales", "biases"))
            plain[name] = torch.from_numpy((scales * q.astype(np.float32) + biases).reshape(words.shape[0], -1))
    return plain


def write_quantized(source: Path, folder: Path, bits: int, group_size: int, overrides: dict | None = None) -> None:
    """A quantized folder as mlx-lm itself writes it. `overrides` gives single modules their own
    `{bits, group_size}`, or False to leave them as they are."""
    from mlx_lm.utils import load_model, quantize_model, save_config, save_model

    def entry(path: str, _module) -> bool | dict:
        return next((value for suffix, value in (overrides or {}).items() if path.endswith(suffix)), True)

    model, config = load_model(source)
    model, config = quantize_model(model, config, group_size, bits, quant_predicate=entry)
    save_model(folder, model)
    # A single file needs no index, and mlx-lm reads the folder without one.
    (folder / "model.safetensors.index.json").unlink()
    save_config(config, folder / "config.json")
    for file in source.glob("tokenizer*"):
        (folder / file.name).write_bytes(file.read_bytes())


def load_gguf(path: Path) -> LlamaForCausalLM:
    """A GGUF file as transformers dequantizes it."""
    return AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
