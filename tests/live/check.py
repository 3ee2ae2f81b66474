#!/usr/bin/env python3
"""Compare the program with the reference libraries as they are installed: `check.py PROGRAM [CHECK...]`, or with any model
that lies somewhere: `check.py PROGRAM folder MODEL...`, folders and GGUF files.

Where the goldens are fixed, these checks run transformers, PEFT and mlx-lm beside the program, on models and settings drawn
from a seed (`--seed`; a random one is drawn and printed):

  train     ten steps on drawn models, bare and quantized by `idiolect import`, and three on the published one: losses, the
            first gradients and the final adapter are PEFT's
  adapters  an adapter trained by either side gives the same losses on the other, on drawn models and on the published one
  strength  a version exported at its strength gives the same losses in PEFT as here
  mlx       a folder written by `idiolect import` gives the same losses in mlx-lm
  greedy    what the published model continues greedily, plain and chat, is transformers' token for token
  learn     the held-out gain on a person's messages is PEFT's (from goldens/published/learn.json)
  folder    by name: the ids of texts, their losses, what is continued greedily, and three steps of an adapter on every linear
            layer that the model has, where PEFT's gradients in f64 fit into memory
"""

import argparse
import functools
import json
import random
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "goldens"))

import adapters
import cases
import make
import models
import published
import reference

# As the goldens': losses relative, gradients in Frobenius norm by the reference's.
LOSS, GRADIENT = 1e-4, 1e-3
# How far ten AdamW steps may lead apart, by the length of the way: a step is nearly a sign, and a gradient of nearly
# nothing has whichever sign rounding gives it.
ADAPTER = 2e-2
# The held-out gain, relative.
GAIN = 0.02
# Parameters whose copy in f64 is too much.
LARGE = 500_000_000


class Program:
    """The `idiolect` program on one device."""

    def __init__(self, path: Path, device: str):
        self.path, self.device = path.resolve(), device

    def run(self, *arguments, device: bool = True) -> list[dict]:
        """The JSON objects that a command prints."""
        command = [self.path, *arguments, "--json", *(["--device", self.device] if device else [])]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def import_(self, source: Path, destination: Path, bits: int, group_size: int) -> None:
        self.run("import", source, destination, "--bits", bits, "--group-size", group_size, device=False)

    def nll(self, model: Path, rows: Path, adapter: Path | None = None) -> float:
        (report,) = self.run("eval", model, "--ids", rows, *(["--adapter", adapter] if adapter else []))
        return report["nll"]

    def train(self, model: Path, rows: Path, out: Path, **settings) -> list[dict]:
        flags = [part for key, value in settings.items() for part in (f"--{key.replace('_', '-')}", value)]
        return self.run("train", model, "--ids", rows, "--out", out, *flags)


def close(what: str, ours, theirs, bound: float) -> float:
    """The largest relative difference, which must be within the bound."""
    ours, theirs = np.atleast_1d(ours), np.atleast_1d(theirs)
    assert ours.shape == theirs.shape, f"{what}: {ours.shape[0]} figures, not {theirs.shape[0]}"
    error = float(np.max(np.abs(ours - theirs) / np.abs(theirs)))
    assert error <= bound, f"{what} differ by {error:.1e}"
    return error


class Drawn:
    """A model, an adapter and rows drawn from a seed, written into `folder`."""

    def __init__(self, seed: int, folder: Path):
        draw = random.Random(seed)
        head_dim = draw.choice([8, 16, 24, 32])
        key_heads = draw.choice([1, 2, 3])
        heads = key_heads * draw.choice([1, 2, 4])
        rope = draw.choice([
            {"rope_type": "default"},
            {"rope_type": "linear", "factor": draw.choice([2.0, 4.0])},
            {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
             "original_max_position_embeddings": draw.choice([32, 128])},
        ])  # fmt: skip
        theta = draw.choice([10000.0, 100000.0])
        old_style = draw.random() < 0.5
        rope = {"rope_theta": theta, "rope_scaling": rope} if old_style else {"rope_parameters": rope | {"rope_theta": theta}}
        model = cases.generated(
            "drawn", draw.choice(["float32", "bfloat16", "float16"]), draw.choice(["embed", "lm_head", "both"]),
            hidden_size=heads * draw.choice([16, 32]), intermediate_size=32 * draw.choice([3, 4, 7]),
            num_hidden_layers=draw.choice([3, 4]), num_attention_heads=heads, num_key_value_heads=key_heads,
            head_dim=head_dim, vocab_size=draw.randrange(260, 400), **rope,
        )  # fmt: skip
        model["config"]["dtype" if not old_style else "torch_dtype"] = model["dtype"]
        self.folder, self.rows_file, self.adapter = folder / "model", folder / "rows.json", folder / "adapter"
        models.write_generated(make.describe_generated(f"drawn {seed}", model), self.folder)
        vocabulary = model["config"]["vocab_size"]
        self.rows = [[draw.randrange(vocabulary) for _ in range(draw.randrange(2, 120))] for _ in range(draw.randrange(3, 8))]
        self.rows_file.write_text(json.dumps(self.rows))
        self.targets = draw.sample(cases.ALL, draw.randrange(1, 8))
        rank = draw.randrange(1, 9)
        config = models.load_folder(self.folder).config
        described = adapters.describe(f"drawn {seed}", config, rank, draw.choice([rank, 2 * rank, 5.0]), self.targets,
                                      use_rslora=draw.random() < 0.3)  # fmt: skip
        adapters.write(described, self.adapter)
        self.settings = {"steps": 10, "accumulate": draw.randrange(1, 5), "weight_decay": draw.choice([0.0, 0.1])}
        self.about = f"{model['dtype']} {model['config']['hidden_size']} wide, {heads}/{key_heads} heads of {head_dim}, " \
                     f"{'+'.join(t.removesuffix('_proj') for t in self.targets)}"  # fmt: skip


