//! The bytes that each token stands for.

use tokenizers::DecoderWrapper;

use super::Tokenizer;

/// How SentencePiece vocabularies spell a space.
const SPACE: char = '▁';

impl Tokenizer {
    /// The bytes of every token, by its id: part of a character in some; none for control tokens and for ids without a
    /// token.
    pub(crate) fn token_bytes(&self) -> Vec<Vec<u8>> {
        let byte_level = self.pipeline.get_decoder().is_some_and(is_byte_level);
        let bytes = byte_alphabet();
        let of_token = |id: u32| {
            let Some(token) = self.token_text(id).filter(|_| !self.is_control(id)) else { return Vec::new() };
            if byte_level {
                // An added token may be spelled as it is.
                let spelled = token.chars().map(|c| bytes.iter().position(|&b| b == c).map(|byte| byte as u8));
                return spelled.collect::<Option<_>>().unwrap_or_else(|| token.into_bytes());
            }
            match token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>')) {
                Some(hex) if hex.len() == 2 => u8::from_str_radix(hex, 16).map_or(Vec::new(), |byte| vec![byte]),
                _ => token.replace(SPACE, " ").into_bytes(),
            }
        };
        (0..self.vocab_size() as u32).map(of_token).collect()
    }
}

fn is_byte_level(decoder: &DecoderWrapper) -> bool {
    match decoder {
        DecoderWrapper::ByteLevel(_) => true,
        DecoderWrapper::Sequence(sequence) => sequence.get_decoders().iter().any(is_byte_level),
        _ => false,
    }
}

/// The character that byte-level vocabularies write for each byte (Radford et al., 2019): itself where it is printable in
/// Latin-1, else the next one from U+0100 on.
fn byte_alphabet() -> [char; 256] {
    let mut free = '\u{100}'..;
    std::array::from_fn(|byte| match byte as u8 {
        byte @ (b'!'..=b'~' | 0xa1..=0xac | 0xae..) => char::from(byte),
        _ => free.next().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{built, byte_fallback, byte_level, folder, scored};
    use super::*;

    #[test]
    fn a_texts_tokens_stand_for_its_bytes() {
        let (_guard, dir) = folder(&[("tokenizer.json", &byte_fallback().to_string())]);
        let fallback = Tokenizer::from_folder(&dir).expect("a tokenizer");
        for (tokenizer, lead) in [(built(&byte_level()), ""), (fallback, " "), (built(&scored()), " ")] {
            let spelled = tokenizer.token_bytes();
            assert!(spelled[1].is_empty(), "a control token");
            for text in ["hello user", "hi\n\thé\u{ad}", "नमस्ते 😀"] {
                let ids = tokenizer.encode(text).expect("ids");
                let bytes: Vec<u8> = ids.iter().flat_map(|&id| spelled[id as usize].clone()).collect();
                assert_eq!(String::from_utf8_lossy(&bytes), format!("{lead}{text}"));
            }
        }
    }
}
