"""The table of parity cases: which model, which adapter, which rows, how trained."""

from dataclasses import dataclass, field

import portable

# The linear layers of a block, by family.
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PHI3 = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
GPT2 = ["c_attn", "attn.c_proj", "c_fc", "mlp.c_proj"]
BLOOM = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]

LETTER = """Dear Ines, the tram broke down again this morning, so I walked along the river with my shoes full of rain and \
thought about your garden. You asked what I would plant in the shaded corner behind the shed. Ferns, I think, and a pot \
of mint that you must never let out of the pot, because mint has no manners. My neighbour let his run for one summer and \
now he mows it. He says the lawn smells like toothpaste and that he has stopped minding. On Tuesday the choir sang in the \
old station hall, all forty of us under the broken clock, and a dog sat through the whole second half without moving. \
Afterwards its owner told me that it only likes the slow pieces. I have started to write down what I cook, as you said I \
should, and the notebook already has a ring of coffee on every page: lentils with lemon, bread that did not rise, bread \
that did. The letter from the bank turned out to be about somebody else with almost my name. I sent it back with a note. \
If the weather holds we could take the slow train north in the second week of May, walk from the lighthouse to the ferry, \
and be home before the shops shut on Sunday. Bring the green coat, the wind there has opinions. Tell your brother that I \
found the chess book he lost, it was under the seat of the car together with eleven pens and a sandwich I will not \
describe. I water the tomatoes every evening and they repay me with leaves. Write soon, even if it is only a list of \
what you saw from the window, those are the letters I keep. The kettle is on, the cat has taken the chair, and I am yours, \
as ever, Tom. P.S. The key is where it always was, and the spare one is not."""

NOTES = [
    "See you at the bridge at 18:45, bring the blue folder and something to eat.",
    "She painted the door 3 times before she liked the colour, and then she moved away.",
    "ok ok I give up!! the answer was 'a towel' all along, who would have guessed…",
    "The storm took two tiles and the neighbour's trampoline; nobody has claimed the trampoline that replaced it.",
    "Once upon a time there was a small boat that was afraid of water. It lived on a hill and watched the rain.",
    "Yes.",
    "Please don't move the ladder, a blackbird has decided that it is a tree.",
    "In 1987 the bakery sold 1,204 rolls in one morning, and my aunt still tells it as if it were a battle.",
]


@dataclass
class Case:
    """One golden. `model` is a name in `MODELS`; `rows` are token ids, or texts for the model's own tokenizer."""

    name: str
    about: str
    model: str
    rows: list
    rank: int
    targets: list[str]
    alpha: float | None = None  # 2 * rank where absent
    use_rslora: bool = False
    b_amplitude: float = 0.1
    accumulate: int = 3
    steps: int = 10
    lr: float = 1e-3
    weight_decay: float = 0.0
    # (row, with the adapter?) whose logits are kept
    logits: list = field(default_factory=lambda: [(0, True), (2, True), (3, False)])
    # Where a vocabulary is large: how many of its columns are kept, and projections in place of whole gradients
    columns: int | None = None
    # Cut the first text into ten rows of this many tokens
    window: int | None = None
    whole_gradients: bool = True


