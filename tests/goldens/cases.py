"""The table of parity cases: which model, which adapter, which rows, how trained."""

from dataclasses import dataclass, field

import portable

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

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


def generated(about: str, dtype: str = "float32", head: str = "embed", **config) -> dict:
    """A randomly initialised model; `config` completes what every one of them has."""
    common = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": head != "both",
    }
    return {"source": "generated", "about": about, "dtype": dtype, "head": head, "config": common | config}


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
    "mlx-4bit-g32": {"source": "repository", "path": "tests/goldens/mlx/4bit-g32"},
    "mlx-8bit-g64": {"source": "repository", "path": "tests/goldens/mlx/8bit-g64"},
    "mlx-4bit-g128": {"source": "repository", "path": "tests/goldens/mlx/4bit-g128"},
    "mlx-mixed": {"source": "repository", "path": "tests/goldens/mlx/mixed"},
    "stories260K": {"source": "shared", "path": "models/stories260K"},
    "stories260K-4bit": {"source": "shared", "path": "models/stories260K", "import": {"bits": 4, "group_size": 32}},
    "stories260K-8bit": {"source": "shared", "path": "models/stories260K", "import": {"bits": 8, "group_size": 64}},
    "base": {"source": "shared", "path": "models/idiolect-base-7m"},
    "base-4bit": {"source": "repository", "path": "bindings/cli/assets/base"},
    "base-8bit": {"source": "shared", "path": "models/idiolect-base-7m", "import": {"bits": 8, "group_size": 32}},
    "published": {"source": "published"},
}  # fmt: skip

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
    tiny("mlx-4bit-g32", "4 bits, groups of 32, f32 scales", 320, rank=4, targets=ALL),
    tiny("mlx-8bit-g64", "8 bits, groups of 64, bf16 scales, a quantized untied head", 301, rank=4, targets=ALL),
    tiny("mlx-4bit-g128", "4 bits, groups of 128, f16 scales", 288, rank=4, targets=ALL),
    tiny("mlx-mixed", "bits and groups that differ from matrix to matrix, one left in f16", 320, rank=4, targets=ALL),
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
