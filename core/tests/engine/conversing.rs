//! Conversations: what is computed once, what is forgotten, what ends them.

use std::ops::ControlFlow;
use std::sync::Arc;

use idiolect::adapter::LoraOptions;
use idiolect::engine::{CancelToken, Conversation, ConversationOptions, Engine, Prompt, Reply};
use idiolect::generate::{FinishReason, GenerateOptions, SuggestOptions};
use idiolect::registry::Origin;
use idiolect::samples::TextRow;
use idiolect::text::{ChatMessage, Role};
use idiolect::train::{TrainOptions, Training, TrainingData};
use idiolect::{DeviceChoice, ErrorKind, Result, Session};

use super::{engine, greedy, text};

/// Long enough that the cache has to grow on the way.
const MESSAGES: [&str; 4] = [
    "We took the early train and sat by the window until the rain stopped. Did you see the river from there, or had you \
     gone to sleep by then, as my mother did? She said that she had seen all of it before, and more than once.",
    "And what about the kettle that she left on the boat, was it still warm when you found it this morning? I can not \
     think how it came to be there, for we had all had our tea in the kitchen, and the cups were on the table.",
    "no",
    "Then we went up to the meadow with the letters and read all of them aloud, which took us until the evening, and when \
     we came down again the boat had gone, the kettle had gone, and nobody could say who had taken either of them.",
];

/// Tokens of an answer at most.
const ANSWER: usize = 90;

fn begin(engine: &Engine, options: ConversationOptions) -> Conversation {
    engine.conversation(options).unwrap()
}

fn try_say(conversation: &Conversation, message: &str, options: &GenerateOptions) -> Result<Reply> {
    conversation.say(message, options, &CancelToken::new(), &mut |_| ControlFlow::Continue(()))
}

fn say(conversation: &Conversation, message: &str) -> Reply {
    try_say(conversation, message, &greedy(ANSWER)).unwrap()
}

/// A version that answers otherwise than the base.
fn voice(engine: &Engine) -> u32 {
    let model = engine.model().unwrap();
    let mut session = Session::new(Arc::clone(&model), DeviceChoice::Cpu).unwrap();
    let rows = vec![TextRow::new("ay up flower, kettle is on", Some("are you there?".into())); 16];
    let data = TrainingData::from_texts(&rows, &model, 64).unwrap();
    let options = TrainOptions { steps: Some(12), ..TrainOptions::default() };
    let shape = LoraOptions::default().shape(&model).unwrap();
    let mut training = Training::new(&mut session, shape, data, &options).unwrap();
    while training.step().unwrap().is_some() {}
    let (adapter, _) = training.finish().unwrap();
    engine.adapters().add(&adapter, &model, Origin::Imported, Default::default()).unwrap()
}

/// Tokens whose rows a turn leaves: all but the last one, which was chosen and not run.
fn left_by(reply: &Reply) -> usize {
    reply.generation.prompt_tokens + reply.generation.ids.len() - 1
}