# What every `config.json` of a family says, in the names that the published ones use. `tie_word_embeddings` (absent where
# published ones leave it to the family's default) is set by the case's head.
TIE = {"tie_word_embeddings": None}
COMMON = {"bos_token_id": 0, "eos_token_id": 2, "initializer_range": 0.02, "use_cache": True}
GATED = COMMON | {"hidden_act": "silu", "attention_dropout": 0.0, "max_position_embeddings": 512, "rms_norm_eps": 1e-6}
WINDOWED = {"use_sliding_window": False, "sliding_window": 512, "max_window_layers": 3}
GEMMA = COMMON | {
    "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0, "attention_bias": False, "attention_dropout": 0.0,
    "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 512, "rms_norm_eps": 1e-6,
}  # fmt: skip
FAMILIES = {
    "llama": ("LlamaForCausalLM", {
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "bos_token_id": 0, "eos_token_id": 2,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-5} | TIE),
    "qwen2": ("Qwen2ForCausalLM", GATED | WINDOWED | {"rope_theta": 1000000.0} | TIE),
    "qwen3": ("Qwen3ForCausalLM", GATED | WINDOWED | {
        "attention_bias": False, "sliding_window": None, "rope_scaling": None, "rope_theta": 1000000} | TIE),
    "mistral": ("MistralForCausalLM", GATED | {"rms_norm_eps": 1e-5, "rope_theta": 10000.0} | TIE),
    "smollm3": ("SmolLM3ForCausalLM", GATED | WINDOWED | {
        "attention_bias": False, "mlp_bias": False, "pad_token_id": 2, "pretraining_tp": 2, "sliding_window": None,
        "rope_scaling": None, "rope_theta": 5000000.0} | TIE),
    # Gemma's first releases say `gelu` and mean its tanh form.
    "gemma": ("GemmaForCausalLM", GEMMA | {"hidden_act": "gelu", "rope_scaling": None, "rope_theta": 10000.0}),
    "gemma2": ("Gemma2ForCausalLM", GEMMA | {
        "hidden_act": "gelu_pytorch_tanh", "cache_implementation": "hybrid", "rope_theta": 10000.0}),
    "gemma3_text": ("Gemma3ForCausalLM", GEMMA | {
        "attn_logit_softcapping": None, "final_logit_softcapping": None, "cache_implementation": "hybrid",
        "eos_token_id": [1, 2]}),
    "phi3": ("Phi3ForCausalLM", GATED | {
        "attention_bias": False, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "pad_token_id": 2, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0} | TIE),
    "olmo2": ("Olmo2ForCausalLM", GATED | {
        "attention_bias": False, "pad_token_id": 1, "rope_scaling": None, "rope_theta": 500000} | TIE),
    "gpt2": ("GPT2LMHeadModel", {
        "activation_function": "gelu_new", "attn_pdrop": 0.1, "embd_pdrop": 0.1, "resid_pdrop": 0.1, "bos_token_id": 0,
        "eos_token_id": 0, "initializer_range": 0.02, "layer_norm_epsilon": 1e-5, "n_ctx": 320, "n_positions": 320,
        "summary_activation": None, "summary_first_dropout": 0.1, "summary_proj_to_labels": True,
        "summary_type": "cls_index", "summary_use_proj": True,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}}),
    "bloom": ("BloomForCausalLM", COMMON | {
        "apply_residual_connection_post_layernorm": False, "attention_dropout": 0.0, "hidden_dropout": 0.0,
        "attention_softmax_in_fp32": True, "bias_dropout_fusion": True, "layer_norm_epsilon": 1e-5,
        "masked_softmax_fusion": True, "n_inner": None, "offset_alibi": 100, "pad_token_id": 2, "pretraining_tp": 1,
        "skip_bias_add": True, "skip_bias_add_qkv": False, "slow_but_exact": False, "unk_token_id": 0}),
}  # fmt: skip


def generated(about: str, dtype: str = "float32", head: str = "embed", family: str = "llama", bare: bool = False,
              **config) -> dict:  # fmt: skip
    """A randomly initialised model; `config` completes what every one of its family has. `head`, `bare`:
    `models.generated_tensors`."""
    architecture, common = FAMILIES[family]
    common = {"architectures": [architecture], "model_type": family} | common
    if "tie_word_embeddings" in common:
        common["tie_word_embeddings"] = head != "both"
    model = {"source": "generated", "about": about, "dtype": dtype, "head": head, "config": common | config}
    return model | ({"bare": True} if bare else {})


GQA = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
           vocab_size=320)  # fmt: skip
WIDE_HEADS = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=4, num_attention_heads=4,
                  num_key_value_heads=1, head_dim=32, vocab_size=301)  # fmt: skip
DEFAULT_ROPE = dict(rope_theta=10000.0, rope_scaling=None)

