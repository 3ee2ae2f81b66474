"""Forward passes in f64 with numpy alone, written from the formulas: the goldens' own check.

It shares nothing with transformers, so a wrong setting there (a RoPE scaling not read, a head size guessed) shows as a
difference here; and in f64 its finite differences are good to many digits. Configurations are read as `config.json` has
them, weights by the names that transformers gives them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Weights = dict[str, np.ndarray]


# Parts.


def linear(weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    """`x Wᵀ`, and the bias where there is one."""
    return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)


def rms_norm(x: np.ndarray, gain: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * gain


def layer_norm(weights: Weights, name: str, x: np.ndarray, eps: float) -> np.ndarray:
    x = x - x.mean(axis=-1, keepdims=True)
    return rms_norm(x, weights[f"{name}.weight"], eps) + weights[f"{name}.bias"]


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def soft_cap(x: np.ndarray, cap: float | None) -> np.ndarray:
    return cap * np.tanh(x / cap) if cap else x


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, scale: float, window: int | None = None,
              cap: float | None = None, slopes: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    """`[tokens, heads · head_dim]` of q `[tokens, heads, head_dim]` and k, v of as many heads or a fraction. A token sees
    itself and the `window - 1` before it. With ALiBi, a score falls by a head's slope with every token of distance."""
    tokens, heads, size = q.shape
    k, v = (np.repeat(part, heads // part.shape[1], axis=1) for part in (k, v))
    distance = np.arange(tokens)[:, None] - np.arange(tokens)
    scores = soft_cap(q.transpose(1, 0, 2) @ k.transpose(1, 2, 0) * scale, cap)
    if slopes is not None:
        scores = scores - slopes[:, None, None] * distance
    scores = np.where((distance < 0) | (distance >= (window or tokens)), -np.inf, scores)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return (p @ v.transpose(1, 0, 2)).transpose(1, 0, 2).reshape(tokens, heads * size)


# RoPE.


def rotate(x: np.ndarray, frequencies: np.ndarray, factor: float) -> np.ndarray:
    """RoPE on `[tokens, heads, head_dim]`: component i turns with component i + n, where n is the number of frequencies;
    components from 2n on stay. What turns is also multiplied by `factor`."""
    angles, n = np.arange(len(x))[:, None] * frequencies, len(frequencies)
    cos, sin = factor * np.cos(angles)[:, None], factor * np.sin(angles)[:, None]
    a, b, rest = x[..., :n], x[..., n : 2 * n], x[..., 2 * n :]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, rest], axis=-1)