#[test]
fn no_turn_is_computed_twice_and_computed_again_it_is_the_same() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 1);
    let kept = begin(&engine, ConversationOptions::default());
    let instructions = Some("Answer in one short sentence.".to_owned());
    let instructed = begin(&engine, ConversationOptions { instructions, ..ConversationOptions::default() });
    let mut replies = Vec::new();
    for message in MESSAGES {
        let mut of_both = Vec::new();
        for conversation in [&kept, &instructed] {
            of_both.push(say(conversation, message));
            // What else is asked for meanwhile is another cache's.
            text(&engine, "The kettle");
            engine.suggest("The kettle is on the bo", &SuggestOptions::default(), &CancelToken::new()).unwrap();
        }
        replies.push(of_both);
    }
    for of_one in 0..2 {
        for pair in replies.windows(2) {
            let [before, after] = [0, 1].map(|turn| &pair[turn][of_one]);
            assert_eq!(after.generation.cached_tokens, left_by(before));
        }
    }
    let (first, last) = (&replies[0][0].generation, &replies[3][0].generation);
    let room = [first, last].map(|generation| generation.prompt_tokens + ANSWER);
    assert!(room[0] <= 256 && room[1] > 256, "the cache did not grow: {room:?}");

    // The same with the model dropped before each turn.
    let again = begin(&engine, ConversationOptions::default());
    for (message, of_both) in MESSAGES.iter().zip(&replies) {
        engine.unload().unwrap();
        let reply = say(&again, message);
        assert_eq!((reply.generation.cached_tokens, &reply.generation.ids), (0, &of_both[0].generation.ids));
    }
    assert_eq!(again.turns(), kept.turns());
    assert_eq!(again.turns().len(), 2 * MESSAGES.len());

    // Restored from what was said; and begun anew.
    let turns = kept.turns();
    let restored = begin(&engine, ConversationOptions { turns, ..ConversationOptions::default() });
    kept.clear();
    assert_eq!((kept.turns().len(), restored.turns().len()), (0, 2 * MESSAGES.len()));
    assert_eq!(say(&kept, MESSAGES[0]).generation.ids, replies[0][0].generation.ids);
    let more = say(&restored, "and then?");
    assert!(more.generation.prompt_tokens > last.prompt_tokens);
}

#[test]
fn an_answer_comes_from_the_adapter_in_use() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 1);
    let version = voice(&engine);
    let adapters = engine.adapters();
    let conversation = begin(&engine, ConversationOptions::default());
    let mut expected = Vec::new();
    for active in [Some(version), None] {
        adapters.activate(active).unwrap();
        let alone = begin(&engine, ConversationOptions::default());
        expected.push([0, 1].map(|turn| say(&alone, MESSAGES[turn]).generation.ids));
    }
    assert_ne!(expected[0], expected[1]);
    for (active, of_turn) in [(Some(version), 0), (None, 1)] {
        adapters.activate(active).unwrap();
        conversation.clear();
        for (turn, message) in MESSAGES.iter().take(2).enumerate() {
            let reply = say(&conversation, message);
            assert_eq!(reply.generation.ids, expected[of_turn][turn], "turn {turn}, {active:?}");
        }
    }
    // In the midst of one.
    adapters.activate(Some(version)).unwrap();
    assert_eq!(say(&conversation, "no").generation.cached_tokens, 0);
    assert!(say(&conversation, "yes").generation.cached_tokens > 0);
    adapters.set_strength(version, 0.5).unwrap();
    assert_eq!(say(&conversation, "no").generation.cached_tokens, 0);
}

#[test]
fn few_caches_are_held_and_a_dropped_conversation_frees_its_own() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 1);
    let conversations: Vec<Conversation> = (0..4).map(|_| begin(&engine, ConversationOptions::default())).collect();
    let cached = |of: usize| say(&conversations[of], "no").generation.cached_tokens > 0;
    for (of, expected) in [
        (0, false),
        (1, false),
        (0, true),
        (2, false),
        (0, true),
        (3, false),
        (0, true),
        (2, true),
        (1, false),
        (3, false),
    ] {
        assert_eq!(cached(of), expected, "conversation {of}");
    }
    drop(conversations);
    let fresh = begin(&engine, ConversationOptions::default());
    say(&fresh, "no");
    assert!(say(&fresh, "no").generation.cached_tokens > 0);
}