MODELS = {
    "gqa": generated(
        "grouped-query, tied; the config of older transformers", torch_dtype="float32", **DEFAULT_ROPE, **GQA
    ),
    "untied-llama3": generated(
        "untied, head_dim unequal to hidden/heads, one key/value head, Llama-3 RoPE; the config of transformers 5",
        head="both", dtype="float32", **WIDE_HEADS,
        rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
    ),
    "linear": generated(
        "bf16; linear RoPE scaling, as `type`; tied, stored as lm_head.weight only; an epsilon that shows",
        head="lm_head", dtype="bfloat16", torch_dtype="bfloat16", hidden_size=96, intermediate_size=128,
        num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=3, vocab_size=288, rms_norm_eps=3e-3,
        rope_theta=10000.0, rope_scaling={"type": "linear", "factor": 4.0},
    ),
    "odd": generated(
        "f16; widths that no group divides, five layers, one key/value head a query head, Llama-3 RoPE as `rope_scaling`",
        dtype="float16", torch_dtype="float16", hidden_size=72, intermediate_size=100, num_hidden_layers=5,
        num_attention_heads=3, num_key_value_heads=3, head_dim=24, vocab_size=263, rms_norm_eps=1e-6,
        rope_theta=500000.0,
        rope_scaling={"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                      "original_max_position_embeddings": 128},
    ),
    "narrow-heads": generated(
        "head_dim 8, four query heads a key/value head, linear RoPE as `rope_parameters`, untied",
        head="both", dtype="float32", hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=8,
        num_key_value_heads=2, head_dim=8, vocab_size=271,
        rope_parameters={"rope_type": "linear", "rope_theta": 20000.0, "factor": 2.0},
    ),
    # Beyond max_position_embeddings, as in `longrope`, a row's frequencies hang on its length (`reference.forward`).
    "dynamic": generated(
        "dynamic RoPE scaling: a row as long as max_position_embeddings, as the engine allows at most, and shorter ones",
        dtype="bfloat16", torch_dtype="bfloat16", max_position_embeddings=300, rope_theta=10000.0,
        rope_scaling={"type": "dynamic", "factor": 2.0}, **GQA,
    ),
    "yarn": generated(
        "YaRN as Qwen and Llama derivatives have it: its own betas left to the default",
        head="both", torch_dtype="float32", hidden_size=64, intermediate_size=96, num_hidden_layers=3,
        num_attention_heads=2, num_key_value_heads=1, vocab_size=283, rope_theta=10000.0,
        rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128},
    ),
    "yarn-mscale": generated(
        "YaRN with everything that it can be told, as `rope_parameters`", dtype="float32", **GQA,
        rope_parameters={"rope_type": "yarn", "rope_theta": 5000.0, "factor": 8.0, "beta_fast": 8.0, "beta_slow": 0.5,
                         "mscale": 1.0, "mscale_all_dim": 0.5, "truncate": False,
                         "original_max_position_embeddings": 64},
    ),
    "qwen2": generated(
        "biases of q, k and v; a window that is switched off", family="qwen2", dtype="bfloat16", torch_dtype="bfloat16",
        hidden_size=56, intermediate_size=88, num_hidden_layers=3, num_attention_heads=7, num_key_value_heads=1,
        vocab_size=307,
    ),
    "qwen2-window": generated(
        "a window in the layers from max_window_layers on, shorter than the rows; untied", family="qwen2", head="both",
        torch_dtype="float32", hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=293, use_sliding_window=True, sliding_window=20, max_window_layers=2,
    ),
    "qwen3": generated(
        "norms of q and k, head_dim unequal to hidden/heads, untied", family="qwen3", head="both", dtype="bfloat16",
        torch_dtype="bfloat16", hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=24, vocab_size=311,
    ),
    "mistral": generated(
        "a window in all layers, shorter than the rows; head_dim given, untied", family="mistral", head="both",
        dtype="bfloat16", torch_dtype="bfloat16", hidden_size=64, intermediate_size=112, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, head_dim=24, vocab_size=288, sliding_window=24,
    ),
    "mistral-full": generated(
        "no window, head_dim not given", family="mistral", head="both", dtype="float16", torch_dtype="float16",
        hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
        vocab_size=265, rope_theta=1000000.0, sliding_window=None,
    ),
    "smollm3": generated(
        "no RoPE in the third and the last of four layers", family="smollm3", dtype="bfloat16", torch_dtype="bfloat16",
        hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=1,
        vocab_size=300, no_rope_layer_interval=4, no_rope_layers=[1, 1, 0, 0], layer_types=["full_attention"] * 4,
    ),
    "gemma": generated(
        "the first Gemma: 1 + w, the scaled embedding, GeGLU, one key/value head, head_dim unequal to hidden/heads",
        family="gemma", dtype="bfloat16", torch_dtype="bfloat16", hidden_size=48, intermediate_size=96,
        num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, head_dim=32, vocab_size=290,
    ),
    "gemma2": generated(
        "soft caps of attention and logits, four norms a layer, alternating windows, query_pre_attn_scalar",
        family="gemma2", dtype="bfloat16", torch_dtype="bfloat16", hidden_size=60, intermediate_size=96,
        num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=16, vocab_size=275,
        attn_logit_softcapping=5.0, final_logit_softcapping=8.0, query_pre_attn_scalar=10, sliding_window=20,
        sliding_window_size=20,
    ),
    "gemma3": generated(
        "norms of q and k, two RoPE bases, linear scaling of the global one, every third layer global; the config of older "
        "transformers", family="gemma3_text", dtype="bfloat16", torch_dtype="bfloat16", hidden_size=56,
        intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=1, head_dim=16,
        vocab_size=290, query_pre_attn_scalar=24, sliding_window=20, sliding_window_pattern=3, rope_theta=1000000,
        rope_local_base_freq=10000, rope_scaling={"factor": 8.0, "rope_type": "linear"},
    ),
    "gemma3-layers": generated(
        "layer_types and RoPE by layer type: the config of transformers 5", family="gemma3_text", dtype="bfloat16",
        hidden_size=48, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
        head_dim=16, vocab_size=262, query_pre_attn_scalar=16, sliding_window=9, use_bidirectional_attention=False,
        layer_types=["full_attention", "sliding_attention", "sliding_attention"],
        rope_parameters={"full_attention": {"rope_theta": 50000.0, "rope_type": "default"},
                         "sliding_attention": {"rope_theta": 500.0, "rope_type": "default"}},
    ),
    "phi3": generated(
        "q, k and v in one matrix, gate and up in another; a window shorter than the longest rows", family="phi3",
        head="both", dtype="bfloat16", torch_dtype="bfloat16", hidden_size=64, intermediate_size=96, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=4, vocab_size=290, original_max_position_embeddings=512,
        rope_scaling=None, sliding_window=40,
    ),
    "phi3-longrope": generated(
        "LongRoPE beyond the original context, and a rotation of three quarters of a head; grouped-query, tied, as "
        "Phi-4-mini", family="phi3", dtype="bfloat16", torch_dtype="bfloat16", hidden_size=64,
        intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, vocab_size=290,
        original_max_position_embeddings=33, max_position_embeddings=528, partial_rotary_factor=0.75,
        full_attn_mod=1, interpolate_factor=1, lm_head_bias=False, mlp_bias=False, sliding_window=528,
        rope_scaling={"type": "longrope", "short_factor": [1.0, 1.25, 1.5, 1.5, 2.0, 2.5],
                      "long_factor": [1.0, 2.5, 5.0, 12.0, 20.0, 31.5]},
    ),
    "phi3-short": generated(
        "LongRoPE within the original context", family="phi3", head="both", torch_dtype="float32", hidden_size=48,
        intermediate_size=64, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1, vocab_size=281,
        original_max_position_embeddings=512, sliding_window=None,
        rope_scaling={"type": "longrope", "attention_factor": 1.19, "long_factor": [1.0] * 8,
                      "short_factor": [1.0, 1.25, 1.5, 1.5, 2.0, 2.5, 3.0, 3.5]},
    ),
    "olmo2": generated(
        "norms behind the blocks and over all of q and of k", family="olmo2", head="both", dtype="float32",
        torch_dtype="float32", hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=299,
    ),
    "gpt2": generated(
        "matrices as [in, out], learned positions, LayerNorm and biases; names without `transformer.`, as published",
        family="gpt2", bare=True, n_embd=48, n_head=3, n_layer=3, vocab_size=277,
    ),
    "gpt2-inner": generated(
        "a feed-forward width of its own; names as transformers saves them", family="gpt2", dtype="float16",
        torch_dtype="float16", n_embd=64, n_head=4, n_layer=2, n_inner=96, vocab_size=261, layer_norm_epsilon=1e-3,
    ),
    "bloom": generated(
        "ALiBi, interleaved q, k and v; names without `transformer.`, as published", family="bloom", bare=True,
        dtype="float16", torch_dtype="float16", hidden_size=64, n_head=4, n_layer=3, vocab_size=290,
    ),
    "bloom-heads": generated(
        "a number of heads that is no power of two, the other names of the widths; names as transformers saves them",
        family="bloom", dtype="bfloat16", torch_dtype="bfloat16", n_embed=48, num_attention_heads=6, n_layer=3,
        vocab_size=270,
    ),
    "mlx-4bit-g32": {"source": "repository", "path": "tests/goldens/mlx/4bit-g32"},
    "mlx-8bit-g64": {"source": "repository", "path": "tests/goldens/mlx/8bit-g64"},
    "mlx-4bit-g128": {"source": "repository", "path": "tests/goldens/mlx/4bit-g128"},
    "mlx-mixed": {"source": "repository", "path": "tests/goldens/mlx/mixed"},
    "mlx-narrow": {"source": "repository", "path": "tests/goldens/mlx/narrow"},
    **{f"mlx-{name}": {"source": "repository", "path": f"tests/goldens/mlx/{name}"}
       for name in ("qwen2", "qwen3", "gemma3", "phi3", "olmo2")},
    "stories260K": {"source": "shared", "path": "models/stories260K"},
    "stories260K-4bit": {"source": "shared", "path": "models/stories260K", "import": {"bits": 4, "group_size": 32}},
    "stories260K-8bit": {"source": "shared", "path": "models/stories260K", "import": {"bits": 8, "group_size": 64}},
    "base": {"source": "shared", "path": "models/idiolect-base-7m"},
    "base-4bit": {"source": "repository", "path": "bindings/cli/assets/base"},
    "base-8bit": {"source": "shared", "path": "models/idiolect-base-7m", "import": {"bits": 8, "group_size": 32}},
    "published": {"source": "published"},
}  # fmt: skip

