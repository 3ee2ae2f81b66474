#!/usr/bin/env python3
"""Checks that native libraries are aligned to pages of 16 KB, as phones with such pages demand: .so files, or the
lib/*/*.so and jni/*/*.so of .apk and .aar files. Says what is not, and fails then."""

import struct
import sys
import zipfile

PAGE = 16384
LOAD = 1


def alignments(elf):
    """The alignment of each loaded segment of an ELF file."""
    if elf[:4] != b"\x7fELF":
        raise ValueError("not an ELF file")
    order = "<" if elf[5] == 1 else ">"
    if elf[4] == 2:
        (table,), (size, count) = struct.unpack_from(order + "Q", elf, 32), struct.unpack_from(order + "HH", elf, 54)
        place, form = 48, order + "Q"
    else:
        (table,), (size, count) = struct.unpack_from(order + "I", elf, 28), struct.unpack_from(order + "HH", elf, 42)
        place, form = 28, order + "I"
    headers = [elf[table + i * size : table + (i + 1) * size] for i in range(count)]
    return [struct.unpack_from(form, h, place)[0] for h in headers if struct.unpack_from(order + "I", h)[0] == LOAD]


def libraries(path):
    """The native libraries of a file, with their names."""
    if not zipfile.is_zipfile(path):
        yield path, open(path, "rb").read()
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith(("lib/", "jni/")) and name.endswith(".so"):
                yield f"{path}!{name}", archive.read(name)


def main(paths):
    bad = 0
    for path in paths:
        found = False
        for name, elf in libraries(path):
            found = True
            least = min(alignments(elf))
            if least < PAGE:
                bad += 1
                print(f"{name}: aligned to {least} bytes, not {PAGE}: link with -Wl,-z,max-page-size={PAGE}")
        if not found:
            print(f"{path}: no native library in it")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
