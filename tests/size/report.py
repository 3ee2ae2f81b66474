#!/usr/bin/env python3
"""What the library for apps weighs, and what each crate in it does.

`report.py STRIPPED UNSTRIPPED BUDGET PREFIX`: the file as it ships, the same with its symbols, a table of budgets
(tests/size/budget.tsv), and what the names of its machine's binutils begin with. Prints a line a crate, then one JSON object. Ends with 1 where a budget is passed.

Code and named data are counted by the crate whose name stands first in their symbol; of a function of one crate that is
made for a type of another, that is the function's. What has no symbol (strings, tables without a name, unwinding) is the
rest of its section.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

# `<alloc::vec::Vec<T> as Trait>::method` begins with the type: its crate is the first path in it.
CRATE = re.compile(r"[<&*\[( ]*(?:dyn |mut |const )*([A-Za-z_][A-Za-z0-9_]*)(?:\[[0-9a-f]+\])?::")
SQLITE = re.compile(r"^_*(sqlite3|fts[35]|btree|vdbe|pager|wal|where|expr|select|json|rtree|yy|sql|unix|pcache|mem[0-9]|os_)", re.I)


def crate_of(symbol: str) -> str:
    found = CRATE.match(symbol)
    if found:
        return found.group(1)
    return "sqlite3 (C)" if SQLITE.match(symbol) else "other C and anonymous"


def sizes(library: Path, prefix: str) -> Counter:
    """Bytes by crate, of every symbol that has a size."""
    listed = subprocess.run(
        [f"{prefix}nm", "--demangle", "--print-size", "--defined-only", library], check=True, capture_output=True, text=True
    ).stdout
    found, seen = Counter(), set()
    for line in listed.splitlines():
        parts = line.split(maxsplit=3)
        if len(parts) < 4 or len(parts[1]) != 16:
            continue
        place, size, kind, name = parts
        # Functions that came out alike share a place.
        if kind in "tTrRdD" and place not in seen:
            seen.add(place)
            found[crate_of(name)] += int(size, 16)
    return found


def sections(library: Path, prefix: str) -> dict:
    listed = subprocess.run([f"{prefix}size", "-A", library], check=True, capture_output=True, text=True).stdout
    rows = (line.split() for line in listed.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[0].startswith(".") and int(row[2])}


def budgets(table: Path) -> dict:
    rows = (line.split("\t") for line in table.read_text().splitlines() if line and not line.startswith("#"))
    return {row[0]: float(row[1]) * 1e6 for row in rows}


def main() -> int:
    stripped, unstripped, table = map(Path, sys.argv[1:4])
    prefix = sys.argv[4]
    whole, crates, allowed = stripped.stat().st_size, sizes(unstripped, prefix), budgets(table)
    passed = {}
    if whole > allowed["whole"]:
        passed["whole"] = whole
    print(f"{stripped.name}: {whole / 1e6:.2f} MB stripped, {allowed['whole'] / 1e6:.1f} MB allowed")
    for name, size in sorted(sections(stripped, prefix).items(), key=lambda section: -section[1])[:8]:
        print(f"  {name:<24} {size / 1e6:6.2f} MB")
    rest = allowed["any other crate"]
    for crate, size in crates.most_common():
        budget = allowed.get(crate, rest)
        if size > budget:
            passed[crate] = size
        if size > 50_000:
            print(f"  {crate:<24} {size / 1e6:6.2f} MB of {budget / 1e6:.2f}")
    for name, size in passed.items():
        print(f"over its budget: {name}, {size / 1e6:.2f} MB of {allowed.get(name, rest) / 1e6:.2f}")
    print(json.dumps({"stripped_bytes": whole, "crates": dict(crates.most_common()), "over": sorted(passed)}))
    return 1 if passed else 0


if __name__ == "__main__":
    sys.exit(main())
