//! What was said in a conversation, and the prompt of its next answer.

use crate::error::{Error, ErrorKind, Result};
use crate::text::{ChatMessage, Dialogue, Role, Tokenizer};

use super::Generation;

/// The turns of a conversation, under its instructions.
///
/// What does not fit the context any more is forgotten from the beginning on, the instructions excepted, by whole exchanges:
/// a message and what answers it. Half of the room is made free at a time, for all that is left then has to be computed
/// again.
#[derive(Clone)]
pub(crate) struct Transcript {
    instructions: Option<ChatMessage>,
    turns: Vec<ChatMessage>,
    /// How many of the first turns the model does not see any more.
    forgotten: usize,
    dialogue: Dialogue,
}

impl Transcript {
    /// A conversation under `instructions`, after earlier turns.
    ///
    /// # Errors
    /// `Unsupported` where the model has no chat template, or one without a place for instructions; `BadOption` for
    /// instructions among the turns; `BadData` where the template refuses such turns. No error holds what was said.
    pub fn new(tokenizer: &Tokenizer, instructions: Option<&str>, turns: Vec<ChatMessage>) -> Result<Self> {
        if turns.iter().any(|turn| turn.role == Role::System) {
            let error = Error::new(ErrorKind::BadOption, "a turn of the system's among those of the conversation");
            return Err(error.with_hint("give it as the instructions"));
        }
        if let Some(instructions) = instructions {
            check_instructions(tokenizer, instructions)?;
        }
        let instructions = instructions.map(|instructions| ChatMessage::new(Role::System, instructions));
        let transcript = Self { instructions, turns, forgotten: 0, dialogue: Dialogue::default() };
        transcript.clone().ask(tokenizer, "a", usize::MAX)?;
        Ok(transcript)
    }

    /// All turns, oldest first; those that the model does not see any more among them.
    pub fn turns(&self) -> &[ChatMessage] {
        &self.turns
    }

    /// How many of the first turns the model does not see any more.
    pub fn forgotten(&self) -> usize {
        self.forgotten
    }

    /// The tokens up to where the next answer begins.
    pub fn prompt(&self) -> &[u32] {
        self.dialogue.ids()
    }

    /// The same under the same instructions, without any turn.
    pub fn cleared(&self) -> Self {
        let instructions = self.instructions.clone();
        Self { instructions, turns: Vec::new(), forgotten: 0, dialogue: Dialogue::default() }
    }

    /// Adds what the user says; the prompt has `most` tokens at most then.
    ///
    /// # Errors
    /// `BadOption` where the message alone, under the instructions, has more; as [`Tokenizer::encode_chat`].
    pub fn ask(&mut self, tokenizer: &Tokenizer, message: &str, most: usize) -> Result<()> {
        self.turns.push(ChatMessage::new(Role::User, message));
        let (messages, mut dialogue) = (self.messages(self.forgotten), self.dialogue.clone());
        dialogue.go_on(tokenizer, &messages)?;
        if dialogue.ids().len() > most {
            (self.forgotten, dialogue) = self.shortened(tokenizer, most)?;
        }
        self.dialogue = dialogue;
        Ok(())
    }

    /// Adds what was answered to the last message.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn answer(&mut self, tokenizer: &Tokenizer, generation: &Generation) -> Result<()> {
        self.dialogue.answer(tokenizer, &generation.text, &generation.ids)?;
        self.turns.push(ChatMessage::new(Role::Assistant, &generation.text));
        Ok(())
    }

    /// What the model sees from turn number `from` on.
    fn messages(&self, from: usize) -> Vec<ChatMessage> {
        self.instructions.iter().chain(&self.turns[from..]).cloned().collect()
    }

    /// The first turn that is left, and what is left, where it shall be half of `most` tokens, or the last message alone.
    fn shortened(&self, tokenizer: &Tokenizer, most: usize) -> Result<(usize, Dialogue)> {
        let rest = |from: usize| -> Result<Dialogue> {
            let mut dialogue = Dialogue::default();
            dialogue.go_on(tokenizer, &self.messages(from))?;
            Ok(dialogue)
        };
        let begins_exchange = |&turn: &usize| self.turns[turn].role == Role::User;
        let starts: Vec<usize> = (self.forgotten + 1..self.turns.len()).filter(begins_exchange).collect();
        // The last message is among them unless nothing but it is left.
        let mut from = starts.last().copied().unwrap_or(self.forgotten);
        let mut left = rest(from)?;
        let (mut low, mut high) = (0, starts.len().saturating_sub(1));
        while low < high {
            let middle = (low + high) / 2;
            let dialogue = rest(starts[middle])?;
            if dialogue.ids().len() <= most / 2 {
                (from, left, high) = (starts[middle], dialogue, middle);
            } else {
                low = middle + 1;
            }
        }
        if left.ids().len() > most {
            let message =
                format!("a message of {} tokens with what goes around it, in room for {most}", left.ids().len());
            let hint = "shorten it or the instructions, ask for fewer tokens, or give a longer context";
            return Err(Error::new(ErrorKind::BadOption, message).with_hint(hint));
        }
        Ok((from, left))
    }
}

