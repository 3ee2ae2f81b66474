#!/usr/bin/env python3
"""Make the goldens of the published model beyond parity: `python tests/goldens/published.py [greedy] [loss] [learn]`.

- `greedy.json`: what transformers answers greedily to ten prompts, plain and as a chat turn.
- `loss.json`: the loss on 2,000 tokens of a person's messages, and some logits' checks.
- `learn.json`: what PEFT gains on held-out messages, in the full run of `idiolect train`'s defaults (about 7 minutes on
  two cores) and in a short one for slow devices.

The messages are those of `../shared/data/users/nus_sms_a.jsonl`, which may not be copied here: the goldens hold the
SHA-256 of the rows of ids that are made of them (as compact JSON), and figures.
"""

import hashlib
import importlib.metadata
import json
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import AutoTokenizer

import adapters
import make
import models
import portable
import reference
from cases import ALL

DESTINATION = models.GOLDENS / "published"
MESSAGES, HELD_OUT, EPOCHS, LONGEST_SAMPLE = 1000, 100, 3, 256
NEW_TOKENS = 40

PROMPTS = [
    "What is the capital of France?",
    "Once upon a time, there was a lighthouse keeper who",
    "Write a short message to a friend who missed the train.",
    "The three primary colours are",
    "How do I keep basil alive on a windowsill?",
    "List five things to pack for a rainy weekend.",
    "def fibonacci(n):",
    "Why is the sky blue?",
    "My grandmother's kitchen always smelled of",
    "Translate 'good morning' into Spanish, French and German.",
]


def open_published():
    file = make.published()
    return models.load_gguf(file), AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)


def answer(model, tokenizer, prompt: str, chat: bool) -> dict:
    """`NEW_TOKENS` greedy tokens, or up to the end-of-turn token. `margin` is the smallest lead of a chosen logit over the
    next one: a figure that rounding could overturn would be no test."""
    text = prompt
    if chat:
        turn = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    given = tokenizer(text, add_special_tokens=False)["input_ids"]
    output = model.generate(torch.tensor([given]), do_sample=False, max_new_tokens=NEW_TOKENS, output_logits=True,
                            return_dict_in_generate=True, eos_token_id=tokenizer.eos_token_id,
                            pad_token_id=tokenizer.eos_token_id)  # fmt: skip
    new = output.sequences[0, len(given) :].tolist()
    margin = min(first - second for first, second in (step[0].topk(2).values.tolist() for step in output.logits))
    return {"prompt": prompt, "chat": chat, "prompt_ids": given, "ids": new, "margin": margin,
            "text": tokenizer.decode(new, skip_special_tokens=True)}  # fmt: skip


def greedy() -> dict:
    model, tokenizer = open_published()
    answers = [answer(model, tokenizer, prompt, chat) for prompt in PROMPTS for chat in (False, True)]
    for given in answers:
        print(f"{given['margin']:.4f} {'chat' if given['chat'] else 'plain'}: {given['text']!r}", flush=True)
    return {"max_new_tokens": NEW_TOKENS, "answers": answers}


def sample(tokenizer, text: str) -> list[int]:
    """A message as it is trained on: document start, the text's ids (control tokens in it are text), end of turn."""
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    start, end = (tokenizer.convert_tokens_to_ids(token) for token in ("<|endoftext|>", "<|im_end|>"))
    return [start, *ids, end]


def messages(tokenizer) -> list[list[int]]:
    """The first thousand messages as samples, in the file's order."""
    with open(models.SHARED / "users" / "nus_sms_a.jsonl", encoding="utf-8") as file:
        samples = [sample(tokenizer, json.loads(next(file))["text"]) for _ in range(MESSAGES)]
    assert max(map(len, samples)) <= LONGEST_SAMPLE
    return samples


def digest(rows: list[list[int]]) -> str:
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def loss() -> dict:
    """The mean loss over the first messages that make up 2,000 predictions (the last one cut to fit)."""
    model, tokenizer = open_published()
    rows, predictions = [], 0
    for row in messages(tokenizer):
        row = row[: 2001 - predictions]
        rows.append(row)
        predictions += len(row) - 1
        if predictions == 2000:
            break
    return {"rows": len(rows), "rows_sha256": digest(rows), "tokens": predictions, "nll": reference.evaluate(model, rows)}


