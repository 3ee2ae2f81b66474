"""What transformers + PEFT compute: logits, losses and AdamW steps in f32, LoRA gradients in f64."""

import copy
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import PeftModel

# Two threads: the goldens were made so, and a sum's order may depend on it.
torch.set_num_threads(2)
torch.set_float32_matmul_precision("highest")


def with_adapter(model: torch.nn.Module, folder: Path) -> PeftModel:
    """The model with the adapter of a PEFT folder, ready to train; PEFT must find every tensor it wants."""
    return PeftModel.from_pretrained(model, folder, is_trainable=True).eval()


def trainable(model: PeftModel) -> dict[str, torch.nn.Parameter]:
    """The adapter's parameters under the names that PEFT saves them by."""
    return {name.replace(".default.", "."): p for name, p in model.named_parameters() if p.requires_grad}


def forward(model: torch.nn.Module, row: list[int]) -> torch.Tensor:
    """`[tokens, vocabulary]` of a row as if it were the first that the model sees.

    transformers' `dynamic` RoPE has a memory: a row longer than every one before it (and than `max_position_embeddings`)
    sets the frequencies to those of its own length, and these stay for shorter rows, until one comes that is shorter than
    `max_position_embeddings`. Here the frequencies are always those of the row's own length."""
    for module in model.modules():
        if getattr(module, "rope_type", None) == "dynamic":
            module.inv_freq = module.original_inv_freq
            module.max_seq_len_cached = module.original_max_seq_len
    return model(torch.tensor([row]), use_cache=False).logits[0]


@torch.no_grad()
def logits(model: torch.nn.Module, row: list[int]) -> torch.Tensor:
    """`[tokens, vocabulary]`, f32."""
    return forward(model, row).float()


def summed_nll(model: torch.nn.Module, row: list[int]) -> torch.Tensor:
    """Nats over the row's `len(row) - 1` predictions, summed."""
    return F.cross_entropy(forward(model, row)[:-1], torch.tensor(row[1:]), reduction="sum")


@torch.no_grad()
def evaluate(model: torch.nn.Module, rows: list[list[int]]) -> float:
    """Mean nats a predicted token over all rows."""
    return sum(summed_nll(model, row).item() for row in rows) / sum(len(row) - 1 for row in rows)


def accumulate_gradients(model: PeftModel, batch: list[list[int]]) -> float:
    """Adds the gradient of the mean over all predictions of the batch, one row a forward pass, and returns that mean."""
    predictions = sum(len(row) - 1 for row in batch)
    loss = 0.0
    for row in batch:
        nll = summed_nll(model, row)
        (nll / predictions).backward()
        loss += nll.item() / predictions
    return loss


def gradients(model: PeftModel, batch: list[list[int]]) -> dict[str, torch.Tensor]:
    """The adapter's gradients over the batch, computed in f64 (transformers keeps its norms and RoPE's tables in f32):
    in f32, those of 30 layers and a row of 300 tokens are off by up to 5e-4 of their norm."""
    model = copy.deepcopy(model).double()
    accumulate_gradients(model, batch)
    return {name: p.grad for name, p in trainable(model).items()}


@dataclass
class Training:
    """The course of a run: one entry a step; the first step's gradients; the model holds the last step's adapter."""

    losses: list[float] = field(default_factory=list)
    grad_norms: list[float] = field(default_factory=list)
    gradients: dict[str, torch.Tensor] = field(default_factory=dict)


def train(model: PeftModel, rows: list[list[int]], *, steps: int, accumulate: int, rate, weight_decay: float = 0.0,
          clip: float = 0.0) -> Training:  # fmt: skip
    """`steps` AdamW steps, each over the next `accumulate` rows (from the first row again after the last), one row a
    forward pass; loss and gradient are the mean over all predictions of the step. `rate` is a function of the step."""
    parameters = trainable(model)
    optimizer = torch.optim.AdamW(parameters.values(), lr=0.0, betas=(0.9, 0.999), eps=1e-8, weight_decay=weight_decay)
    course = Training()
    for step in range(steps):
        batch = [rows[(step * accumulate + i) % len(rows)] for i in range(accumulate)]
        optimizer.zero_grad()
        course.losses.append(accumulate_gradients(model, batch))
        norm = torch.sqrt(sum(p.grad.double().square().sum() for p in parameters.values()))
        course.grad_norms.append(norm.item())
        if step == 0:
            course.gradients = {name: p.grad.clone() for name, p in parameters.items()}
        if clip:
            torch.nn.utils.clip_grad_norm_(parameters.values(), clip)
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
    return course