def compare_training(program: Program, model: Path, theirs, adapter: Path, rows: list, rows_file: Path, folder: Path,
                     settings: dict) -> str:  # fmt: skip
    """The same steps on both sides; `theirs` is the model in transformers."""
    rate = 1e-3
    lines = program.train(model, rows_file, folder / "ours", init=adapter, lr=rate, schedule="constant", warmup=0, clip=0,
                          dump_grads=folder / "gradients.safetensors", **settings)  # fmt: skip
    peft = reference.with_adapter(theirs, adapter)
    start = {name: p.detach().clone() for name, p in reference.trainable(peft).items()}
    course = reference.train(peft, rows, rate=lambda _: rate, **settings)
    losses = close("losses", [line["loss"] for line in lines], course.losses, LOSS)
    close("gradient norms", [line["grad_norm"] for line in lines], course.grad_norms, 10 * GRADIENT)
    gradients = load(folder / "gradients.safetensors")
    assert gradients.keys() == course.gradients.keys(), "the dumped gradients have other names"
    gradient = max(float((gradients[name] - g).norm() / g.norm()) for name, g in course.gradients.items())
    assert gradient <= GRADIENT, f"gradients differ by {gradient:.1e}"
    ours = load(folder / "ours" / "adapter_model.safetensors")
    moved = {name: p.detach() - start[name] for name, p in reference.trainable(peft).items()}
    apart = torch.stack([(ours[name] - start[name] - way).norm() for name, way in moved.items()]).norm()
    apart = float(apart / torch.stack([way.norm() for way in moved.values()]).norm())
    assert apart <= ADAPTER, f"the adapters moved apart by {apart:.1e} of the way"
    return f"losses {losses:.1e}, gradients {gradient:.1e}, adapters {apart:.1e}"