#[test]
fn what_was_cancelled_or_cut_is_closed_and_what_got_no_answer_is_not_said() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 1);
    let conversation = begin(&engine, ConversationOptions::default());
    let endless = GenerateOptions { ignore_eos: true, ..greedy(40) };
    let cut = try_say(&conversation, MESSAGES[0], &GenerateOptions { max_tokens: 5, ..endless.clone() }).unwrap();
    assert_eq!((cut.generation.finish_reason, cut.generation.ids.len()), (FinishReason::MaxTokens, 5));
    let mut pieces = 0;
    let cancelled = conversation.say(MESSAGES[1], &endless, &CancelToken::new(), &mut |_| {
        pieces += 1;
        if pieces == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let cancelled = cancelled.unwrap().generation;
    assert_eq!(cancelled.finish_reason, FinishReason::Cancelled);
    let turns = conversation.turns();
    assert_eq!(turns[3], ChatMessage::new(Role::Assistant, &cancelled.text));

    let stopped = CancelToken::new();
    stopped.cancel();
    let nothing = conversation.say("no", &endless, &stopped, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((nothing.generation.finish_reason, conversation.turns()), (FinishReason::Cancelled, turns.clone()));
    assert!(try_say(&conversation, &"too long ".repeat(2000), &endless).is_err());
    assert_eq!(conversation.turns(), turns);

    // The next prompt is what the template makes of it, with every turn closed.
    let next = say(&conversation, "no").generation;
    let messages = [turns, vec![ChatMessage::new(Role::User, "no")]].concat();
    let model = engine.model().unwrap();
    assert_eq!(next.prompt_tokens, model.tokenizer().encode_chat(&messages, true).unwrap().len());
    assert!(next.cached_tokens > cut.generation.prompt_tokens);
}

#[test]
fn a_conversation_outgrows_its_context() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 1);
    let instructions = Some("Be brief.".to_owned());
    let options = ConversationOptions { instructions, context: Some(200), ..ConversationOptions::default() };
    let conversation = begin(&engine, options);
    let mut forgotten = Vec::new();
    for turn in 0..12 {
        let reply = try_say(&conversation, &format!("and what did you do on day {turn}?"), &greedy(24)).unwrap();
        assert!(reply.generation.prompt_tokens + 24 <= 200);
        // Instructions are computed once, and what was not forgotten now.
        assert!(turn == 0 || reply.generation.cached_tokens > 0, "turn {turn}");
        forgotten.push(reply.forgotten_turns);
    }
    assert!(forgotten[0] == 0 && forgotten.is_sorted() && forgotten[11] > 0, "{forgotten:?}");
    forgotten.dedup();
    assert!(forgotten.len() < 6, "it forgot too often: {forgotten:?}");
    assert_eq!(conversation.turns().len(), 24);
    let refused = try_say(&conversation, "no", &greedy(200)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BadOption);
}

#[test]
fn what_cannot_be_is_refused_before_it_begins() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 1);
    let least = begin(&engine, ConversationOptions::default()).plan().total_bytes();
    let of = |context: Option<usize>, budget_bytes: Option<usize>| ConversationOptions {
        context,
        budget_bytes,
        ..ConversationOptions::default()
    };
    for (options, expected) in [
        (of(None, Some(least)), None),
        (of(Some(1024), Some(least)), None),
        (of(None, Some(least - 1)), Some((ErrorKind::OverBudget, "a budget of", "or ask for a context of"))),
        (of(None, Some(1_000)), Some((ErrorKind::OverBudget, "a budget of 1000 bytes", "give at least"))),
        (of(Some(64), Some(least - 2_000_000)), None),
        (of(Some(1025), None), Some((ErrorKind::BadOption, "opened for 1024", "give 1 to 1024"))),
        (of(Some(0), None), Some((ErrorKind::BadOption, "0 tokens", "give 1 to 1024"))),
    ] {
        let case = format!("{options:?}");
        match (engine.conversation(options), expected) {
            (Ok(_), None) => {}
            (Err(error), Some((kind, part, hint))) => {
                assert_eq!(error.kind(), kind, "{case}: {error}");
                let hinted = error.hint().unwrap_or_default();
                assert!(error.message().contains(part) && hinted.contains(hint), "{case}: {error} ({hinted})");
            }
            (made, expected) => panic!("{case}: {made:?}, not {expected:?}"),
        }
    }
    let conversation = begin(&engine, ConversationOptions::default());
    let prompt = Prompt::Chat("no".into());
    let single = engine.generate(&prompt, &greedy(5), &CancelToken::new(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(try_say(&conversation, "no", &greedy(5)).unwrap().generation.ids, single.ids);
    engine.close();
    assert_eq!(try_say(&conversation, "no", &greedy(5)).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(conversation.turns().len(), 2);
    assert_eq!(engine.conversation(ConversationOptions::default()).unwrap_err().kind(), ErrorKind::Closed);
}
