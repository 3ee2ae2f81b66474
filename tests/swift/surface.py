#!/usr/bin/env python3
"""Compares the Swift package's public surface with what is stored: surface.py SYMBOLS API.txt

SYMBOLS is the folder that `swiftc -emit-symbol-graph-dir` wrote to. IDIOLECT_WRITE_API=1 stores what is there now.
"""

import difflib
import json
import os
import pathlib
import sys

# What the bindings' generated source needs in public for itself.
GENERATED = ("FfiConverter", "uniffi", "UniFFI")


def lines(graph):
    for symbol in graph["symbols"]:
        path = symbol["pathComponents"]
        # What the compiler adds to every type of a protocol, such as != to all that is Equatable, is its own.
        if "::SYNTHESIZED::" in symbol["identifier"]["precise"] or path[0].startswith(GENERATED):
            continue
        declaration = "".join(fragment["spelling"] for fragment in symbol["declarationFragments"])
        yield f"{'.'.join(path)}: {' '.join(declaration.split())}"


def main():
    graphs = (json.loads(file.read_text()) for file in pathlib.Path(sys.argv[1]).glob("Idiolect[.@]*symbols.json"))
    found = sorted({line for graph in graphs for line in lines(graph)})
    stored = pathlib.Path(sys.argv[2])
    if os.environ.get("IDIOLECT_WRITE_API"):
        stored.write_text("\n".join(found) + "\n")
    difference = list(difflib.unified_diff(stored.read_text().splitlines(), found, str(stored), "the package", lineterm="", n=0))
    print("\n".join(difference) or f"{len(found)} public declarations, as {stored} has them")
    if difference:
        return "the surface is another: IDIOLECT_WRITE_API=1 tests/run swift stores it, and CHANGELOG.md says so"


if __name__ == "__main__":
    sys.exit(main())