def load(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def check_train(program: Program, seed: int, folder: Path):
    for number in range(6):
        here = folder / str(number)
        here.mkdir()
        drawn = Drawn(seed + number, here)
        model, quantization = drawn.folder, [None, (4, 32), (8, 32)][number % 3]
        if quantization:
            model = here / "quantized"
            program.import_(drawn.folder, model, *quantization)
        report = compare_training(program, model, models.load_folder(model), drawn.adapter, drawn.rows, drawn.rows_file,
                                  here, drawn.settings)  # fmt: skip
        yield f"{drawn.about}{', {} bits'.format(quantization[0]) if quantization else ''}: {report}"
    file = make.published()
    theirs = models.load_gguf(file)
    draw = random.Random(seed)
    rows = [[draw.randrange(17, theirs.config.vocab_size) for _ in range(64)] for _ in range(3)]
    (folder / "rows.json").write_text(json.dumps(rows))
    adapters.write(adapters.describe(f"drawn {seed}", theirs.config, 8, 16, cases.ALL, b_amplitude=0.02), folder / "adapter")
    report = compare_training(program, file, theirs, folder / "adapter", rows, folder / "rows.json", folder,
                              {"steps": 3, "accumulate": 1})  # fmt: skip
    yield f"published: {report}"


def check_adapters(program: Program, seed: int, folder: Path):
    for number in range(4):
        here = folder / str(number)
        here.mkdir()
        drawn = Drawn(seed + number, here)
        program.train(drawn.folder, drawn.rows_file, here / "ours", init=drawn.adapter, steps=5, accumulate=2)
        theirs = reference.with_adapter(models.load_folder(drawn.folder), here / "ours")
        out = close("losses with our adapter", program.nll(drawn.folder, drawn.rows_file, here / "ours"),
                    reference.evaluate(theirs, drawn.rows), LOSS)  # fmt: skip
        reference.train(theirs, drawn.rows, steps=5, accumulate=2, rate=lambda _: 1e-3)
        theirs.save_pretrained(here / "theirs")
        back = close("losses with PEFT's adapter", program.nll(drawn.folder, drawn.rows_file, here / "theirs"),
                     reference.evaluate(theirs, drawn.rows), LOSS)  # fmt: skip
        yield f"{drawn.about}: ours in PEFT {out:.1e}, PEFT's in ours {back:.1e}"
    # Trained on the file's blocks here, loaded by PEFT over the matrices that transformers dequantizes from it.
    file, draw = make.published(), random.Random(seed)
    theirs = models.load_gguf(file)
    rows = [[draw.randrange(17, theirs.config.vocab_size) for _ in range(64)] for _ in range(3)]
    (folder / "rows.json").write_text(json.dumps(rows))
    program.train(file, folder / "rows.json", folder / "ours", steps=5, seed=seed)
    theirs = reference.with_adapter(theirs, folder / "ours")
    bare = program.nll(file, folder / "rows.json")
    ours = program.nll(file, folder / "rows.json", folder / "ours")
    assert ours < bare - 0.1, "the adapter learned nothing, so that nothing was compared"
    yield f"published: ours in PEFT {close('losses with our adapter', ours, reference.evaluate(theirs, rows), LOSS):.1e}"


def check_strength(program: Program, seed: int, folder: Path):
    for number, strength in enumerate([1.0, 0.5, 0.7, 0.5, 0.0]):
        here = folder / str(number)
        here.mkdir()
        drawn = Drawn(seed + number, here)
        (here / "one.txt").write_text("a profile needs no more\n")
        profile, model = here / "profile", ["--model", drawn.folder]
        program.run("history", "add", profile, here / "one.txt", device=False)
        program.run("adapters", "import", profile, drawn.adapter, *model, device=False)
        program.run("adapters", "strength", profile, strength, "--number", 1, device=False)
        program.run("adapters", "export", profile, here / "exported", *model, "--number", 1, device=False)
        ours = program.nll(drawn.folder, drawn.rows_file, here / "exported")
        theirs = reference.with_adapter(models.load_folder(drawn.folder), here / "exported")
        out = close("losses with our export", ours, reference.evaluate(theirs, drawn.rows), LOSS)
        # What the strength means, by PEFT's own scaling of the adapter that was imported.
        meant = reference.with_adapter(models.load_folder(drawn.folder), drawn.adapter)
        for module in meant.modules():
            if isinstance(scaling := getattr(module, "scaling", None), dict):
                scaling.update({name: strength * scale for name, scale in scaling.items()})
        close("losses at this strength", ours, reference.evaluate(meant, drawn.rows), LOSS)
        yield f"{drawn.about}, strength {strength}: {out:.1e}"


def check_mlx(program: Program, seed: int, folder: Path):
    import mlx.core as mx
    from mlx_lm.utils import load_model

    def mlx_nll(model, rows: list[list[int]]) -> float:
        total = 0.0
        for row in rows:
            logits = torch.from_numpy(np.array(model(mx.array([row]))[0, :-1].astype(mx.float32)))
            total += float(torch.nn.functional.cross_entropy(logits, torch.tensor(row[1:]), reduction="sum"))
        return total / sum(len(row) - 1 for row in rows)

    for number in range(6):
        here = folder / str(number)
        here.mkdir()
        drawn = Drawn(seed + number, here)
        bits, group_size = [(4, 32), (8, 32), (16, 64)][number % 3]
        program.import_(drawn.folder, here / "imported", bits, group_size)
        model, _ = load_model(here / "imported")
        model.set_dtype(mx.float32)
        error = close("losses", program.nll(here / "imported", drawn.rows_file), mlx_nll(model, drawn.rows), LOSS)
        yield f"{drawn.about}, {bits} bits: {error:.1e}"


def check_greedy(program: Program, _seed: int, folder: Path):
    file = make.published()
    model, tokenizer = published.open_published()
    for prompt in cases.NOTES:
        for chat in (False, True):
            theirs = published.answer(model, tokenizer, prompt, chat)
            (ours,) = program.run("generate", file, "--prompt", prompt, "--temperature", 0, "--max-tokens",
                                  published.NEW_TOKENS, *(["--chat"] if chat else []))  # fmt: skip
            expected = [i for i in theirs["ids"] if i != tokenizer.eos_token_id]
            given = [i for i in ours["ids"] if i != tokenizer.eos_token_id]
            assert given == expected, f"{prompt!r}, chat {chat}: {ours['text']!r}, not {theirs['text']!r}"
        yield f"{prompt[:30]!r}…: the same"


def check_learn(program: Program, _seed: int, folder: Path):
    golden = json.loads((published.DESTINATION / "learn.json").read_text())
    file = make.published()
    _, tokenizer = published.open_published()
    training, held_out = published.split(published.messages(tokenizer))
    run = golden["full" if program.device == "cpu" else "short"]
    training, held_out = training[: run["training_rows"]], held_out[: run["held_out_rows"]]
    assert published.digest(training) == run["training_sha256"] and published.digest(held_out) == run["held_out_sha256"]
    (folder / "training.json").write_text(json.dumps(training))
    (folder / "held_out.json").write_text(json.dumps(held_out))
    adapters.write(golden["adapter"], folder / "start")
    start = time.time()
    program.train(file, folder / "training.json", folder / "adapter", init=folder / "start", **run["settings"])
    seconds = time.time() - start
    before = program.nll(file, folder / "held_out.json")
    after = program.nll(file, folder / "held_out.json", folder / "adapter")
    close("losses before", before, run["before"]["nll"], LOSS)
    gain, reference_gain = before - after, run["before"]["nll"] - run["after"]["nll"]
    close("gains", gain, reference_gain, GAIN)
    yield f"{before:.4f} to {after:.4f} nats a token in {seconds:.0f} s; PEFT: {run['before']['nll']:.4f} to " \
          f"{run['after']['nll']:.4f}"  # fmt: skip


def check_folder(program: Program, seed: int, folder: Path, path: Path):
    is_file = path.is_file()
    theirs = models.load_gguf(path) if is_file else models.load_folder(path)
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name) if is_file else AutoTokenizer.from_pretrained(path)
    rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in cases.NOTES]
    rows = [row for row in rows if len(row) > 1]
    (folder / "rows.json").write_text(json.dumps(rows))
    losses = close("losses", program.nll(path, folder / "rows.json"), reference.evaluate(theirs, rows), LOSS)
    yield f"losses {losses:.1e}"
    for prompt in cases.NOTES[:2]:
        for chat in (False, True) if tokenizer.chat_template else (False,):
            answer = published.answer(theirs, tokenizer, prompt, chat)
            (ours,) = program.run("generate", path, "--prompt", prompt, "--temperature", 0, "--max-tokens",
                                  published.NEW_TOKENS, *(["--chat"] if chat else []))  # fmt: skip
            expected, given = ([i for i in ids if i != tokenizer.eos_token_id] for ids in (answer["ids"], ours["ids"]))
            assert given == expected, f"{prompt!r}, chat {chat}: {ours['text']!r}, not {answer['text']!r}"
    yield "greedy answers are the same"
    if theirs.num_parameters() > LARGE:
        yield f"{theirs.num_parameters():,} parameters: steps are not compared"
        return
    targets = sorted({name.rpartition(".")[2] for name in models.linears(models.skeleton(theirs.config))})
    adapters.write(adapters.describe(f"drawn {seed}", theirs.config, 8, 16, targets, b_amplitude=0.02), folder / "adapter")
    report = compare_training(program, path, theirs, folder / "adapter", rows, folder / "rows.json", folder,
                              {"steps": 3, "accumulate": 2})  # fmt: skip
    yield report


CHECKS = {
    "train": check_train,
    "adapters": check_adapters,
    "strength": check_strength,
    "mlx": check_mlx,
    "greedy": check_greedy,
    "learn": check_learn,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"{', '.join(CHECKS)} (all of them)")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    program = Program(options.program, options.device)
    checks = CHECKS
    if options.checks[:1] == ["folder"]:
        paths = [Path(path) for path in options.checks[1:]]
        checks = {str(path): functools.partial(check_folder, path=path) for path in paths}
        options.checks = list(checks)
    if unknown := set(options.checks) - set(checks):
        parser.error(f"no such check: {', '.join(sorted(unknown))}")
    wanted = options.checks or list(checks)
    print(f"seed {options.seed}, device {options.device}")
    failed = []
    for name in wanted:
        with tempfile.TemporaryDirectory() as folder:
            try:
                for line in checks[name](program, options.seed, Path(folder)):
                    print(f"{name}: {line}", flush=True)
            except (AssertionError, RuntimeError):
                traceback.print_exc()
                failed.append(name)
    print(f"{len(wanted) - len(failed)} of {len(wanted)} live checks passed" + (f"; failed: {', '.join(failed)}" if failed else ""))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