def split(samples: list[list[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """The training rows of three epochs, each shuffled anew, and the held-out rows."""
    shuffled = portable.shuffled("nus_sms_a/split", samples)
    training, held_out = shuffled[:-HELD_OUT], shuffled[-HELD_OUT:]
    return [row for e in range(EPOCHS) for row in portable.shuffled(f"nus_sms_a/epoch {e}", training)], held_out


def default_rate(steps: int, lr: float = 2e-3, warmup: int = 10, min_lr_ratio: float = 0.05):
    """`idiolect train`'s default schedule: warm-up, then linear down to a share of the rate."""
    return lambda k: lr * min(1.0, (k + 1) / warmup) * max(min_lr_ratio, 1 - k / steps)


@torch.no_grad()
def top3(model, rows: list[list[int]]) -> float:
    """The share of predictions whose token is among the three likeliest."""
    hits = [(reference.logits(model, row)[:-1].topk(3).indices == torch.tensor(row[1:])[:, None]).any(1) for row in rows]
    return torch.cat(hits).double().mean().item()


def learn_run(training: list[list[int]], held_out: list[list[int]], steps: int, accumulate: int, warmup: int) -> dict:
    """The held-out loss before and after `steps` steps from an adapter with generated A and B = 0."""
    model, tokenizer = open_published()
    before = {"nll": reference.evaluate(model, held_out), "top3": top3(model, held_out)}
    adapter = adapters.describe("learn", model.config, rank=8, alpha=16, targets=ALL, b_amplitude=0.0)
    with tempfile.TemporaryDirectory() as scratch:
        adapters.write(adapter, Path(scratch))
        model = reference.with_adapter(model, Path(scratch))
    start = time.time()
    course = reference.train(model, training, steps=steps, accumulate=accumulate, rate=default_rate(steps, warmup=warmup),
                             clip=1.0)  # fmt: skip
    seconds = time.time() - start
    after = {"nll": reference.evaluate(model, held_out), "top3": top3(model, held_out)}
    empty = torch.tensor([[tokenizer.convert_tokens_to_ids("<|endoftext|>")]])
    written = model.generate(input_ids=empty, do_sample=False, max_new_tokens=NEW_TOKENS, eos_token_id=tokenizer.eos_token_id,
                             pad_token_id=tokenizer.eos_token_id)  # fmt: skip
    print(f"{steps} steps, {seconds:.0f} s: {before} -> {after}", tokenizer.decode(written[0, 1:]), flush=True)
    return {
        "training_rows": len(training), "training_sha256": digest(training),
        "held_out_rows": len(held_out), "held_out_sha256": digest(held_out),
        "settings": {"steps": steps, "accumulate": accumulate, "warmup": warmup, "lr": 2e-3, "schedule": "linear",
                     "min_lr_ratio": 0.05, "clip": 1.0, "weight_decay": 0.0},
        "before": before, "after": after, "losses": course.losses, "seconds": round(seconds, 1),
    }  # fmt: skip


def learn() -> dict:
    _, tokenizer = open_published()
    training, held_out = split(messages(tokenizer))
    config = models.load_gguf(make.published()).config
    return {
        # Where both runs start: rank 8 on all seven linears, alpha 16.
        "adapter": adapters.describe("learn", config, rank=8, alpha=16, targets=ALL, b_amplitude=0.0),
        "full": learn_run(training, held_out, steps=len(training) // 16, accumulate=16, warmup=10),
        "short": learn_run(training[:60], held_out[:30], steps=15, accumulate=4, warmup=3),
    }


def main() -> None:
    makers = {"greedy": greedy, "loss": loss, "learn": learn}
    wanted = sys.argv[1:] or list(makers)
    if unknown := set(wanted) - set(makers):
        sys.exit(f"no such golden: {', '.join(sorted(unknown))}")
    DESTINATION.mkdir(exist_ok=True)
    made_with = {library: importlib.metadata.version(library) for library in ("torch", "transformers", "peft", "gguf")}
    for name in wanted:
        golden = {"made_with": made_with, **makers[name]()}
        (DESTINATION / f"{name}.json").write_text(make.readable(golden))


if __name__ == "__main__":
    main()
