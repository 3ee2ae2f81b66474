#!/usr/bin/env python3
"""The peer of `idiolect bench`'s training figure: PEFT + PyTorch f32 on the dequantized published model, rank 8 on all seven
linear layers, AdamW, 256 tokens a step.

    train_peft.py MODEL.gguf [--dtype float32|bfloat16] [--tokens 256] [--steps 8]

Prints one JSON object: tokens per second (the median step of those after the first two), and the peak of resident memory
while training.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WARM_UP_STEPS = 2


def peak_bytes() -> int:
    """The highest resident size of the process since `forget_peak` (VmHWM)."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def forget_peak() -> None:
    """Dequantizing the file holds more, for a moment, than training does: that is not counted."""
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()

    model = AutoModelForCausalLM.from_pretrained(
        options.model.parent, gguf_file=options.model.name, dtype=getattr(torch, options.dtype)
    )
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=TARGETS, task_type="CAUSAL_LM"))
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-3, weight_decay=0.0)
    ids = torch.randint(0, model.config.vocab_size, (1, options.tokens), generator=torch.Generator().manual_seed(0))
    forget_peak()
    seconds = []
    for _ in range(options.steps + WARM_UP_STEPS):
        start = time.perf_counter()
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    figures = {
        "peer": "peft",
        "torch": torch.__version__,
        "dtype": options.dtype,
        "threads": torch.get_num_threads(),
        "tokens_per_step": options.tokens,
        "train_tokens_per_second": round(options.tokens / statistics.median(seconds[WARM_UP_STEPS:]), 1),
        "peak_bytes": peak_bytes(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
