"""Makes identity_numbers.json: numbers that python-stdnum calls valid and invalid, for each number that the privacy
filter's table (core/src/privacy/words/identity_numbers.tsv) and python-stdnum both have.

    pip install python-stdnum==2.2
    python tests/goldens/identity_numbers.py
"""

import importlib
import json
import random
import re._constants as regex
import re._parser
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE / "../../core/src/privacy/words/identity_numbers.tsv"
COUNT = 12

# Where the table asks nothing but a date, an invalid number is one whose month, at this place, is none.
MONTHS = {"cu.ni": 2, "dk.cpr": 2, "id.nik": 8, "kr.rrn": 2, "mx.rfc": 6, "my.nric": 2}

# The sign of the century, which the table's form leaves out.
WRITTEN = {"fi.hetu": lambda number: number if len(number) == 11 else f"{number[:6]}-{number[6:]}"}


def sample(parsed, stream):
    """A random string of a parsed regular expression."""
    out = ""
    for kind, value in parsed:
        match kind:
            case regex.LITERAL:
                out += chr(value)
            case regex.IN:
                out += stream.choice(sorted(characters(value)))
            case regex.MAX_REPEAT:
                low, high, inner = value
                out += "".join(sample(inner, stream) for _ in range(stream.randint(low, high)))
            case regex.SUBPATTERN:
                out += sample(value[3], stream)
            case regex.BRANCH:
                out += sample(stream.choice(value[1]), stream)
            case _:
                raise ValueError(kind)
    return out


def characters(members):
    out = set()
    for kind, value in members:
        match kind:
            case regex.LITERAL:
                out.add(chr(value))
            case regex.RANGE:
                out |= {chr(code) for code in range(value[0], value[1] + 1)}
            case regex.CATEGORY:
                out |= set("0123456789")
            case _:
                raise ValueError(kind)
    return out


def changed(number, name, stream):
    """The number with another month that is none, or with one character replaced by another of its kind."""
    if at := MONTHS.get(name):
        return number[:at] + stream.choice(["00", *(str(month) for month in range(13, 20))]) + number[at + 2 :]
    at = stream.randrange(len(number))
    kinds = ["0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    kind = next((kind for kind in kinds if number[at] in kind), None)
    return number[:at] + stream.choice(kind) + number[at + 1 :] if kind else number


def is_valid(module, number):
    try:
        return module.is_valid(number)
    except KeyError:
        # China's list of places has provinces without counties.
        return False


def main():
    golden = {}
    for line in TABLE.read_text().splitlines():
        if line.startswith("#"):
            continue
        name, form, _, check = line.split("\t")
        try:
            module = importlib.import_module(f"stdnum.{name}")
        except ModuleNotFoundError:
            continue
        stream = random.Random(line)
        parsed = re._parser.parse(form)
        written = WRITTEN.get(name, lambda number: number)
        valid, invalid = set(), set()
        while len(valid) < COUNT:
            number = sample(parsed, stream)
            if is_valid(module, written(number)):
                valid.add(number)
        pool = sorted(valid)
        # A number without check and date cannot be told to be wrong but by its form.
        other = (lambda: stream.choice(pool)[:-1]) if check == "-" else (lambda: changed(stream.choice(pool), name, stream))
        tries = 0
        while len(invalid) < COUNT and (tries := tries + 1) < 100_000:
            number = other()
            if not is_valid(module, written(number)):
                invalid.add(number)
        entry = golden.setdefault(name, {"valid": [], "invalid": []})
        entry["valid"] += pool
        entry["invalid"] += sorted(invalid)
    text = json.dumps(golden, indent=1, sort_keys=True, ensure_ascii=False)
    (HERE / "identity_numbers.json").write_text(text + "\n")


main()
