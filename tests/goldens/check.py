#!/usr/bin/env python3
"""Check the goldens themselves: `python tests/goldens/check.py [CASE...]`.

Every logit, log-sum-exp, evaluation and first loss against a separate forward pass in f64 (forward64.py), within a tenth of
what the engine is allowed; the gradients against that pass's finite differences; and that what each case exists
for would show: with the RoPE scaling, the epsilon, a window, a soft cap and so on (`departures`), the adapter's scale, the
weight decay or the gradient through keys and values left out, the case must fail by the engine's bounds.
"""

import json
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

import adapters
import forward64
import make
import models
import portable
import reference
from cases import CASES

# What the engine is held to: logits by the largest logit, gradients in Frobenius norm, losses relative.
LOGITS, GRADIENT, LOSS = 2e-4, 1e-3, 1e-4


class Golden:
    def __init__(self, name: str):
        self.name = name
        self.json = json.loads((make.PARITY / f"{name}.json").read_text())
        self.tensors = load_file(make.PARITY / f"{name}.safetensors")
        self.rows = self.json["rows"]
        self.first_batch = [self.rows[i % len(self.rows)] for i in range(self.json["train"]["accumulate"])]
        peft = self.json["adapter"]["config"]
        self.scale = peft["lora_alpha"] / (math.sqrt(peft["r"]) if peft["use_rslora"] else peft["r"])
        self.transposed = peft["fan_in_fan_out"]

    def config(self) -> dict | None:
        """The model's `config.json` as it stands, where this repository has it."""
        model = self.json["model"]
        if model["source"] == "repository":
            return json.loads((models.REPOSITORY / model["path"] / "config.json").read_text())
        return model.get("config")

    def adapter(self) -> dict[str, np.ndarray]:
        values = models.generated_values(self.json["adapter"]["seed"], self.json["adapter"]["tensors"])
        return {name: value.astype(np.float64) for name, value in values.items()}

    def gradients(self) -> dict[str, tuple[np.ndarray, float]]:
        """The 64 projections and the norm of every gradient tensor."""
        names = [name for name, *_ in self.json["adapter"]["tensors"]]
        if "gradient_norms" in self.tensors:
            return dict(zip(names, zip(self.tensors["gradient_projections"], self.tensors["gradient_norms"])))
        whole = {name: self.tensors[f"gradient.{name}"].astype(np.float64) for name in names}
        return {name: (portable.project(f"projection/{name}", g), np.linalg.norm(g)) for name, g in whole.items()}


def merged(base: dict[str, np.ndarray], adapter: dict[str, np.ndarray], scale: float,
           transposed: bool) -> dict[str, np.ndarray]:  # fmt: skip
    """The weights with the adapter added to its modules: W + scale * B A, or its transpose where W is stored so."""
    weights = dict(base)
    for name, a in adapter.items():
        if name.endswith(".lora_A.weight"):
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            change = scale * adapter[name.replace("lora_A", "lora_B")] @ a
            weights[f"{module}.weight"] = base[f"{module}.weight"] + (change.T if transposed else change)
    return weights


def check_forward(golden: Golden, config: dict, base: dict, weights: dict) -> str:
    worst = 0.0
    for i, entry in enumerate(golden.json["logits"]):
        whole = forward64.logits(config, weights if entry["adapter"] else base, golden.rows[entry["row"]])
        kept = whole[entry["positions"]]
        kept = kept if entry["columns"] is None else kept[:, entry["columns"]]
        worst = max(worst, np.abs(kept - golden.tensors[f"logits.{i}"]).max() / entry["max_abs"])
        difference = forward64.log_sum_exp(whole) - golden.tensors[f"log_sum_exp.{i}"]
        worst = max(worst, np.abs(difference).max() / entry["max_abs"])
        assert math.isclose(np.abs(whole).max(), entry["max_abs"], rel_tol=LOGITS), "max_abs"
    assert worst < LOGITS / 10, f"logits differ by {worst:.1e}"
    pairs = [
        (golden.json["eval"]["base_nll"], forward64.loss(config, base, golden.rows)),
        (golden.json["eval"]["nll"], forward64.loss(config, weights, golden.rows)),
        (golden.json["losses"][0], forward64.loss(config, weights, golden.first_batch)),
    ]
    loss_error = max(abs(a - b) / b for a, b in pairs)
    assert loss_error < LOSS / 10, f"losses differ by {loss_error:.1e}"
    return f"logits {worst:.1e}, losses {loss_error:.1e}"


