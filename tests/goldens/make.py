#!/usr/bin/env python3
"""Make the parity goldens: `python tests/goldens/make.py [CASE...]`, all of them without an argument.

Needs torch, transformers, peft, mlx and mlx-lm (`tests/run parity` installs them), `../shared` for the cases on its
models and `tests/get-model` for the published one. What is written, and how it is read: README.md beside this file.
"""

import importlib.metadata
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models as bpe, pre_tokenizers
from transformers import AutoTokenizer

import adapters
import models
import portable
import reference
from cases import CASES, MLX_FOLDERS, MODELS, Case

PARITY = models.GOLDENS / "parity"
LONGEST_ROW = 300
LIBRARIES = ("torch", "transformers", "peft", "mlx", "mlx-lm")


def write_tokenizer(folder: Path) -> None:
    """The tokenizer of all generated models: three control tokens and the 256 bytes, no merges."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(bpe.BPE({token: i for i, token in enumerate(control + alphabet)}, []))
    tokenizer.add_special_tokens(control)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": control[0], "eos_token": control[2]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")


def describe_generated(seed: str, model: dict) -> dict:
    """What `model` holds in a golden when the model is a generated one."""
    tensors = models.generated_tensors(model["config"], model["head"], model.get("bare", False))
    digest = models.digest(models.generated_values(seed, tensors))
    described = {key: model[key] for key in ("source", "about", "dtype", "config")}
    return described | {"seed": seed, "sha256": digest, "tensors": tensors}


def write_mlx_folder(name: str) -> None:
    source, bits, group_size, overrides = MLX_FOLDERS[name]
    with tempfile.TemporaryDirectory() as scratch:
        models.write_generated(describe_generated(f"mlx-{name}", source), Path(scratch))
        destination = models.GOLDENS / "mlx" / name
        destination.mkdir(parents=True, exist_ok=True)
        models.write_quantized(Path(scratch), destination, bits, group_size, overrides)


def open_model(name: str, scratch: Path):
    """`(model as in the golden's JSON, transformers model in f32, tokenizer or None)`."""
    model = MODELS[name]
    match model["source"]:
        case "generated":
            description = describe_generated(name, model)
            models.write_generated(description, scratch)
            return description, models.load_folder(scratch), None
        case "published":
            file = published()
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
            return model, models.load_gguf(file), tokenizer
        case "shared":
            folder = models.SHARED / model["path"]
            if quantization := model.get("import"):
                models.write_quantized(folder, scratch, **quantization)
            return model, models.load_folder(scratch if quantization else folder), AutoTokenizer.from_pretrained(folder)
        case "repository" if model["path"] == MODELS["base-4bit"]["path"]:
            # What `idiolect import` makes of the base by its defaults; the folder in the repository must equal it.
            folder = models.SHARED / MODELS["base"]["path"]
            models.write_quantized(folder, scratch, bits=4, group_size=64)
            return model, models.load_folder(scratch), AutoTokenizer.from_pretrained(folder)
        case "repository":
            return model, models.load_folder(models.REPOSITORY / model["path"]), None


def published() -> Path:
    command = [sys.executable, models.REPOSITORY / "tests" / "get-model"]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def token_rows(case: Case, config, tokenizer) -> list[list[int]]:
    """The case's rows as token ids: random ones as they are; a text after the model's first control token."""
    if tokenizer is None:
        return case.rows
    start = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    start = config.bos_token_id if start in (None, tokenizer.unk_token_id) else start
    rows = [[start, *tokenizer(text, add_special_tokens=False)["input_ids"]][:LONGEST_ROW] for text in case.rows]
    if case.window is None:
        return rows
    ids = tokenizer(case.rows[0], add_special_tokens=False)["input_ids"]
    stride = (len(ids) - case.window) // 9
    return [ids[i * stride : i * stride + case.window] for i in range(10)]


def kept_positions(length: int) -> list[int]:
    """The first and the last ones, those about multiples of 32, and every 23rd."""
    near = [p + d for p in (0, 32, 64, 128, 256) for d in (-1, 0, 1)]
    return sorted({p for p in [*near, *range(0, length, 23), length - 1] if 0 <= p < length})


class Logits:
    """The kept logits of one row."""

    def __init__(self, case: Case, row: int, with_adapter: bool, whole: torch.Tensor):
        self.positions = kept_positions(whole.shape[0])
        self.columns = None
        kept = whole[self.positions]
        if case.columns:
            chosen = portable.ids(f"{case.name}/columns", case.columns, whole.shape[1])
            self.columns = sorted({*chosen, *kept.argmax(dim=1).tolist()})
            kept = kept[:, self.columns]
        self.kept = kept.contiguous().numpy()
        self.log_sum_exp = torch.logsumexp(whole.double(), dim=1).float().numpy()
        self.meta = {"row": row, "adapter": with_adapter, "max_abs": whole.abs().max().item(),
                     "positions": self.positions, "columns": self.columns}  # fmt: skip


def make(case: Case) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        description, model, tokenizer = open_model(case.model, Path(scratch))
    rows = token_rows(case, model.config, tokenizer)
    adapter = adapters.describe(case.name, model.config, case.rank, case.alpha or 2 * case.rank, case.targets,
                                case.use_rslora, case.b_amplitude)  # fmt: skip
    kept = {row: Logits(case, row, False, reference.logits(model, rows[row])) for row, on in case.logits if not on}
    base_nll = reference.evaluate(model, rows)
    with tempfile.TemporaryDirectory() as scratch:
        adapters.write(adapter, Path(scratch))
        model = reference.with_adapter(model, Path(scratch))
    assert sorted(reference.trainable(model)) == sorted(name for name, *_ in adapter["tensors"])
    trainable_parameters, all_parameters = model.get_nb_trainable_parameters()
    kept = [kept[row] if not on else Logits(case, row, True, reference.logits(model, rows[row])) for row, on in case.logits]
    nll = reference.evaluate(model, rows)
    first_batch = [rows[i % len(rows)] for i in range(case.accumulate)]
    gradients = reference.gradients(model, first_batch)
    course = reference.train(model, rows, steps=case.steps, accumulate=case.accumulate, rate=lambda _: case.lr,
                             weight_decay=case.weight_decay)  # fmt: skip

    tensors = {}
    for i, entry in enumerate(kept):
        tensors[f"logits.{i}"] = entry.kept
        tensors[f"log_sum_exp.{i}"] = entry.log_sum_exp
    names = [name for name, *_ in adapter["tensors"]]
    gradients = {name: gradients[name].numpy() for name in names}
    if case.whole_gradients:
        tensors |= {f"gradient.{name}": gradient.astype(np.float32) for name, gradient in gradients.items()}
    else:
        projected = [portable.project(f"projection/{name}", gradient) for name, gradient in gradients.items()]
        tensors["gradient_projections"] = np.stack(projected).astype(np.float32)
        norms = [np.linalg.norm(gradient) for gradient in gradients.values()]
        tensors["gradient_norms"] = np.array(norms, np.float32)
    golden = {
        "case": case.name,
        "about": case.about,
        "made_with": {library: importlib.metadata.version(library) for library in LIBRARIES},
        "model": description,
        "adapter": adapter,
        "trainable_parameters": trainable_parameters,
        "all_parameters": all_parameters,
        "rows": rows,
        "eval": {"tokens": sum(len(row) - 1 for row in rows), "base_nll": base_nll, "nll": nll},
        "logits": [entry.meta for entry in kept],
        "train": {"steps": case.steps, "accumulate": case.accumulate, "lr": case.lr, "weight_decay": case.weight_decay},
        "losses": course.losses,
        "grad_norms": course.grad_norms,
    }
    PARITY.mkdir(exist_ok=True)
    path = PARITY / f"{case.name}.safetensors"
    save_file(tensors, path)
    path.chmod(0o644)  # safetensors makes it for its owner only
    (PARITY / f"{case.name}.json").write_text(readable(golden))


def readable(golden: dict) -> str:
    """JSON with one member of the object, or of a list of lists, a line."""

    def compact(value) -> str:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    def member(value) -> str:
        if isinstance(value, list) and value and isinstance(value[0], list):
            return "[\n  " + ",\n  ".join(compact(item) for item in value) + "\n ]"
        if isinstance(value, dict) and "tensors" in value:
            inner = ",\n ".join(f'"{key}":{member(item)}' for key, item in value.items())
            return "{\n " + inner + "\n }"
        return compact(value)

    return "{\n" + ",\n".join(f' "{key}":{member(value)}' for key, value in golden.items()) + "\n}\n"


def main() -> None:
    wanted = sys.argv[1:] or [case.name for case in CASES]
    if unknown := set(wanted) - {case.name for case in CASES}:
        sys.exit(f"no such case: {', '.join(sorted(unknown))}")
    write_tokenizer(models.TOKENIZER)
    for name in MLX_FOLDERS:
        if any(MODELS[case.model].get("path", "").endswith(f"mlx/{name}") for case in CASES if case.name in wanted):
            write_mlx_folder(name)
    for case in CASES:
        if case.name in wanted:
            start = time.time()
            make(case)
            size = sum(PARITY.joinpath(case.name + end).stat().st_size for end in (".json", ".safetensors"))
            print(f"{case.name}: {size / 1024:.0f} KiB, {time.time() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
