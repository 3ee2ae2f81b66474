//! Answers with adapters that are chosen for each, and what is told of texts before anything is made.

use std::ops::ControlFlow;

use idiolect::ErrorKind;
use idiolect::engine::{AdapterChoice, AdapterWeight, CancelToken, ConversationOptions, Engine, Prompt};
use idiolect::generate::SuggestOptions;
use idiolect::samples::TextRow;

use super::{engine, finish, greedy, settings, text};

fn these(weights: &[(u32, f32)]) -> AdapterChoice {
    AdapterChoice::These(weights.iter().map(|&(version, weight)| AdapterWeight { version, weight }).collect())
}

fn answer(engine: &Engine, adapters: AdapterChoice, prompt: &str) -> String {
    let prompt = Prompt::Text(prompt.into());
    let go_on = &mut |_: &str| ControlFlow::Continue(());
    engine.using(adapters).generate(&prompt, &greedy(12), &CancelToken::new(), go_on).unwrap().text
}

#[test]
fn each_answer_has_the_adapters_that_were_chosen_for_it() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 300);
    let base = text(&engine, "Ay up");
    let version = finish(&engine, &settings(40)).version.expect("promoted");
    let learned = text(&engine, "Ay up");
    assert_ne!(learned, base);
    let exported = home.path().join("exported");
    engine.adapters().export(version, &engine.model().unwrap(), &exported).unwrap();
    let twin = engine.adapters().import(&exported, &engine.model().unwrap()).unwrap();
    // In turns, so that no answer is given from another's cache.
    for _ in 0..2 {
        for (adapters, expected) in [
            (AdapterChoice::InUse, &learned),
            (AdapterChoice::base(), &base),
            (these(&[(version, 1.0)]), &learned),
            (these(&[(version, 0.0)]), &base),
            (these(&[(twin, 1.0), (version, 0.0)]), &learned),
            // Two halves of the same are the whole.
            (these(&[(twin, 0.5), (version, 0.5)]), &learned),
            (these(&[(twin, -0.5), (version, 1.5)]), &learned),
        ] {
            assert_eq!(answer(&engine, adapters.clone(), "Ay up"), *expected, "{adapters:?}");
        }
    }
    let rows =
        [TextRow::new("ay up flower, kettle is on", None), TextRow::new("  ", None), TextRow::new("a bit", None)];
    let cancel = CancelToken::new();
    let nll = |adapters: &AdapterChoice| engine.evaluate(&rows, adapters, &cancel).unwrap().nll;
    let halves = nll(&these(&[(twin, 0.5), (version, 0.5)]));
    let base = nll(&AdapterChoice::base());
    assert!((halves - nll(&AdapterChoice::InUse)).abs() < 1e-4 && halves < base);
    assert!((nll(&these(&[(twin, -1.0), (version, 1.0)])) - base).abs() < 1e-4, "what is taken back is left");
    let evaluation = engine.evaluate(&rows, &AdapterChoice::InUse, &cancel).unwrap();
    let (loss, tokens) = evaluation.texts.iter().fold((0.0, 0), |sum, text| (sum.0 + text.0, sum.1 + text.1));
    assert_eq!((evaluation.texts.len(), evaluation.texts[1], tokens), (3, (0.0, 0), evaluation.tokens));
    assert!((loss / tokens as f64 - evaluation.nll).abs() < 1e-9);

    for (adapters, kind, part) in [
        (these(&[(version + 7, 1.0)]), ErrorKind::BadOption, "version"),
        (these(&[(version, 1.0), (version, 0.5)]), ErrorKind::BadOption, "named twice"),
        (these(&[(version, 9.0)]), ErrorKind::BadOption, "weight 9"),
    ] {
        let prompt = Prompt::Text("Ay up".into());
        let answering = engine.using(adapters.clone());
        let errors = [
            answering.generate(&prompt, &greedy(1), &cancel, &mut |_| ControlFlow::Continue(())).map(drop),
            answering.suggest("Ay up", &SuggestOptions::default(), &cancel).map(drop),
            answering.score(&prompt, &["flower".into()], &cancel).map(drop),
            engine.evaluate(&rows, &adapters, &cancel).map(drop),
        ];
        for error in errors.map(Result::unwrap_err) {
            assert!(error.kind() == kind && error.message().contains(part), "{error} {:?}", error.kind());
        }
    }
}

