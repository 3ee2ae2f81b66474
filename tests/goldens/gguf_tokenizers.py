#!/usr/bin/env python3
"""Makes `gguf_tokenizers/`: `python tests/goldens/gguf_tokenizers.py`.

What Hugging Face's `tokenizers` makes of lines in many scripts, by the pre-tokenizers that GGUF files name and by two
vocabularies of scored pieces, in the form in which llama.cpp's converter writes them. The published vocabularies are
large, so small ones are trained here; what cuts a text and what scores mean is the published tokenizers'.
"""

import json
import unicodedata
from collections import Counter
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers.tokenization_utils_base import generate_merges

GOLDENS = Path(__file__).parent
DESTINATION = GOLDENS / "gguf_tokenizers"
DECLARATION = GOLDENS.parent.parent / "core/src/gate/generic/udhr"

LINES_PER_LANGUAGE, LONGEST_LINE = 6, 44  # characters
MERGES, PIECES, CHARACTERS = 1200, 700, 300

# What rules differ in: English endings, digits, case, marks, runs of white space, line ends, symbols.
EDGES = [
    "I'll don't we've IT'S you'Re he'D 'tis rock'n'roll O'Neill's", "'s 'S 'ſ ’s 'tS", "a'lL We'Ve 'RE 'M",
    "0 12 345 6789 01234 567890 1234567", "3.14 1,000,000 1/2 ½ ²³ Ⅷ ٣٤٥٦ १२३४५ 三十", "x1y22z333w4444", "2024-05-06T07:08:09Z",
    "camelCase PascalCase HTTPServer iPhone eBook McDonald XMLHttpRequest", "ǅungla ʰ ªº ÀÉÎ àéî ŒœÆæ ẞß",
    "café café naïve naïve Å Å ﬁ ﬂ", "é à́ ṩ ṩ 각 가", "Z͑ͫ̓a̡l̀g̛o",
    "  two  spaces  and   three    four     five", " leading", "trailing ", "   ", " ", "      six", "a\u00a0b\u2003c\u3000d\u200be",
    "tab\ttab\t\tend\t", "\t\t\tindented", " \t mixed \t ", "line\nline\n\nline\n\n\nline", "\n", "\n\n", "\r\n", "a\r\nb\r\n\r\nc", "a \n b\n ",
    "if (x == 1) {\n    return y[0] / 2;\n}\n", "fn f<'a>(s: &'a str) -> u8 { s.len() as u8 } // ok", "path/to/file.txt https://example.org/?q=a&b=c#d",
    "!!! ... ??? --- ===== *** ((())) [[]] {{}} <<>>", "a.b,c;d:e!f?g…h—i–j", "$5 €6 £7 ¥8 ₹9 +1-2*3=4 ^~|`@#%&_\\",
    "😀👩‍👩‍👧‍👦 🇸🇬🇳🇵 👍🏽 ☃️ ♥", "emoji😀inside words 1️⃣2️⃣", "한국어와 English를 섞어 씁니다", "我想在apple工作1314151天～ 東京タワー333メートル",
    "ไทยกับEnglish๑๒๓", "नमस्ते दुनिया। कैसे हो?", "مرحبا، كيف الحال؟ ٢٠٢٤", "שלום עולם 'ציטוט'", "Привет, мир! Ёж, щи.", "Γειά σου Κόσμε·",
    "▁ underline▁▁piece ▁", "▁starts", "<0x41> <0x0A>", "<s> </s> <unk> <bos> <eos>", "a<table>b</table>", "<tab le>",
    "\u0000\u0001\u007f\u0085\ufeff", "\U0001d54f\U0001d550 \U00020000\U0002a6d6 \U0001f9ff", "ſtraße ıİ ŉ", "", "a", "Ġ Ċ ĉ",
]  # fmt: skip

ENGLISH = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CASES = rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+%s|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*%s"
CASES_REST = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = rf"{ENGLISH}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{REST}"

GPT2, DIGITS = "gpt2", "digits"

# By a name that llama.cpp has for it: whether a text is composed (NFC), what cuts it, whether a word that is a token is
# that token without any merges.
RULES = {
    "gpt-2": (False, [GPT2], False),
    "olmo": (True, [GPT2], False),
    "smollm": (False, [DIGITS, GPT2], False),
    "command-r": (True, [DIGITS, GPT2], False),
    "llama-bpe": (False, [LLAMA3], True),
    "smaug-bpe": (False, [LLAMA3], True),
    "dbrx": (False, [LLAMA3], False),
    "qwen2": (True, [LLAMA3.replace("{1,3}", "")], False),
    "qwen35": (
        True,
        [rf"{ENGLISH}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}|{REST.replace('L}', 'L}' + chr(92) + 'p{M}', 1)}"],
        False,
    ),
    "tekken": (False, [CASES % ("", "") + r"|\p{N}|" + CASES_REST], True),
    "gpt-4o": (False, [CASES % (ENGLISH + "?", ENGLISH + "?") + r"|\p{N}{1,3}|" + CASES_REST], True),
    "bloom": (False, [r" ?[^(\s|[.,!?…。，、।۔،])]+"], False),
    "deepseek-v3": (
        False,
        [
            r"\p{N}{1,3}",
            "[一-龥぀-ゟ゠-ヿ]+",
            r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
            r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
        ],
        False,
    ),
    "deepseek-coder": (False, [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", DIGITS], False),
}  # fmt: skip

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
RUNS = [character * length for character in "\n▁\t" for length in range(1 if character == "\n" else 2, 9)]

# By what it is like: whether a text gets a space before it; the tokens that come first, with their types.
FAMILIES = {
    "llama": (True, [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL), *((byte, BYTE) for byte in BYTES)]),
    "gemma": (
        False,
        [
            *((token, CONTROL) for token in ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")),
            *((run, USER_DEFINED) for run in RUNS),
            *((tag, USER_DEFINED) for tag in ("<table>", "</table>")),
            *((byte, BYTE) for byte in BYTES),
        ],
    ),
}


def lines() -> list[str]:
    found = []
    for language in sorted(DECLARATION.glob("*.txt")):
        texts = [line for line in language.read_text(encoding="utf-8").splitlines() if line]
        step = len(texts) // LINES_PER_LANGUAGE
        found += [text[:LONGEST_LINE] for text in texts[:: max(step, 1)][:LINES_PER_LANGUAGE]]
    return found + EDGES


def pre_tokenizer(cuts: list[str]) -> pre_tokenizers.PreTokenizer:
    steps = []
    for cut in cuts:
        if cut == DIGITS:
            steps.append(pre_tokenizers.Digits(individual_digits=True))
        elif cut != GPT2:
            steps.append(pre_tokenizers.Split(Regex(cut), behavior="isolated"))
    return pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=GPT2 in cuts)])


