//! How byte-level vocabularies cut text into words: the kinds that llama.cpp names in `tokenizer.ggml.pre`.

use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior};

use crate::{Error, ErrorKind, Result};

/// A way to cut text into words, each of which is merged by itself.
pub(super) struct PreTokenizer {
    /// What `tokenizer.ggml.pre` calls it.
    pub names: &'static [&'static str],
    /// Whether letters and their marks are composed first (NFC).
    composes: bool,
    /// Each cuts what the one before it left.
    cuts: &'static [Cut],
    /// Whether a word that is a token is that one, whatever the merges make of it.
    pub ignore_merges: bool,
    /// Whether a file that does not say so has a BOS put before a text, as llama.cpp has it.
    pub adds_bos: bool,
}

/// A step of a pre-tokenizer.
enum Cut {
    /// Out go the matches of a pattern, each by itself; what lies between two of them is a word, too.
    Matches(&'static str),
    /// Out goes every digit by itself.
    Digits,
    /// As GPT-2 does, where byte-level encoding comes with a pattern of its own.
    Gpt2,
}

/// Llama 3's words, by OpenAI's cl100k: digits by threes.
const LLAMA3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Qwen 2's words: Llama 3's with every digit by itself.
const QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Qwen 3.5's words: Qwen 2's with marks as part of words.
const QWEN35: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// The words of Mistral's Tekken: an upper-case letter after a lower-case one begins another.
const TEKKEN: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// OpenAI's o200k: Tekken's with the endings of English words as part of them, and digits by threes.
const GPT4O: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// BLOOM's words: what stands between white space, brackets and the marks that end clauses.
const BLOOM: &str = r" ?[^(\s|[.,!?…。，、।۔،])]+";

/// The words of DeepSeek V3, once digits and Han with kana are cut out.
const DEEPSEEK3: &str = concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// What most rows leave as it is.
const PLAIN: PreTokenizer =
    PreTokenizer { names: &[], composes: false, cuts: &[], ignore_merges: false, adds_bos: false };

/// Each row as the model's own `tokenizer.json` has it, which is named; llama.cpp's `convert_hf_to_gguf_update.py` says
/// which of them it calls what.
static PRE_TOKENIZERS: [PreTokenizer; 14] = [
    // openai-community/gpt2; microsoft/phi-2
    PreTokenizer { names: &["gpt-2", "phi-2"], cuts: &[Cut::Gpt2], ..PLAIN },
    // mosaicml/mpt-7b and allenai/OLMo-1.7-7B-hf, both with EleutherAI/gpt-neox-20b's
    PreTokenizer { names: &["mpt", "olmo"], composes: true, cuts: &[Cut::Gpt2], ..PLAIN },
    // HuggingFaceTB/SmolLM-135M, SmolLM2 too; bigcode/starcoder2-3b; smallcloudai/Refact-1_6-base
    PreTokenizer { names: &["smollm", "starcoder", "refact"], cuts: &[Cut::Digits, Cut::Gpt2], ..PLAIN },
    // CohereForAI/c4ai-command-r-v01
    PreTokenizer { names: &["command-r"], composes: true, cuts: &[Cut::Digits, Cut::Gpt2], ..PLAIN },
    // meta-llama/Meta-Llama-3-8B
    PreTokenizer {
        names: &["llama-bpe", "llama3", "llama-v3"],
        cuts: &[Cut::Matches(LLAMA3)],
        ignore_merges: true,
        adds_bos: true,
        ..PLAIN
    },
    // abacusai/Smaug-Llama-3-70B-Instruct: Llama 3's without a BOS, as HuggingFaceTB/SmolLM3-3B has it
    PreTokenizer { names: &["smaug-bpe"], cuts: &[Cut::Matches(LLAMA3)], ignore_merges: true, ..PLAIN },
    // databricks/dbrx-base; allenai/OLMo-2-1124-7B; microsoft/phi-4
    PreTokenizer { names: &["dbrx"], cuts: &[Cut::Matches(LLAMA3)], ..PLAIN },
    // Qwen/Qwen1.5-7B, Qwen 2 to 3 too
    PreTokenizer { names: &["qwen2"], composes: true, cuts: &[Cut::Matches(QWEN2)], ..PLAIN },
    // Qwen/Qwen3.5-9B-Instruct
    PreTokenizer { names: &["qwen35"], composes: true, cuts: &[Cut::Matches(QWEN35)], ..PLAIN },
    // mistralai/Mistral-Nemo-Base-2407
    PreTokenizer { names: &["tekken"], cuts: &[Cut::Matches(TEKKEN)], ignore_merges: true, adds_bos: true, ..PLAIN },
    // Xenova/gpt-4o, openai/gpt-oss-20b, microsoft/Phi-4-mini-instruct
    PreTokenizer { names: &["gpt-4o"], cuts: &[Cut::Matches(GPT4O)], ignore_merges: true, ..PLAIN },
    // bigscience/bloom
    PreTokenizer { names: &["bloom"], cuts: &[Cut::Matches(BLOOM)], ..PLAIN },
    // deepseek-ai/DeepSeek-V3
    PreTokenizer {
        names: &["deepseek-v3"],
        cuts: &[Cut::Matches(r"\p{N}{1,3}"), Cut::Matches("[一-龥぀-ゟ゠-ヿ]+"), Cut::Matches(DEEPSEEK3)],
        ..PLAIN
    },
    // deepseek-ai/deepseek-coder-6.7b-base
    PreTokenizer {
        names: &["deepseek-coder"],
        cuts: &[
            Cut::Matches(r"[\r\n]"),
            Cut::Matches(r"\s?\p{L}+"),
            Cut::Matches(r"\s?\p{P}+"),
            Cut::Matches("[一-龥ࠀ-一가-퟿]+"),
            Cut::Digits,
        ],
        ..PLAIN
    },
];

impl PreTokenizer {
    /// The one that is called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRE_TOKENIZERS.iter().find(|row| row.names.contains(&name))
    }

    /// Every name that is known, as a list for messages.
    pub fn known() -> String {
        let names: Vec<&str> = PRE_TOKENIZERS.iter().flat_map(|row| row.names).copied().collect();
        names.join(", ")
    }

    /// What is done to a text before it is cut.
    pub fn normalizer(&self) -> Option<NormalizerWrapper> {
        self.composes.then(|| NFC.into())
    }

    /// What cuts a text into words and spells their bytes.
    pub fn steps(&self) -> Result<PreTokenizerWrapper> {
        let mut steps = Vec::new();
        let mut bytes = ByteLevel::new(false, true, false);
        for cut in self.cuts {
            match cut {
                Cut::Gpt2 => bytes.use_regex = true,
                Cut::Digits => steps.push(Digits::new(true).into()),
                Cut::Matches(pattern) => {
                    let pattern = SplitPattern::Regex((*pattern).to_owned());
                    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
                    let failed = |cause| {
                        let message = format!("the pre-tokenizer {:?} does not compile: {cause}", self.names);
                        Error::new(ErrorKind::Unsupported, message)
                    };
                    steps.push(split.map_err(failed)?.into());
                }
            }
        }
        if steps.is_empty() {
            return Ok(bytes.into());
        }
        steps.push(bytes.into());
        Ok(Sequence::new(steps).into())
    }
}