#[test]
fn a_conversation_may_change_its_adapters_between_two_turns() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 300);
    let version = finish(&engine, &settings(40)).version.expect("promoted");
    let say = |adapters: &[AdapterChoice]| {
        let conversation = engine.conversation(ConversationOptions::default()).unwrap();
        let turn = |adapters| {
            let go_on = &mut |_: &str| ControlFlow::Continue(());
            conversation
                .say_using(adapters, "are you coming?", &greedy(8), &CancelToken::new(), go_on)
                .unwrap()
                .generation
        };
        adapters.iter().map(turn).collect::<Vec<_>>()
    };
    let (base, learned) = (AdapterChoice::base(), these(&[(version, 1.0)]));
    let same = say(&[learned.clone(), learned.clone()]);
    assert!(same[1].cached_tokens > 0);
    let changed = say(&[learned, base.clone()]);
    assert_eq!((&changed[0].text, changed[1].cached_tokens), (&same[0].text, 0));
    assert_ne!(say(&[base])[0].text, same[0].text);
}

#[test]
fn scores_rank_what_the_model_would_say() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 1);
    let cancel = CancelToken::new();
    let scores = |prompt: &Prompt, candidates: &[&str]| {
        let candidates: Vec<String> = candidates.iter().map(|text| text.to_string()).collect();
        engine.using(AdapterChoice::InUse).score(prompt, &candidates, &cancel).unwrap()
    };
    let prompt = Prompt::Text("Once upon a time there".into());
    let greedy = text(&engine, "Once upon a time there");
    let found = scores(&prompt, &[&greedy, " xylophone quartz", "", " was"]);
    let [said, unlikely, empty, was] = &found[..] else { panic!("{found:?}") };
    assert!(said.log_probability() / said.token_log_probabilities.len() as f64 > unlikely.log_probability() / 4.0);
    assert!(was.log_probability() > unlikely.log_probability());
    assert_eq!((empty.log_probability(), empty.token_log_probabilities.len()), (0.0, 0));
    // The probabilities of a text are those of its beginning and what follows it.
    let whole = scores(&prompt, &[" was a little girl"])[0].log_probability();
    let begun = scores(&prompt, &[" was a"])[0].log_probability();
    let rest = scores(&Prompt::Text("Once upon a time there was a".into()), &[" little girl"])[0].log_probability();
    assert!((whole - begun - rest).abs() < 1e-3, "{whole} {begun} {rest}");
    // Behind a chat's prompt as well, a candidate that grows into the prompt's last word, and none at all.
    assert!(
        scores(&Prompt::Chat("hello".into()), &["hi", "hello there"]).iter().all(|score| score.log_probability() < 0.0)
    );
    assert!(scores(&Prompt::Text("Once upon a ti".into()), &["me"])[0].log_probability() < 0.0);
    assert!(scores(&prompt, &[]).is_empty());
    let long = "on and on ".repeat(2000);
    let error = engine.using(AdapterChoice::InUse).score(&prompt, &[long], &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadOption, "{error}");
    // It is the same text, whatever the probabilities are of.
    let tokens = engine.count_tokens(" was a little girl").unwrap();
    assert_eq!(scores(&prompt, &[" was a little girl"])[0].token_log_probabilities.len(), tokens);
    assert_eq!(engine.count_tokens("").unwrap(), 0);
    cancel.cancel();
    let cancelled = engine.using(AdapterChoice::InUse).score(&prompt, &[greedy], &cancel);
    assert_eq!(cancelled.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_plan_says_what_the_training_then_is() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 300);
    let settings = settings(30);
    let cancel = CancelToken::new();
    let plan = engine.plan_training(&settings, &cancel).unwrap();
    let again = engine.plan_training(&settings, &cancel).unwrap();
    assert_eq!((plan.steps, plan.tokens, plan.planned_bytes), (again.steps, again.tokens, again.planned_bytes));
    assert!(plan.seconds > 0.0 && plan.seconds.is_finite(), "{plan:?}");
    assert!(!engine.status(&settings.gate, false).unwrap().paused_training, "something was kept");
    let mut told = None;
    let report = {
        let mut hear = |event| {
            if let idiolect::personalize::LearnEvent::Started { steps, planned_bytes, .. } = event {
                told = Some((steps, planned_bytes));
            }
        };
        match engine.train(&settings, &cancel, &mut hear).unwrap() {
            idiolect::engine::LearnOutcome::Finished(report) => report,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told, Some((plan.steps, plan.planned_bytes)));
    assert_eq!(report.summary.tokens, plan.tokens);
    let shape = settings.lora.shape(&engine.model().unwrap()).unwrap();
    assert_eq!(plan.parameters, shape.layout().len());
    assert_eq!([plan.texts, plan.held_out_texts], [report.samples[0], report.samples[2]]);

    let poor = super::engine(&home.path().join("poor"), 0);
    assert_eq!(poor.plan_training(&settings, &cancel).unwrap_err().kind(), ErrorKind::BadData);
    let mut small = settings.clone();
    small.train.budget_bytes = Some(1 << 20);
    let error = engine.plan_training(&small, &cancel).unwrap_err();
    assert!(error.kind() == ErrorKind::OverBudget && error.hint().is_some(), "{error}");
}
