#!/usr/bin/env python3
"""Names what Dokka found public and undocumented: documented.py DOKKA.log"""

import pathlib
import re
import sys

UNDOCUMENTED = re.compile(r"Undocumented: (\S+)")
# What the compiler adds to every enumeration and record, what carries no comment of its own (a companion), and what the
# bindings' generated source needs in public for itself.
NOT_OURS = re.compile(
    r"/(values|valueOf|entries|component\d+|copy|equals|hashCode|toString|close|destroy)/|Companion"
    r"|/(EngineException|FfiConverter|Uniffi|RustBuffer|ForeignBytes|Disposable|NoHandle|NoPointer"
    r"|IntegrityChecking|InternalException)"
)


def main():
    found = sorted(set(UNDOCUMENTED.findall(pathlib.Path(sys.argv[1]).read_text())))
    # An enumeration's values alone are many.
    if not found:
        return "Dokka looked at nothing"
    ours = [name for name in found if not NOT_OURS.search(name)]
    print("\n".join(ours) or "all that is public is documented")
    return "these have no comment" if ours else 0


if __name__ == "__main__":
    sys.exit(main())
