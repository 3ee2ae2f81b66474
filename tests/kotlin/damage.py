"""Writes a copy of a library one of whose functions does nothing: `damage.py LIBRARY FUNCTION COPY` (64-bit ELF)."""

import struct
import sys

# "return", as the machine has it.
RETURN = {62: b"\xc3", 183: b"\xc0\x03\x5f\xd6"}
DYNSYM = 11
EXECUTABLE = 4


def sections(library):
    offset, = struct.unpack_from("<Q", library, 0x28)
    size, count = struct.unpack_from("<HH", library, 0x3A)
    # name, type, flags, address, offset, size, link, info, alignment, entry's size
    return [struct.unpack_from("<IIQQQQIIQQ", library, offset + size * number) for number in range(count)]


def address_of(library, function, found):
    symbols = next(section for section in found if section[1] == DYNSYM)
    strings = found[symbols[6]][4]
    for offset in range(symbols[4], symbols[4] + symbols[5], symbols[9]):
        name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", library, offset)
        if library[strings + name:library.index(b"\0", strings + name)] == function.encode():
            return value
    sys.exit(f"{sys.argv[1]} has no function {function}")


def main():
    source, function, copy = sys.argv[1:]
    with open(source, "rb") as file:
        library = bytearray(file.read())
    found = sections(library)
    address = address_of(library, function, found)
    code = next(section for section in found if section[2] & EXECUTABLE and 0 <= address - section[3] < section[5])
    offset = address - code[3] + code[4]
    nothing = RETURN[struct.unpack_from("<H", library, 0x12)[0]]
    library[offset:offset + len(nothing)] = nothing
    with open(copy, "wb") as file:
        file.write(library)


main()
