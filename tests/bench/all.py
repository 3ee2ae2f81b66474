#!/usr/bin/env python3
"""`tests/run bench`: the program and its peer on the published model, one after the other in one run.

    all.py IDIOLECT MODEL.gguf

Prints a line a figure, and last one JSON object of all of them: the last line of standard output, also of `tests/run
bench`. A ratio says more than a speed: machines differ. Beside the most that the process held stands what its plan said.
"""

import json
import subprocess
import sys
from pathlib import Path

PEER = Path(__file__).resolve().parent / "train_peft.py"


def last_object(command: list[str]) -> dict:
    """What `command` prints as its last line."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    program, model = sys.argv[1:]
    figures = {device: last_object([program, "bench", model, "--device", device, "--json"]) for device in ("cpu", "gpu")}
    figures["peft_f32"] = last_object([sys.executable, "-W", "ignore", str(PEER), model])
    figures["train_cpu_over_peft_f32"] = (
        figures["cpu"]["train_tokens_per_second"] / figures["peft_f32"]["train_tokens_per_second"]
    )
    figures["peak_cpu_over_planned"] = figures["cpu"]["peak_process_bytes"] / figures["cpu"]["planned_bytes"]
    figures["peak_cpu_over_peft_f32"] = figures["cpu"]["peak_process_bytes"] / figures["peft_f32"]["peak_bytes"]
    for name, figure in figures.items():
        print(f"{name}: {json.dumps(figure)}")
    print(json.dumps(figures, separators=(",", ":")))


if __name__ == "__main__":
    main()
