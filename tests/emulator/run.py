#!/usr/bin/env python3
"""Runs what cargo built for arm64 in qemu's user mode: run.py DEBIAN BUILT.json KOTLIN SCRATCH

DEBIAN is the root of an arm64 Debian with Mesa's software Vulkan and a JVM, BUILT.json what `cargo test --no-run
--message-format json` printed, KOTLIN the folder with the Kotlin facade's and its tests' classes.
"""

import json
import os
import pathlib
import subprocess
import sys

# A package's folder, a target in it, and which of its tests: all of them, or those with these names. What computes for long
# is left to machines that are there: an emulator makes a hundredth of their speed.
TESTS = [
    ("kernels", "idiolect_kernels", []),
    ("kernels", "cpu", []),
    ("kernels", "gpu", ["vulkan::lora"]),
    ("core", "idiolect", ["disk::", "format::", "model::", "seal::", "text::"]),
    ("core", "golden_tokenizers", []),
]

# Of the Kotlin facade's tests, but for the one that trains.
KOTLIN = ["--select-class=FilesTest", "--select-class=HistoryTest", "--exclude-methodname=.*removes messages.*"]


class Built:
    """What cargo built: the tests by their package's folder and their target, the program and the library for apps."""

    def __init__(self, messages):
        self.tests = {}
        for message in map(json.loads, messages):
            if message["reason"] != "compiler-artifact":
                continue
            target = message["target"]["name"]
            for file in map(pathlib.Path, message["filenames"]):
                if file.name == "libidiolect_ffi.so":
                    self.library = file
            if message["executable"] and message["profile"]["test"]:
                package = os.path.relpath(os.path.dirname(message["manifest_path"]))
                self.tests[package, target] = message["executable"]
            elif message["executable"] and target == "idiolect":
                self.program = pathlib.Path(message["executable"])


def kotlin_tests(debian, kotlin, library):
    """The JVM's command for the facade's tests in folder `kotlin`, on the library."""
    java = next(debian.glob("usr/lib/jvm/java-*-openjdk-arm64/bin/java"))
    classes = [kotlin / "tests", kotlin / "facade", kotlin / "bindings", (kotlin / "classpath").read_text()]
    return [
        java, f"-Djna.library.path={library.parent}", "-Didiolect.model=bindings/cli/assets/base",
        "-Didiolect.history=bindings/cli/assets/history.jsonl", "-cp", ":".join(map(str, classes)),
        "org.junit.platform.console.ConsoleLauncher", "execute", "--disable-banner", "--disable-ansi-colors",
        "--details=tree", *KOTLIN,
    ]  # fmt: skip


def run(what, command, folder):
    print(f"\n== {what}", flush=True)
    subprocess.run(command, cwd=folder, check=True)


def main():
    debian, built, kotlin, scratch = map(pathlib.Path, sys.argv[1:])
    qemu = ["qemu-aarch64", "-L", str(debian)]
    # Of the drivers there, the software one.
    driver = next(debian.glob("usr/share/vulkan/icd.d/lvp_icd*.json"))
    os.environ["VK_DRIVER_FILES"] = f"/{driver.relative_to(debian)}"
    built = Built(built.read_text().splitlines())
    run("idiolect demo", [*qemu, built.program, "demo", "--steps", "2"], scratch)
    run("a profile's life", [pathlib.Path(__file__).with_name("life.py").absolute(), scratch, *qemu, built.program], ".")
    for package, target, names in TESTS:
        # Under cargo, too, a test's folder is its package's.
        run(f"{package}: {target}", [*qemu, built.tests[package, target], *names], package)
    run("the Kotlin facade on the JVM", [*qemu, *kotlin_tests(debian, kotlin, built.library)], ".")


if __name__ == "__main__":
    sys.exit(main())