TINY = dict(hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=264)  # fmt: skip

# The MLX folders that are kept in the repository, as mlx-lm writes them: (source, bits, group size, overrides).
MLX_FOLDERS = {
    "4bit-g32": (MODELS["gqa"], 4, 32, {}),
    "8bit-g64": (
        # 160 is no multiple of 64: down_proj stays bf16.
        generated("bf16, untied", head="both", dtype="bfloat16", torch_dtype="bfloat16", **DEFAULT_ROPE, **WIDE_HEADS),
        8, 64, {},
    ),
    "4bit-g128": (
        generated("f16, linear RoPE", dtype="float16", torch_dtype="float16", hidden_size=128, intermediate_size=128,
                  num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, vocab_size=288, rope_theta=10000.0,
                  rope_scaling={"rope_type": "linear", "factor": 2.0}),
        4, 128, {},
    ),
    "mixed": (
        generated("f16, tied", dtype="float16", torch_dtype="float16", **DEFAULT_ROPE, **(GQA | {"intermediate_size": 128})),
        4, 64,
        {"embed_tokens": {"bits": 8, "group_size": 32}, "down_proj": {"bits": 8, "group_size": 128},
         "k_proj": {"bits": 4, "group_size": 32}, "layers.1.self_attn.v_proj": False},
    ),
    "narrow": (
        generated("f16, tied", dtype="float16", torch_dtype="float16", **DEFAULT_ROPE, **(GQA | {"intermediate_size": 128})),
        3, 64,
        {"embed_tokens": {"bits": 6, "group_size": 64}, "v_proj": {"bits": 6, "group_size": 64},
         "down_proj": {"bits": 5, "group_size": 128}, "k_proj": {"bits": 2, "group_size": 32}},
    ),
    "qwen2": (generated("tied", family="qwen2", dtype="bfloat16", torch_dtype="bfloat16", **TINY), 4, 32, {}),
    "qwen3": (
        generated("untied", family="qwen3", head="both", dtype="float16", torch_dtype="float16", head_dim=24,
                  **(TINY | {"num_attention_heads": 8})),
        4, 32, {},
    ),
    "gemma3": (
        generated("tied", family="gemma3_text", dtype="bfloat16", torch_dtype="bfloat16", head_dim=32,
                  query_pre_attn_scalar=24, sliding_window=20, sliding_window_pattern=2, rope_theta=1000000,
                  rope_local_base_freq=10000, rope_scaling=None, **TINY),
        4, 32, {},
    ),
    "phi3": (
        generated("untied, grouped-query", family="phi3", head="both", dtype="bfloat16", torch_dtype="bfloat16",
                  original_max_position_embeddings=512, rope_scaling=None, sliding_window=None, **TINY),
        4, 32, {},
    ),
    "olmo2": (generated("untied", family="olmo2", head="both", dtype="float16", torch_dtype="float16", **TINY), 4, 32, {}),
}  # fmt: skip


