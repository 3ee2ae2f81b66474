"""A Llama forward pass in f64 with numpy alone, written from the formulas: the goldens' own check.

It shares nothing with transformers, so a wrong setting there (a RoPE scaling not read, a head size guessed) shows as a
difference here; and in f64 its finite differences are good to many digits."""

import math

import numpy as np


def inverse_frequencies(config: dict) -> np.ndarray:
    """RoPE's `head_dim / 2` angular frequencies, scaled as `rope_parameters` or `rope_scaling` says."""
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = scaling.get("rope_theta", config.get("rope_theta", 10000.0))
    size = head_dim(config)
    frequency = theta ** -(np.arange(0, size, 2) / size)
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "linear":
        return frequency / scaling["factor"]
    if kind == "llama3":
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        # How many turns the frequency makes within the context that the model was first trained on.
        turns = frequency * scaling["original_max_position_embeddings"] / (2 * math.pi)
        keep = np.clip((turns - low) / (high - low), 0.0, 1.0)
        return frequency * (keep + (1 - keep) / scaling["factor"])
    assert kind == "default", kind
    return frequency


def head_dim(config: dict) -> int:
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def rotate(x: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """RoPE on `[tokens, heads, head_dim]`: component i turns with component i + head_dim / 2."""
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def logits(config: dict, weights: dict[str, np.ndarray], row: list[int]) -> np.ndarray:
    """`[tokens, vocabulary]` of one row."""
    size, eps, tokens = head_dim(config), config["rms_norm_eps"], len(row)
    heads = config["num_attention_heads"]
    key_heads = config.get("num_key_value_heads") or heads
    angles = np.arange(tokens)[:, None] * inverse_frequencies(config)
    future = np.triu(np.ones((tokens, tokens), bool), 1)
    x = weights["model.embed_tokens.weight"][row]
    for layer in range(config["num_hidden_layers"]):
        w = {name: weights[f"model.layers.{layer}.{name}.weight"] for name in (
            "input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
            "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")}  # fmt: skip
        h = rms_norm(x, w["input_layernorm"], eps)
        q = rotate((h @ w["self_attn.q_proj"].T).reshape(tokens, heads, size), angles)
        k = rotate((h @ w["self_attn.k_proj"].T).reshape(tokens, key_heads, size), angles)
        v = (h @ w["self_attn.v_proj"].T).reshape(tokens, key_heads, size)
        k, v = (np.repeat(part, heads // key_heads, axis=1) for part in (k, v))
        scores = np.where(future, -np.inf, q.transpose(1, 0, 2) @ k.transpose(1, 2, 0) / math.sqrt(size))
        p = np.exp(scores - scores.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        mixed = (p @ v.transpose(1, 0, 2)).transpose(1, 0, 2).reshape(tokens, heads * size)
        x = x + mixed @ w["self_attn.o_proj"].T
        h = rms_norm(x, w["post_attention_layernorm"], eps)
        gate = h @ w["mlp.gate_proj"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w["mlp.up_proj"].T)) @ w["mlp.down_proj"].T
    return rms_norm(x, weights["model.norm.weight"], eps) @ weights["lm_head.weight"].T


def log_sum_exp(x: np.ndarray) -> np.ndarray:
    top = x.max(axis=-1)
    return top + np.log(np.exp(x - top[:, None]).sum(axis=-1))


def loss(config: dict, weights: dict[str, np.ndarray], rows: list[list[int]]) -> float:
    """Mean nats a prediction over the rows, each predicting all its tokens but the first."""
    total = 0.0
    for row in rows:
        y = logits(config, weights, row)[:-1]
        total += (log_sum_exp(y) - y[np.arange(len(row) - 1), row[1:]]).sum()
    return total / sum(len(row) - 1 for row in rows)
