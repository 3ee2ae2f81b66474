"""The adapters that the goldens start from: PEFT folders with generated tensors, B non-zero."""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PreTrainedConfig
from transformers.pytorch_utils import Conv1D

import models


def describe(seed: str, config: PreTrainedConfig, rank: int, alpha: float, targets: list[str], use_rslora: bool = False,
             b_amplitude: float = 0.1) -> dict:  # fmt: skip
    """What `adapter` holds in a golden: PEFT's own config, and `[name, shape, centre, amplitude]` of every tensor.

    `targets` are module paths, or ends of them, as PEFT reads a list."""
    tensors = []
    adapted = {name: module for name, module in models.linears(models.skeleton(config)).items()
               if any(name == target or name.endswith(f".{target}") for target in targets)}  # fmt: skip
    for name, module in adapted.items():
        rows, columns = models.linear_shape(module)
        prefix = f"base_model.model.{name}"
        tensors.append([f"{prefix}.lora_A.weight", [rank, columns], 0.0, 1 / math.sqrt(columns)])
        tensors.append([f"{prefix}.lora_B.weight", [rows, rank], 0.0, b_amplitude])
    peft = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": use_rslora,
        # True for GPT-2's layers, which store [in, out]. A and B are as everywhere.
        "fan_in_fan_out": any(isinstance(module, Conv1D) for module in adapted.values()),
        "target_modules": targets,
    }
    digest = models.digest(models.generated_values(seed, tensors))
    return {"seed": seed, "config": peft, "sha256": digest, "tensors": tensors}


def write(adapter: dict, folder: Path) -> None:
    """The PEFT folder of a described adapter, as `tests/src/golden.rs` writes it too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(adapter["config"], indent=2, sort_keys=True))
    values = models.generated_values(adapter["seed"], adapter["tensors"])
    tensors = {name: torch.from_numpy(value) for name, value in values.items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
