#!/usr/bin/env python3
"""What the gate says on real writers and on poisoned histories: `gate.py PROGRAM MODEL [--writers W...] [--messages N]`.

Each writer's messages of `../shared/data/users` become a profile of their own and are learned from; then the same history
is poisoned, wholly and in part. One JSON object a run, and a summary at the end.
"""

import argparse
import json
import random
import string
import subprocess
import sys
import tempfile
from pathlib import Path

USERS = Path(__file__).resolve().parents[3] / "shared" / "data" / "users"

# How much of a history is poison: all of it, or three messages in ten.
POISONS = {
    "random": lambda draw: "".join(draw.choices(string.ascii_letters + string.digits + " ", k=draw.randrange(12, 60))),
    "repeated": lambda draw: "buy the golden ticket today",
    "varied": lambda draw: f"buy the golden ticket today {draw.choice(['!', '!!', ' ok', ' now', ' pls'])} {draw.randrange(100)}",
}


SHOWN = ("reason", "strength", "later_before", "later_after")

# The writer's own messages after those of the history: what a poisoned adapter must not have spoiled.
LATER = 200


def messages(writer: str) -> list[str]:
    with open(USERS / f"{writer}.jsonl", encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def write(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def learn(program: Path, model: Path, texts: list[str], later: list[str], device: str, options: list[str]) -> dict:
    """The report of the training, with the loss of the later messages before and after where it was promoted."""
    with tempfile.TemporaryDirectory() as folder:
        profile, adapter = Path(folder) / "profile", Path(folder) / "adapter"
        history, later_file = write(Path(folder) / "history.jsonl", texts), write(Path(folder) / "later.jsonl", later)

        def run(*arguments):
            done = subprocess.run([program, *arguments, "--json"], capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(done.stderr.strip())
            return json.loads(done.stdout.splitlines()[-1])

        run("history", "add", profile, history)
        report = run("train", "--profile", profile, "--model", model, "--device", device, *options)
        if report["verdict"]["decision"] == "promoted":
            run("adapters", "export", profile, adapter, "--model", model)
            eval_ = ("eval", model, "--text", later_file, "--device", device)
            report["later_before"], report["later_after"] = run(*eval_)["nll"], run(*eval_, "--adapter", adapter)["nll"]
        return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--writers", nargs="+", default=sorted(path.stem for path in USERS.glob("*.jsonl")))
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--poisons", nargs="*", default=list(POISONS))
    parser.add_argument("options", nargs="*", help="more options of `idiolect train`, after --")
    options = parser.parse_args()
    program, model = options.program.resolve(), options.model.resolve()
    wrong = []
    for writer in options.writers:
        written = messages(writer)
        clean, later = written[: options.messages], written[options.messages :][:LATER] or written[-LATER:]
        draw = random.Random(writer)
        runs = [("clean", clean)]
        for name in options.poisons:
            poison = [POISONS[name](draw) for _ in clean]
            runs.append((f"all {name}", poison))
            mixed = [draw.choice(pair) if draw.random() < 0.6 else pair[0] for pair in zip(clean, poison)]
            runs.append((f"30 % {name}", mixed))
        for kind, texts in runs:
            report = learn(program, model, texts, later, options.device, options.options)
            shown = {**report["verdict"], **{key: report.get(key) for key in SHOWN}}
            print(json.dumps({"writer": writer, "history": kind, **shown}), flush=True)
            decision = report["verdict"]["decision"]
            promoted = decision == "promoted"
            harmful = promoted and report["later_after"] > report["later_before"]
            if harmful or kind.startswith("all") and promoted or kind == "clean" and not promoted:
                wrong.append(f"{writer}, {kind}: {decision}")
    print(json.dumps({"writers": len(options.writers), "wrong": wrong}))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