def ragged(name: str, vocab_size: int) -> list[list[int]]:
    """Six rows of random ids, 2 to 300 long: two steps of three rows each."""
    return [portable.ids(f"{name}/row {i}", length, vocab_size) for i, length in enumerate((300, 2, 33, 17, 64, 5))]


def tiny(model: str, about: str, vocab_size: int, **settings) -> Case:
    return Case(model, about, model, ragged(model, vocab_size), **settings)


def on_text(name: str, model: str, about: str, **settings) -> Case:
    return Case(name, about, model, [LETTER, *NOTES], **settings)


CASES = [
    tiny("gqa", "all seven linears", 320, rank=4, targets=ALL),
    tiny("untied-llama3", "rsLoRA of odd rank on q and v", 301, rank=3, targets=["q_proj", "v_proj"], use_rslora=True),
    tiny("linear", "the feed-forward layers only", 288, rank=8, targets=["gate_proj", "up_proj", "down_proj"]),
    tiny("odd", "single modules by their full paths, not in every layer; a weight decay that shows in ten steps", 263, rank=5, alpha=7.5,
         targets=["model.layers.0.self_attn.o_proj", "model.layers.0.mlp.gate_proj", "model.layers.1.self_attn.q_proj",
                  "model.layers.2.self_attn.k_proj", "model.layers.4.mlp.down_proj"],
         weight_decay=5.0),
    # Only the gradient through earlier positions' keys and values reaches these.
    tiny("narrow-heads", "k and v only; four rows a step, so that steps wrap within the rows", 271, rank=2,
         targets=["k_proj", "v_proj"], accumulate=4),
    tiny("dynamic", "all seven linears", 320, rank=3, targets=ALL, logits=[(0, True), (4, True), (3, False)]),
    tiny("yarn", "all seven linears", 283, rank=3, targets=ALL),
    tiny("yarn-mscale", "q and k only", 320, rank=4, targets=["q_proj", "k_proj"]),
    tiny("qwen2", "all seven linears", 307, rank=4, targets=ALL),
    tiny("qwen2-window", "all seven linears", 293, rank=3, targets=ALL),
    tiny("qwen3", "all seven linears", 311, rank=4, targets=ALL),
    tiny("mistral", "all seven linears", 288, rank=4, targets=ALL),
    tiny("mistral-full", "all seven linears", 265, rank=4, targets=ALL),
    tiny("smollm3", "all seven linears", 300, rank=3, targets=ALL),
    tiny("gemma", "all seven linears", 290, rank=4, targets=ALL),
    tiny("gemma2", "all seven linears", 275, rank=3, targets=ALL),
    tiny("gemma3", "all seven linears", 290, rank=3, targets=ALL),
    tiny("gemma3-layers", "all seven linears", 262, rank=4, targets=ALL),
    tiny("phi3", "all four linears", 290, rank=4, targets=PHI3),
    # The engine goes by the context that a model is opened for: every row is longer than the original one.
    Case("phi3-longrope", "all four linears", "phi3-longrope",
         [portable.ids(f"phi3-longrope/row {i}", length, 290) for i, length in enumerate((300, 34, 40, 64, 100, 47))],
         rank=4, targets=PHI3),
    tiny("phi3-short", "two linears", 281, rank=3, targets=["qkv_proj", "down_proj"]),
    tiny("olmo2", "all seven linears", 299, rank=4, targets=ALL),
    tiny("gpt2", "all four linears", 277, rank=4, targets=GPT2),
    tiny("gpt2-inner", "c_attn only, as PEFT does when it is not told; rsLoRA", 261, rank=6, targets=["c_attn"],
         use_rslora=True),
    tiny("bloom", "query_key_value only, as PEFT does when it is not told", 290, rank=8, alpha=32,
         targets=["query_key_value"]),
    tiny("bloom-heads", "all four linears", 270, rank=3, targets=BLOOM),
    tiny("mlx-4bit-g32", "4 bits, groups of 32, f32 scales", 320, rank=4, targets=ALL),
    tiny("mlx-8bit-g64", "8 bits, groups of 64, bf16 scales, a quantized untied head", 301, rank=4, targets=ALL),
    tiny("mlx-4bit-g128", "4 bits, groups of 128, f16 scales", 288, rank=4, targets=ALL),
    tiny("mlx-mixed", "bits and groups that differ from matrix to matrix, one left in f16", 320, rank=4, targets=ALL),
    tiny("mlx-narrow", "2, 3, 5 and 6 bits, as mlx-lm's mixed recipes have them", 320, rank=4, targets=ALL),
    *(tiny(f"mlx-{name}", f"4 bits, groups of 32; all linears of {name}", 264, rank=2,
           targets=PHI3 if name == "phi3" else ALL) for name in ("qwen2", "qwen3", "gemma3", "phi3", "olmo2")),
    on_text("stories260K", "stories260K", "f32", rank=4, targets=ALL),
    on_text("stories260K-4bit", "stories260K-4bit", "4 bits, groups of 32; down_proj's width stays f32", rank=4, targets=ALL),
    on_text("stories260K-8bit", "stories260K-8bit", "8 bits, groups of 64", rank=4, targets=["q_proj", "o_proj", "up_proj"]),
    on_text("base", "base", "bf16 weights, widened", rank=8, targets=ALL, columns=400, whole_gradients=False),
    on_text("base-4bit", "base-4bit", "the folder that the program embeds", rank=8, targets=ALL, columns=400,
            whole_gradients=False),
    on_text("base-8bit", "base-8bit", "8 bits, groups of 32, bf16 scales", rank=8, targets=ALL, columns=400,
            whole_gradients=False),
    Case("published", "ten steps of 64 tokens; the GPU checks the first three", "published", [LETTER], rank=8,
         targets=ALL, b_amplitude=0.02, window=64, accumulate=1, logits=[(0, True), (1, False)], columns=400,
         whole_gradients=False),
    on_text("published-long", "published", "a row of 300 tokens and short ones", rank=8, targets=ALL, b_amplitude=0.02,
            columns=400, whole_gradients=False),
]  # fmt: skip