def check_gradients(golden: Golden, config: dict, base: dict, weights: dict, adapter: dict) -> str:
    """The slope along the first sign vector of each tensor is that tensor's first projection."""
    gradients = golden.gradients()
    total = math.sqrt(sum(norm**2 for _, norm in gradients.values()))
    assert math.isclose(total, golden.json["grad_norms"][0], rel_tol=GRADIENT / 10), "grad_norms[0]"
    # All of a large model's tensors would take an hour: three each of its first and its last layer.
    layers = config.get("num_hidden_layers") or config["n_layer"]
    large = layers > 10
    few = tuple(f".{layer}.{part}.weight" for layer in (0, layers - 1) for part in (
        "self_attn.q_proj.lora_A", "self_attn.v_proj.lora_B", "mlp.down_proj.lora_A"))  # fmt: skip
    worst = 0.0
    for name, (projections, norm) in gradients.items():
        if large and not name.endswith(few):
            continue
        signs = 1.0 - 2.0 * (portable.stream(f"projection/{name}", adapter[name].size) & np.uint64(1))
        signs = signs.reshape(adapter[name].shape)
        h = 1e-3 * np.abs(adapter[name]).mean() / math.sqrt(signs.size)

        def loss(h: float) -> float:
            module = name[: name.index(".lora_")]
            pair = {key: adapter[key] for key in (f"{module}.lora_A.weight", f"{module}.lora_B.weight")}
            pair[name] = pair[name] + h * signs
            moved = merged(base, pair, golden.scale, golden.transposed)[f"{module.removeprefix('base_model.model.')}.weight"]
            changed = weights | {f"{module.removeprefix('base_model.model.')}.weight": moved}
            return forward64.loss(config, changed, golden.first_batch)

        error = abs((loss(h) - loss(-h)) / (2 * h) - projections[0]) / norm
        assert error < GRADIENT / 3, f"{name}: the slope differs from the gradient by {error:.1e} of its norm"
        worst = max(worst, error)
    return f"slopes {worst:.1e}"


def departures(config: dict) -> Iterator[tuple[str, dict]]:
    """What a case is there for, each with a configuration that does not heed it."""
    for key in ("rope_scaling", "rope_parameters"):
        scaling = config.get(key) or {}
        if scaling.get("rope_type", scaling.get("type", "default")) != "default":
            yield "RoPE scaling", config | {key: {"rope_theta": scaling.get("rope_theta", config.get("rope_theta"))}}
    for key in ("rms_norm_eps", "layer_norm_epsilon"):
        if config.get(key, 0.0) > 1e-4:
            yield "epsilon", config | {key: 1e-5}
    if any(window and window < make.LONGEST_ROW for window in forward64.windows(config)):
        yield "window", config | {"sliding_window": 10**6}
        yield "the window's end", config | {"sliding_window": config["sliding_window"] + 1}
        if config.get("use_sliding_window"):
            yield "max_window_layers", config | {"max_window_layers": config["max_window_layers"] - 1}
        if "sliding_window_pattern" in config:
            yield "sliding_window_pattern", config | {"sliding_window_pattern": config["sliding_window_pattern"] - 1}
        if "layer_types" in config:
            yield "layer_types", config | {"layer_types": config["layer_types"][::-1]}
    for key in ("attn_logit_softcapping", "final_logit_softcapping"):
        if config.get(key):
            yield key, config | {key: None}
    if config.get("query_pre_attn_scalar", forward64.head_dim(config)) != forward64.head_dim(config):
        yield "query_pre_attn_scalar", config | {"query_pre_attn_scalar": None}
    if "no_rope_layers" in config:
        yield "no_rope_layers", config | {"no_rope_layers": [1] * len(config["no_rope_layers"])}
    if "rope_local_base_freq" in config:
        yield "rope_local_base_freq", config | {"rope_local_base_freq": config["rope_theta"]}
    if "full_attention" in config.get("rope_parameters", {}):
        everywhere = dict.fromkeys(config["rope_parameters"], config["rope_parameters"]["full_attention"])
        yield "RoPE by layer type", config | {"rope_parameters": everywhere}


def check_power(golden: Golden, config: dict, base: dict, weights: dict, adapter: dict) -> str:
    """What would go unseen if the case did not show it."""
    caught = []
    entry, reference_logits = golden.json["logits"][0], golden.tensors["logits.0"]

    def logits_show(what: str, changed_config: dict, changed_weights: dict) -> None:
        whole = forward64.logits(changed_config, changed_weights, golden.rows[entry["row"]])
        error = np.abs(whole[entry["positions"]] - reference_logits).max() / entry["max_abs"]
        assert error > 5 * LOGITS, f"{what} would change the logits by {error:.1e} only"
        caught.append(what)

    for what, changed in departures(config):
        logits_show(what, changed, weights)
    other_scale = golden.scale * (0.5 if not golden.json["adapter"]["config"]["use_rslora"] else 1 / math.sqrt(3))
    logits_show("scale", config, merged(base, adapter, other_scale, golden.transposed))
    return "sees " + ", ".join(caught)