def byte_level(texts: list[str]) -> dict:
    """One vocabulary for all rules. Its merges know no words, so that each word that is cut too short or too long is seen
    in the ids; words that no merge makes tell who looks for them whole."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=256 + MERGES, initial_alphabet=alphabet, show_progress=False)
    trained.train_from_iterator(texts, trainer)
    model = json.loads(trained.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    vocab = model["vocab"]
    for word in ("Ġspaces", "Case", "ĠÐ¼Ð¸ÑĢ", "ĠHTTPServer", "345"):
        vocab.setdefault(word, len(vocab))

    # The ids of a line that some rules agree on are kept once.
    variants: list[list[list[int]]] = [[] for _ in texts]
    rules = {}
    for name, (composed, cuts, ignore_merges) in RULES.items():
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=ignore_merges))
        if composed:
            tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizer(cuts)
        chosen = []
        for text, known in zip(texts, variants, strict=True):
            ids = tokenizer.encode(text).ids
            if ids not in known:
                known.append(ids)
            chosen.append(known.index(ids))
        rules[name] = chosen
    merges = [" ".join(pair) for pair in merges]
    return {"tokens": sorted(vocab, key=vocab.get), "merges": merges, "ids": variants, "rules": rules}


def sentence_piece(texts: list[str], prefix: bool, first: list[tuple[str, int]]) -> dict:
    """A vocabulary of scored pieces: the best pairs of a training, then characters, the rarest of which get none."""
    spell = normalizers.Replace(" ", "▁")
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spell]) if prefix else spell
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizer
    trained.pre_tokenizer = pre_tokenizers.Split("▁", behavior="merged_with_next")
    # Chosen here: of characters as frequent as each other, the trainer takes any.
    counts = Counter("".join(texts).replace(" ", "▁"))
    alphabet = sorted(counts, key=lambda character: (-counts[character], character))[:CHARACTERS]
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES, initial_alphabet=alphabet, limit_alphabet=CHARACTERS, show_progress=False
    )
    trained.train_from_iterator(texts, trainer)
    vocab = trained.get_vocab()
    pieces = sorted(vocab, key=vocab.get)
    known = {token for token, _ in first}
    merged = [piece for piece in pieces if len(piece) > 1 and piece not in known]
    characters = [piece for piece in pieces if len(piece) == 1 and piece not in known]

    scored = [(token, 0.0, kind) for token, kind in first]
    scored += [(piece, float(-1 - rank), NORMAL) for rank, piece in enumerate(merged + characters)]
    vocab = {token: number for number, (token, _, _) in enumerate(scored)}
    scores = {token: score for token, score, _ in scored}
    model = models.BPE(
        vocab=vocab, merges=generate_merges(vocab, scores), unk_token="<unk>", fuse_unk=True, byte_fallback=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    undo = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*undo, decoders.Strip(" ", 1, 0)] if prefix else undo)
    # Control tokens are left out: a text that spells one is text.
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token, kind in first if kind == USER_DEFINED])
    encoded = [tokenizer.encode(text).ids for text in texts]

    # The converter's form: fillers at the end, the user's pieces with a text's spaces and a score of its own.
    scored += [(f"[PAD{len(scored) + number}]", -10000.0, UNUSED) for number in range(2)]
    written = [
        (token.replace("▁", " "), -1000.0, kind) if kind == USER_DEFINED else (token, score, kind)
        for token, score, kind in scored
    ]
    tokens, scores, types = (list(column) for column in zip(*written, strict=True))
    return {
        "tokens": tokens, "scores": scores, "types": types, "space_prefix": prefix, "unknown": vocab["<unk>"],
        "ids": encoded, "decoded": [tokenizer.decode(ids) for ids in encoded],
    }  # fmt: skip


def write(name: str, golden: object) -> None:
    text = json.dumps(golden, ensure_ascii=False, separators=(",", ":")).replace("],[", "],\n[")
    (DESTINATION / name).write_text(text + "\n", encoding="utf-8")


def main() -> None:
    DESTINATION.mkdir(exist_ok=True)
    texts = lines()
    assert len(texts) >= 200 and any(unicodedata.normalize("NFC", text) != text for text in texts)
    write("lines.json", texts)
    write("byte_level.json", byte_level(texts))
    for name, (prefix, first) in FAMILIES.items():
        write(f"{name}.json", sentence_piece(texts, prefix, first))


if __name__ == "__main__":
    main()
