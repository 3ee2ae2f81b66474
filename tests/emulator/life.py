#!/usr/bin/env python3
"""A profile's life, short enough for an emulator: life.py SCRATCH COMMAND...

COMMAND is the program, with its emulator in front. One training runs whole; another is killed at its first checkpoint and
goes on to the same candidate, bit for bit; then the profile is erased.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import time

MESSAGES = 60
ASSETS = pathlib.Path("bindings/cli/assets").absolute()


class Life:
    def __init__(self, scratch, command):
        self.scratch, self.command = pathlib.Path(scratch), command

    def run(self, *arguments):
        """What the command prints last."""
        done = subprocess.run([*self.command, *arguments, "--json"], cwd=self.scratch, check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout.splitlines()[-1])

    def training(self, profile):
        model = str(ASSETS / "base")
        settings = ["--device", "cpu", "--steps", "2", "--checkpoint-seconds", "0.02"]
        return ["train", "--profile", profile, "--model", model, *settings]

    def begin(self):
        """Two profiles with the same messages."""
        lines = (ASSETS / "history.jsonl").read_text().splitlines(keepends=True)
        (self.scratch / "some.jsonl").write_text("".join(lines[:MESSAGES]))
        self.run("history", "add", "whole", "some.jsonl")
        shutil.copytree(self.scratch / "whole", self.scratch / "killed")

    def kill(self, profile):
        """Begins a training, and kills it at its first checkpoint."""
        checkpoints = self.scratch / profile / "checkpoints"
        training = subprocess.Popen([*self.command, *self.training(profile)], cwd=self.scratch, stdout=subprocess.DEVNULL)
        while not list(checkpoints.glob("training-*")):
            assert training.poll() is None, "it ended before its first checkpoint"
            time.sleep(0.01)
        training.kill()
        training.wait()

    def live(self):
        self.begin()
        expected = self.run(*self.training("whole"))["candidate_sha256"]
        self.kill("killed")
        report = self.run(*self.training("killed"))
        assert report["resumed"], "it began anew"
        assert report["candidate_sha256"] == expected, "it went on to another candidate"
        print(f"killed and resumed: candidate {expected}, as the one that ran whole")
        for profile in ["whole", "killed"]:
            self.run("erase", profile, "--yes")
            assert not (self.scratch / profile).exists(), f"something is left of {profile}"
        print("erased")


if __name__ == "__main__":
    Life(sys.argv[1], sys.argv[2:]).live()
