#!/usr/bin/env python3
"""`tests/run bench`: the program and its peer on the published model, in one run.

    all.py IDIOLECT MODEL.gguf

Prints a line a figure, and last one JSON object of all of them: the last line of standard output, also of `tests/run
bench`. A ratio says more than a speed: machines differ, and one machine from minute to minute. So program and peer take
turns, and the middle one of the ratios of their training speeds counts. Beside the most that the process held stands what
its plan said.
"""

import json
import subprocess
import sys
from pathlib import Path

# Odd, so that one is in the middle.
TURNS = 3
PEER = Path(__file__).resolve().parent / "train_peft.py"


def last_object(command: list[str]) -> dict:
    """What `command` prints as its last line."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def trained_faster(turn: tuple[dict, dict]) -> float:
    """How many tokens of training the first one takes while the second takes one."""
    return turn[0]["train_tokens_per_second"] / turn[1]["train_tokens_per_second"]


def main() -> None:
    program, model = sys.argv[1:]
    ours = {device: [program, "bench", model, "--device", device, "--json"] for device in ("cpu", "gpu")}
    peer = [sys.executable, "-W", "ignore", str(PEER), model]
    # By their ratio, so that the speeds that are printed are of one turn.
    turns = sorted(((last_object(ours["cpu"]), last_object(peer)) for _ in range(TURNS)), key=trained_faster)
    figures = dict(zip(("cpu", "peft_f32"), turns[TURNS // 2])) | {"gpu": last_object(ours["gpu"])}
    figures["train_cpu_over_peft_f32"] = trained_faster(turns[TURNS // 2])
    figures["train_cpu_over_peft_f32_of_all_turns"] = [trained_faster(turn) for turn in turns]
    figures["peak_cpu_over_planned"] = figures["cpu"]["peak_process_bytes"] / figures["cpu"]["planned_bytes"]
    figures["peak_cpu_over_peft_f32"] = figures["cpu"]["peak_process_bytes"] / figures["peft_f32"]["peak_bytes"]
    for name, figure in figures.items():
        print(f"{name}: {json.dumps(figure)}")
    print(json.dumps(figures, separators=(",", ":")))


if __name__ == "__main__":
    main()