def check_training(golden: Golden, model: torch.nn.Module) -> str:
    """Ten steps from an adapter that is off by a rounding stay within the bound (so that f32 can meet it); without the
    weight decay, and with the gradient through keys and values cut, they would not."""
    settings = golden.json["train"]
    with tempfile.TemporaryDirectory() as scratch:
        adapters.write(golden.json["adapter"], Path(scratch))
        model = reference.with_adapter(model, Path(scratch))
    start = {name: p.detach().clone() for name, p in reference.trainable(model).items()}

    def course(steps: int, noise: float = 0.0, weight_decay: float = settings["weight_decay"]) -> reference.Training:
        torch.manual_seed(0)
        with torch.no_grad():
            for name, p in reference.trainable(model).items():
                p.copy_(start[name] * (1 + noise * torch.randn_like(p)))
        return reference.train(model, golden.rows, steps=steps, accumulate=settings["accumulate"],
                               rate=lambda _: settings["lr"], weight_decay=weight_decay)  # fmt: skip

    def distance(losses: list[float]) -> float:
        return max(abs(a - b) / b for a, b in zip(losses, golden.json["losses"]))

    noisy = distance(course(settings["steps"], noise=1e-6).losses)
    assert noisy < LOSS / 3, f"a rounding in the adapter changes the losses by {noisy:.1e}"
    report = f"rounding {noisy:.1e}"
    if settings["weight_decay"]:
        without = distance(course(settings["steps"], weight_decay=0.0).losses)
        assert without > 5 * LOSS, f"weight decay changes the losses by {without:.1e} only"
        report += f", weight decay shows ({without:.1e})"
    with keys_and_values_detached(model):
        cut = {name: g for name, g in course(1).gradients.items()}
    errors = {}
    for name, (projections, norm) in golden.gradients().items():
        difference = portable.project(f"projection/{name}", cut[name].numpy()) - projections
        errors[name] = math.sqrt(np.mean(difference**2)) / norm
    last = f".{model.config.num_hidden_layers - 1}."
    below = [error for name, error in errors.items() if last not in name]
    assert below and min(below) > 5 * GRADIENT, f"a cut gradient is seen by {min(below):.1e} only"
    return report + f", cut keys and values show (≥ {min(below):.1e})"


class keys_and_values_detached:
    """Within: no gradient flows through an attention layer's keys and values."""

    def __init__(self, model: torch.nn.Module):
        self.heads, self.hooks = model.config.num_attention_heads, []
        self.projections = [
            (kind, module) for name, module in model.named_modules()
            if (kind := name.rpartition(".")[2]) in ("k_proj", "v_proj", "qkv_proj", "c_attn", "query_key_value")
        ]  # fmt: skip
        self.queries = self.heads * (getattr(model.config, "head_dim", None) or model.config.hidden_size // self.heads)

    def queries_among(self, projection: str, columns: int) -> torch.Tensor:
        """Which of a projection's outputs are queries."""
        column = torch.arange(columns)
        if projection == "query_key_value":
            # Head by head.
            return column % (columns // self.heads) < columns // self.heads // 3
        return column < (0 if projection in ("k_proj", "v_proj") else self.queries)

    def __enter__(self) -> None:
        for kind, module in self.projections:

            def detach(_module, _inputs, out, kind=kind):
                # Zero, rather than no, gradient: a case may train nothing else.
                return out.detach() + (out - out.detach()) * self.queries_among(kind, out.shape[-1])

            self.hooks.append(module.register_forward_hook(detach))

    def __exit__(self, *_) -> None:
        for hook in self.hooks:
            hook.remove()


def main() -> None:
    # Those whose files are there: a case without is of a family that the engine does not know yet.
    wanted = sys.argv[1:] or [case.name for case in CASES if (make.PARITY / f"{case.name}.json").exists()]
    for case in CASES:
        if case.name not in wanted:
            continue
        golden = Golden(case.name)
        with tempfile.TemporaryDirectory() as scratch:
            _, model, _ = make.open_model(case.model, Path(scratch))
        config = golden.config() or model.config.to_dict()
        base = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
        adapter = golden.adapter()
        weights = merged(base, adapter, golden.scale, golden.transposed)
        reports = [check_forward(golden, config, base, weights), check_gradients(golden, config, base, weights, adapter)]
        if case.whole_gradients:
            reports.append(check_power(golden, config, base, weights, adapter))
        reports.append(check_training(golden, model))
        print(f"{case.name}: {'; '.join(reports)}", flush=True)
    print("the goldens are consistent")


if __name__ == "__main__":
    main()
