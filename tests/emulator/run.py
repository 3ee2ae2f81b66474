#!/usr/bin/env python3
"""Runs what cargo built for another machine in qemu's user mode: run.py QEMU BUILT.json SCRATCH

QEMU is the emulator with its options, BUILT.json what `cargo test --no-run --message-format json` printed. The program
itself is put behind a script of its name, by which tests that start it, emulated themselves, start it emulated.
"""

import json
import os
import pathlib
import shlex
import subprocess
import sys

# A package's folder, a target in it, and which of its tests: all of them, or those with these names.
TESTS = [
    ("kernels", "idiolect_kernels", []),
    ("kernels", "cpu", []),
    ("core", "idiolect", []),
    ("core", "formats", []),
    ("core", "golden_tokenizers", []),
    ("bindings/cli", "program", ["profile::", "results::"]),
    ("bindings/cli", "lifecycle", ["a killed training goes on"]),
    ("bindings/cli", "lifecycle", ["one trains, others add"]),
]


def executables(messages):
    """The tests by their package's folder and their target, and the program."""
    tests, program = {}, None
    for message in map(json.loads, messages):
        if message["reason"] != "compiler-artifact" or not message["executable"]:
            continue
        target, executable = message["target"]["name"], pathlib.Path(message["executable"])
        if message["profile"]["test"]:
            tests[os.path.relpath(os.path.dirname(message["manifest_path"])), target] = executable
        elif target == "idiolect":
            program = executable
    return tests, program


def put_behind_script(program, qemu):
    real = program.with_name(program.name + ".emulated")
    # Of an earlier run it may be a link to the same file, which would not move.
    real.unlink(missing_ok=True)
    program.replace(real)
    program.write_text(f'#!/bin/sh\nexec {shlex.join([*qemu, str(real)])} "$@"\n')
    program.chmod(0o755)


def run(what, command, folder):
    print(f"\n== {what}", flush=True)
    subprocess.run(command, cwd=folder, check=True)


def main():
    qemu, built, scratch = shlex.split(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    tests, program = executables(built.read_text().splitlines())
    run("idiolect demo", [*qemu, program, "demo"], scratch)
    put_behind_script(program, qemu)
    for package, target, names in TESTS:
        # Under cargo, too, a test's folder is its package's.
        run(f"{package}: {target}", [*qemu, tests[package, target], *names], package)


if __name__ == "__main__":
    sys.exit(main())