/// Refuses instructions that the model's chat template refuses, or leaves out.
fn check_instructions(tokenizer: &Tokenizer, instructions: &str) -> Result<()> {
    let hint = "write them into the first message";
    let under = |instructions: &str| {
        tokenizer.encode_chat(&[ChatMessage::new(Role::System, instructions), ChatMessage::new(Role::User, "a")], true)
    };
    let instructed = under(instructions).map_err(|error| match error.kind() {
        ErrorKind::BadData => {
            let message = format!("the model's chat template takes no instructions: {}", error.message());
            Error::new(ErrorKind::Unsupported, message).with_hint(hint)
        }
        _ => error,
    })?;
    if instructed == under(&format!("{instructions} b"))? {
        let error = Error::new(ErrorKind::Unsupported, "the model's chat template leaves instructions out");
        return Err(error.with_hint(hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::FinishReason;
    use crate::text::GgufVocabulary;
    use crate::text::fixtures::{CHATML, built, byte_level};

    fn with_template(template: &str) -> Tokenizer {
        built(&GgufVocabulary { chat_template: Some(template.into()), ..byte_level() })
    }

    fn answer(tokenizer: &Tokenizer, text: &str) -> Generation {
        Generation {
            text: text.into(),
            ids: tokenizer.encode(text).expect("ids"),
            finish_reason: FinishReason::MaxTokens,
            prompt_tokens: 0,
            cached_tokens: 0,
            prefill_seconds: 0.0,
            decode_seconds: 0.0,
        }
    }

    #[test]
    fn what_does_not_fit_leaves_by_whole_exchanges_and_the_instructions_stay() {
        let tokenizer = with_template(CHATML);
        let mut transcript = Transcript::new(&tokenizer, Some("be brief"), Vec::new()).unwrap();
        let instructions = tokenizer.encode_with_controls("<|im_start|>system\nbe brief<|im_end|>\n").unwrap();
        let most = 200;
        let (mut forgettings, mut before) = (0, 0);
        for turn in 0..30 {
            transcript.ask(&tokenizer, &format!("what about {turn}"), most).unwrap();
            let (prompt, forgotten) = (transcript.prompt().to_vec(), transcript.forgotten());
            assert!(prompt.len() <= most && prompt.starts_with(&instructions), "turn {turn}");
            assert_eq!(transcript.turns().len(), 2 * turn + 1);
            if forgotten > before {
                // Whole exchanges, and as few as leave half of the room.
                assert!(forgotten.is_multiple_of(2) && prompt.len() <= most / 2, "turn {turn}: {forgotten}");
                let mut one_more = vec![ChatMessage::new(Role::System, "be brief")];
                one_more.extend_from_slice(&transcript.turns()[forgotten - 2..]);
                assert!(tokenizer.encode_chat(&one_more, true).unwrap().len() > most / 2, "turn {turn}");
                (forgettings, before) = (forgettings + 1, forgotten);
            }
            transcript.answer(&tokenizer, &answer(&tokenizer, "something or other")).unwrap();
        }
        assert!((2..10).contains(&forgettings), "{forgettings} times");
        let mut cleared = transcript.cleared();
        cleared.ask(&tokenizer, "a", most).unwrap();
        assert!(cleared.prompt().starts_with(&instructions) && cleared.turns().len() == 1);

        let too_long = transcript.ask(&tokenizer, &"a message without end ".repeat(20), most).unwrap_err();
        assert_eq!(too_long.kind(), ErrorKind::BadOption);
        assert!(too_long.message().contains("room for 200") && !too_long.message().contains("without end"));
    }

    #[test]
    fn instructions_are_given_or_refused_and_never_lost() {
        let turn = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n";
        let only = |role: &str| {
            format!("{{% for m in messages %}}{{% if m.role == '{role}' %}}{turn}{{% endif %}}{{% endfor %}}")
        };
        let refuses = format!(
            "{{% for m in messages %}}{{% if m.role == 'system' %}}{{{{ raise_exception('System role not supported') }}}}\
             {{% endif %}}{turn}{{% endfor %}}"
        );
        let alternates = format!(
            "{{% for m in messages %}}{{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}}{{{{ raise_exception('roles \
             must alternate') }}}}{{% endif %}}{turn}{{% endfor %}}"
        );
        let says = |role: Role| vec![ChatMessage::new(role, "hello")];
        let exchange = || vec![ChatMessage::new(Role::User, "hello"), ChatMessage::new(Role::Assistant, "hello")];
        for (template, instructions, turns, expected) in [
            (CHATML, Some("be brief"), exchange(), Ok(())),
            (CHATML, Some("Be kind"), vec![], Ok(())),
            (CHATML, None, says(Role::Assistant), Ok(())),
            (CHATML, None, says(Role::System), Err((ErrorKind::BadOption, "a turn of the system's"))),
            (&only("user"), Some("be brief"), vec![], Err((ErrorKind::Unsupported, "leaves instructions out"))),
            (&only("user"), None, vec![], Ok(())),
            (&refuses, Some("be brief"), vec![], Err((ErrorKind::Unsupported, "System role not supported"))),
            (&refuses, None, exchange(), Ok(())),
            (&alternates, None, exchange(), Ok(())),
            (&alternates, None, says(Role::User), Err((ErrorKind::BadData, "must alternate"))),
        ] {
            let made = Transcript::new(&with_template(template), instructions, turns).map(drop);
            match (made, expected) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err((kind, part))) => {
                    assert_eq!(error.kind(), kind, "{template}: {error}");
                    assert!(
                        error.message().contains(part) && !error.message().contains("brief"),
                        "{template}: {error}"
                    );
                }
                (made, expected) => panic!("{template}: {made:?}, not {expected:?}"),
            }
        }
    }
}