def yarn(frequency: np.ndarray, theta: float, scaling: dict, context: int) -> tuple[np.ndarray, float]:
    """arXiv 2309.00071: slow components are interpolated, fast ones kept, with a ramp over the components' indices."""
    size = 2 * len(frequency)

    def index(turns: float) -> float:
        """Of the component that makes so many turns in the original context."""
        return size * math.log(context / (turns * 2 * math.pi)) / (2 * math.log(theta))

    first, last = index(scaling.get("beta_fast") or 32), index(scaling.get("beta_slow") or 1)
    if scaling.get("truncate", True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, size - 1)
    interpolated = np.clip((np.arange(size // 2) - first) / (last - first), 0.0, 1.0)
    factor = scaling["factor"]

    def temperature(strength: float) -> float:
        return 0.1 * strength * math.log(factor) + 1

    attention_factor = scaling.get("attention_factor")
    if attention_factor is None:
        ours, dims = scaling.get("mscale"), scaling.get("mscale_all_dim")
        attention_factor = temperature(ours) / temperature(dims) if ours and dims else temperature(1)
    return frequency * (1 - interpolated + interpolated / factor), attention_factor


def rope(config: dict, tokens: int, theta: float, scaling: dict) -> tuple[np.ndarray, float]:
    """RoPE's angular frequencies and the factor of what they turn, for a row of so many tokens."""
    size = int(head_dim(config) * config.get("partial_rotary_factor", scaling.get("partial_rotary_factor", 1.0)))
    exponents = np.arange(0, size, 2) / size
    frequency = theta**-exponents
    longest = config.get("max_position_embeddings")
    context = config.get("original_max_position_embeddings") or scaling.get("original_max_position_embeddings") or longest
    match scaling.get("rope_type", scaling.get("type", "default")):
        case "default":
            return frequency, 1.0
        case "linear":
            return frequency / scaling["factor"], 1.0
        case "dynamic":
            stretched = max(1.0, scaling["factor"] * tokens / longest - (scaling["factor"] - 1))
            return (theta * stretched ** (size / (size - 2))) ** -exponents, 1.0
        case "llama3":
            low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
            # How many turns the frequency makes within the context that the model was first trained on.
            turns = frequency * context / (2 * math.pi)
            keep = np.clip((turns - low) / (high - low), 0.0, 1.0)
            return frequency * (keep + (1 - keep) / scaling["factor"]), 1.0
        case "yarn":
            return yarn(frequency, theta, scaling, context)
        case "longrope":
            factor = scaling.get("factor") or longest / context
            attention_factor = scaling.get("attention_factor")
            if attention_factor is None:
                attention_factor = math.sqrt(1 + math.log(max(factor, 1.0)) / math.log(context))
            divisors = scaling["long_factor" if tokens > context else "short_factor"]
            return frequency / np.array(divisors), attention_factor
        case unknown:
            raise ValueError(unknown)


def one_rope(config: dict, _layer: int, tokens: int) -> tuple[np.ndarray, float]:
    """One RoPE for all layers, scaled as `rope_parameters` or `rope_scaling` says."""
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return rope(config, tokens, scaling.get("rope_theta", config.get("rope_theta", 10000.0)), scaling)


def smollm3_rope(config: dict, layer: int, tokens: int) -> tuple[np.ndarray, float] | None:
    return one_rope(config, layer, tokens) if config["no_rope_layers"][layer] else None


def gemma3_rope(config: dict, layer: int, tokens: int) -> tuple[np.ndarray, float]:
    """A base of its own, never scaled, for layers with a window."""
    windowed = gemma3_window(config, layer) is not None
    if nested := config.get("rope_parameters"):
        scaling = nested["sliding_attention" if windowed else "full_attention"]
        return rope(config, tokens, scaling["rope_theta"], scaling)
    if windowed:
        return rope(config, tokens, config["rope_local_base_freq"], {})
    return rope(config, tokens, config["rope_theta"], config.get("rope_scaling") or {})


# Windows.


def qwen_window(config: dict, layer: int) -> int | None:
    return config["sliding_window"] if config["use_sliding_window"] and layer >= config["max_window_layers"] else None


def gemma2_window(config: dict, layer: int) -> int | None:
    return config["sliding_window"] if layer % 2 == 0 else None


def gemma3_window(config: dict, layer: int) -> int | None:
    if "layer_types" in config:
        return config["sliding_window"] if config["layer_types"][layer] == "sliding_attention" else None
    return config["sliding_window"] if (layer + 1) % config["sliding_window_pattern"] else None


# The families with gated feed-forward layers.


@dataclass
class Gated:
    """How a family departs from Llama."""

    activation: Callable = silu
    rope: Callable = one_rope
    window: Callable = lambda _config, _layer: None
    # Where the norms are: before attention and feed-forward, behind them, or both.
    norms: tuple[str | None, str | None, str | None, str | None] = (
        "input_layernorm", None, "post_attention_layernorm", None)  # fmt: skip
    # Of q and k: over each head, or over all of them at once.
    head_norms: str | None = None
    fused: bool = False
    # What is added to a norm's weights to have its gain.
    unit: float = 0.0
    scaled_embedding: bool = False

    def split(self, config: dict, weights: Weights, prefix: str, h: np.ndarray) -> list[np.ndarray]:
        """q, k and v."""
        if not self.fused:
            return [linear(weights, f"{prefix}.{part}_proj", h) for part in "qkv"]
        size, heads = head_dim(config), config["num_attention_heads"]
        ends = np.cumsum([heads * size, config["num_key_value_heads"] * size])
        return np.split(linear(weights, f"{prefix}.qkv_proj", h), ends, axis=-1)

    def attention(self, config: dict, weights: Weights, layer: int, h: np.ndarray) -> np.ndarray:
        prefix, size, tokens = f"model.layers.{layer}.self_attn", head_dim(config), len(h)
        q, k, v = self.split(config, weights, prefix, h)
        if self.head_norms == "width":
            q, k = (self.norm(config, weights, f"{prefix}.{n}_norm", x) for n, x in (("q", q), ("k", k)))
        q, k, v = (x.reshape(tokens, -1, size) for x in (q, k, v))
        if self.head_norms == "head":
            q, k = (self.norm(config, weights, f"{prefix}.{n}_norm", x) for n, x in (("q", q), ("k", k)))
        if turning := self.rope(config, layer, tokens):
            q, k = rotate(q, *turning), rotate(k, *turning)
        scale = 1 / math.sqrt(config.get("query_pre_attn_scalar") or size)
        mixed = attention(q, k, v, scale, self.window(config, layer), config.get("attn_logit_softcapping"))
        return linear(weights, f"{prefix}.o_proj", mixed)

    def feed_forward(self, weights: Weights, layer: int, h: np.ndarray) -> np.ndarray:
        prefix = f"model.layers.{layer}.mlp"
        if self.fused:
            gate, up = np.split(linear(weights, f"{prefix}.gate_up_proj", h), 2, axis=-1)
        else:
            gate, up = (linear(weights, f"{prefix}.{part}_proj", h) for part in ("gate", "up"))
        return linear(weights, f"{prefix}.down_proj", self.activation(gate) * up)

    def norm(self, config: dict, weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
        return rms_norm(x, self.unit + weights[f"{name}.weight"], config["rms_norm_eps"])

    def __call__(self, config: dict, weights: Weights, row: list[int]) -> np.ndarray:
        x = weights["model.embed_tokens.weight"][row]
        if self.scaled_embedding:
            x = x * math.sqrt(config["hidden_size"])
        for layer in range(config["num_hidden_layers"]):

            def norm(name: str | None, x: np.ndarray) -> np.ndarray:
                return x if name is None else self.norm(config, weights, f"model.layers.{layer}.{name}", x)

            before, behind, before_feed_forward, behind_feed_forward = self.norms
            x = x + norm(behind, self.attention(config, weights, layer, norm(before, x)))
            x = x + norm(behind_feed_forward, self.feed_forward(weights, layer, norm(before_feed_forward, x)))
        y = linear(weights, "lm_head", self.norm(config, weights, "model.norm", x))
        return soft_cap(y, config.get("final_logit_softcapping"))


SANDWICH = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
BEHIND = (None, "post_attention_layernorm", None, "post_feedforward_layernorm")
GEMMA = dict(activation=gelu_tanh, unit=1.0, scaled_embedding=True)


# GPT-2 and BLOOM.


def gpt2_logits(config: dict, weights: Weights, row: list[int]) -> np.ndarray:
    eps, heads, tokens = config["layer_norm_epsilon"], config["n_head"], len(row)

    def matrix(name: str, x: np.ndarray) -> np.ndarray:
        """Stored as `[in, out]`."""
        return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    x = weights["transformer.wte.weight"][row] + weights["transformer.wpe.weight"][:tokens]
    for layer in range(config["n_layer"]):
        prefix = f"transformer.h.{layer}"
        qkv = matrix(f"{prefix}.attn.c_attn", layer_norm(weights, f"{prefix}.ln_1", x, eps))
        q, k, v = (part.reshape(tokens, heads, -1) for part in np.split(qkv, 3, axis=-1))
        x = x + matrix(f"{prefix}.attn.c_proj", attention(q, k, v, 1 / math.sqrt(q.shape[-1])))
        h = layer_norm(weights, f"{prefix}.ln_2", x, eps)
        x = x + matrix(f"{prefix}.mlp.c_proj", gelu_tanh(matrix(f"{prefix}.mlp.c_fc", h)))
    return linear(weights, "lm_head", layer_norm(weights, "transformer.ln_f", x, eps))


def alibi_slopes(heads: int) -> np.ndarray:
    """arXiv 2108.12409, and its authors' code: of a power of two, the powers of 2^(-8/heads); else those of the next lower
    power of two, and behind them every second one of the next higher."""
    lower = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8 * (i + 1) / lower) for i in range(lower)]
    between = [2.0 ** (-8 * (i + 1) / (2 * lower)) for i in range(0, 2 * lower, 2)]
    return np.array((slopes + between)[:heads])


def bloom_logits(config: dict, weights: Weights, row: list[int]) -> np.ndarray:
    eps, heads, tokens = config["layer_norm_epsilon"], config.get("n_head") or config["num_attention_heads"], len(row)
    x = weights["transformer.word_embeddings.weight"][row]
    x = layer_norm(weights, "transformer.word_embeddings_layernorm", x, eps)
    for layer in range(config["n_layer"]):
        prefix = f"transformer.h.{layer}"
        h = layer_norm(weights, f"{prefix}.input_layernorm", x, eps)
        # Head by head, its q, k and v.
        qkv = linear(weights, f"{prefix}.self_attention.query_key_value", h).reshape(tokens, heads, 3, -1)
        q, k, v = (qkv[:, :, i] for i in range(3))
        mixed = attention(q, k, v, 1 / math.sqrt(q.shape[-1]), slopes=alibi_slopes(heads))
        x = x + linear(weights, f"{prefix}.self_attention.dense", mixed)
        h = layer_norm(weights, f"{prefix}.post_attention_layernorm", x, eps)
        h = gelu_tanh(linear(weights, f"{prefix}.mlp.dense_h_to_4h", h))
        x = x + linear(weights, f"{prefix}.mlp.dense_4h_to_h", h)
    return linear(weights, "lm_head", layer_norm(weights, "transformer.ln_f", x, eps))


FAMILIES = {
    "llama": Gated(),
    "qwen2": Gated(window=qwen_window),
    "qwen3": Gated(window=qwen_window, head_norms="head"),
    "mistral": Gated(window=lambda config, _layer: config["sliding_window"]),
    "smollm3": Gated(rope=smollm3_rope),
    "gemma": Gated(**GEMMA),
    "gemma2": Gated(**GEMMA, norms=SANDWICH, window=gemma2_window),
    "gemma3_text": Gated(**GEMMA, norms=SANDWICH, head_norms="head", rope=gemma3_rope, window=gemma3_window),
    "phi3": Gated(fused=True, window=lambda config, _layer: config["sliding_window"]),
    "olmo2": Gated(norms=BEHIND, head_norms="width"),
    "gpt2": gpt2_logits,
    "bloom": bloom_logits,
}


def head_dim(config: dict) -> int:
    heads = config.get("num_attention_heads") or config["n_head"]
    return config.get("head_dim") or (config.get("hidden_size") or config.get("n_embd") or config["n_embed"]) // heads


def windows(config: dict) -> list[int | None]:
    """Of every layer of a family of gated ones."""
    family = FAMILIES[config["model_type"]]
    return [family.window(config, i) for i in range(config["num_hidden_layers"])] if isinstance(family, Gated) else []


def logits(config: dict, weights: Weights, row: list[int]) -> np.ndarray:
    """`[tokens, vocabulary]` of one row."""
    return FAMILIES[config["model_type"]](config, weights, row)


def log_sum_exp(x: np.ndarray) -> np.ndarray:
    top = x.max(axis=-1)
    return top + np.log(np.exp(x - top[:, None]).sum(axis=-1))


def loss(config: dict, weights: Weights, rows: list[list[int]]) -> float:
    """Mean nats a prediction over the rows, each predicting all its tokens but the first."""
    total = 0.0
    for row in rows:
        y = logits(config, weights, row)[:-1]
        total += (log_sum_exp(y) - y[np.arange(len(row) - 1), row[1:]]).sum()
    return total / sum(len(row) - 1 for row in rows)
