"""The models that the goldens are about: generated ones, MLX folders, GGUF, all as transformers sees them in f32."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

import portable

REPOSITORY = Path(__file__).resolve().parent.parent.parent
GOLDENS = REPOSITORY / "tests" / "goldens"
SHARED = REPOSITORY.parent / "shared" / "data"
TOKENIZER = GOLDENS / "tokenizer"

# The amplitude of an embedding matrix, where a family multiplies it, or adds a second one to it, or normalises it. At 1,
# the logits of a tied head have a standard deviation of about 0.6 times the root of the width.
EMBEDDING = {"gemma": 0.4, "gemma2": 0.4, "gemma3_text": 0.4, "gpt2": 0.5, "bloom": 0.5}
HEAD = "lm_head.weight"


def parsed(config: dict) -> PreTrainedConfig:
    """transformers' reading of a `config.json`."""
    return AutoConfig.for_model(**config)


def skeleton(config: PreTrainedConfig) -> PreTrainedModel:
    """The model of a configuration without any values: names and shapes."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def embedding_name(model: PreTrainedModel) -> str:
    return next(f"{name}.weight" for name, module in model.named_modules() if module is model.get_input_embeddings())


def linear_shape(module: nn.Module) -> tuple[int, int] | None:
    """`(out, in)` of a linear layer; none for any other module."""
    if isinstance(module, nn.Linear):
        return module.out_features, module.in_features
    return (module.nf, module.nx) if isinstance(module, Conv1D) else None


def linears(model: PreTrainedModel) -> dict[str, nn.Module]:
    """Every linear layer by its path, but the head."""
    return {
        name: module for name, module in model.named_modules()
        if linear_shape(module) and module is not model.get_output_embeddings()
    }  # fmt: skip


def spread(model: PreTrainedModel, name: str) -> tuple[float, float]:
    """Centre and amplitude of one parameter's values: such that activations stay of order one, attention is neither flat
    nor a single key, and logits are of order 1 to 10."""
    module = model.get_submodule(name.rpartition(".")[0])
    family = model.config.model_type
    if name == HEAD:
        return 0.0, 4 / math.sqrt(module.in_features)
    if isinstance(module, nn.Embedding):
        return 0.0, EMBEDDING.get(family, 1.0)
    if name.endswith(".bias"):
        return 0.0, 0.25
    if shape := linear_shape(module):
        return 0.0, 2 / math.sqrt(shape[1])
    # A norm. Gemma's gain is 1 + weight.
    return 0.0 if family.startswith("gemma") else 1.0, 0.5


def generated_tensors(config: dict, head: str, bare: bool = False) -> list[list]:
    """`[name, shape, centre, amplitude]` of every tensor of a generated model, in transformers' order. `head` says under
    which names a model stores its embedding and output matrices: `embed` (tied, the usual name), `lm_head` (tied, stored
    under the head's name only), `both` (untied). `bare`: without the prefix of transformers' inner model."""
    model = skeleton(parsed(config))
    tensors = {name: [list(tensor.shape), *spread(model, name)] for name, tensor in model.state_dict().items()}
    if head == "embed":
        del tensors[HEAD]
    if head == "lm_head":
        # The one matrix, with an embedding's values.
        tensors[HEAD] = tensors.pop(embedding_name(model))
    prefix = f"{model.base_model_prefix}." if bare else ""
    return [[name.removeprefix(prefix), *tensor] for name, tensor in tensors.items()]


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


def as_f32(weights: dict, config: dict) -> PreTrainedModel:
    """A transformers model in f32 from a table of tensors, tied where the table has only one of the two matrices."""
    config = {key: value for key, value in config.items() if not key.startswith("quantization")}
    empty = skeleton(parsed(config))
    names, embedding = empty.state_dict().keys(), embedding_name(empty)
    table = {name if name in names else f"{empty.base_model_prefix}.{name}": torch.as_tensor(value).float()
             for name, value in weights.items()}  # fmt: skip
    tied = embedding not in table or HEAD not in table
    model = AutoModelForCausalLM.from_config(
        parsed({**config, "tie_word_embeddings": tied}), dtype=torch.float32, attn_implementation="eager"
    )
    if embedding not in table:
        table[embedding] = table[HEAD]
    table.setdefault(HEAD, table[embedding])
    model.load_state_dict(table, strict=True)
    return model.eval()


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    with safe_open(folder / "model.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def load_folder(folder: Path) -> PreTrainedModel:
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
        elif kind == "bias":  # the layer's own; `biases` are the groups'
            plain[name] = tensor.float()
        elif kind == "weight":
            entry = quantization.get(module) or quantization
            bits, group = entry["bits"], entry["group_size"]
            rows = tensor.shape[0]
            stream = np.unpackbits(tensor.numpy().view(np.uint8), axis=-1, bitorder="little")
            q = (stream.reshape(rows, -1, bits) @ (1 << np.arange(bits))).reshape(rows, -1, group)
            scales, biases = (tensors[f"{module}.{part}"].float().numpy()[..., None] for part in ("scales", "biases"))
            plain[name] = torch.from_numpy((scales * q.astype(np.float32) + biases).reshape(rows, -1))
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


def load_gguf(path: Path) -> PreTrainedModel:
    """A GGUF file as transformers dequantizes it."""
    return AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
