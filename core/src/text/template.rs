//! A model's chat template, rendered as Hugging Face's `apply_chat_template` renders it: Jinja with
//! `trim_blocks` and `lstrip_blocks`, Python's methods on values, `raise_exception`, `strftime_now`, `tojson`.

use std::collections::BTreeMap;
use std::ops::Range;

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, ErrorKind as JinjaErrorKind, context, escape_formatter};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::chat::ChatMessage;
use crate::{Error, ErrorKind, Result, time};

const NAME: &str = "chat_template";

/// Steps after which a template is taken to run for ever.
const FUEL: u64 = 1_000_000;

/// A chat template and the special tokens it may name.
pub(super) struct ChatTemplate {
    source: String,
    special_tokens: BTreeMap<String, String>,
    environment: Result<Environment<'static>>,
}

/// A rendered conversation.
pub(super) struct Rendered {
    pub text: String,
    /// The bytes of each message's content in `text`, in order; `None` where the template changes contents
    /// by more than trimming them, repeats or drops one.
    pub contents: Option<Vec<Range<usize>>>,
}

impl ChatTemplate {
    /// Compiles the template; one that does not compile gives its error when it is used.
    pub fn new(source: String, special_tokens: &BTreeMap<String, String>) -> Self {
        let environment = compile(&source).map_err(|cause| {
            Error::new(ErrorKind::Unsupported, format!("the model's chat template cannot be used: {cause}"))
        });
        Self { source, special_tokens: special_tokens.clone(), environment }
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders a conversation, and with `add_generation_prompt` the opening of the assistant's next turn.
    ///
    /// # Errors
    /// `Unsupported` for a template that does not compile, `BadData` where it refuses the messages; no error
    /// holds a message's content.
    pub fn render(&self, messages: &[ChatMessage], add_generation_prompt: bool) -> Result<Rendered> {
        // The same conversation with a mark for every content shows where contents go, and what fails
        // without telling what was said.
        let marks = marks(messages);
        let marked: Vec<ChatMessage> = std::iter::zip(messages, &marks)
            .map(|(message, mark)| ChatMessage { role: message.role, content: mark.clone() })
            .collect();
        let skeleton = self.run(&marked, add_generation_prompt)?;
        let text = match (self.run(messages, add_generation_prompt)?, &skeleton) {
            (Ok(text), _) => text,
            (Err(_), Err(cause)) => return Err(refused(&cause.to_string())),
            (Err(_), Ok(_)) => return Err(refused("one of the contents does not suit it")),
        };
        let contents = skeleton.ok().and_then(|skeleton| locate(&text, &skeleton, &marks, messages));
        Ok(Rendered { text, contents })
    }

    fn run(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<std::result::Result<String, minijinja::Error>> {
        let environment = self.environment.as_ref().map_err(Clone::clone)?;
        let variables = context! {
            messages,
            add_generation_prompt,
            tools => Value::from(()),
            documents => Value::from(()),
            ..Value::from_serialize(&self.special_tokens)
        };
        Ok(environment.get_template(NAME).and_then(|template| template.render(variables)))
    }
}

fn refused(cause: &str) -> Error {
    Error::new(ErrorKind::BadData, format!("the model's chat template refuses the conversation: {cause}"))
}

/// One word per message that occurs in none of them.
fn marks(messages: &[ChatMessage]) -> Vec<String> {
    let mut word = String::from("content");
    while messages.iter().any(|message| message.content.contains(&word)) {
        word.push('z');
    }
    (0..messages.len()).map(|index| format!("{word}{index}.")).collect()
}

/// Where the contents lie in `text`, given the same rendering with `marks` in their places.
fn locate(text: &str, skeleton: &str, marks: &[String], messages: &[ChatMessage]) -> Option<Vec<Range<usize>>> {
    let mut gaps = Vec::with_capacity(marks.len() + 1);
    let mut rest = skeleton;
    for mark in marks {
        let (gap, after) = rest.split_once(mark.as_str())?;
        gaps.push(gap);
        rest = after;
    }
    gaps.push(rest);
    if marks.iter().any(|mark| gaps.iter().any(|gap| gap.contains(mark.as_str()))) {
        return None;
    }

    let mut at = gaps[0].len();
    text.starts_with(gaps[0]).then_some(())?;
    let mut contents = Vec::with_capacity(messages.len());
    for (message, gap) in std::iter::zip(messages, &gaps[1..]) {
        let content = message.content.as_str();
        let length = [content, content.trim(), content.trim_end(), content.trim_start()]
            .into_iter()
            .find(|form| text[at..].strip_prefix(form).is_some_and(|after| after.starts_with(gap)))?
            .len();
        contents.push(at..at + length);
        at += length + gap.len();
    }
    (at == text.len()).then_some(contents)
}

fn compile(source: &str) -> std::result::Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_debug(false);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.set_formatter(|out, state, value| match value.kind() {
        ValueKind::None => Ok(out.write_str("None")?),
        ValueKind::Bool => Ok(out.write_str(if value.is_true() { "True" } else { "False" })?),
        _ => escape_formatter(out, state, value),
    });
    environment.add_filter("tojson", tojson);
    environment.add_function("raise_exception", |message: String| -> std::result::Result<Value, minijinja::Error> {
        Err(minijinja::Error::new(JinjaErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: &str| time::strftime(time::now(), format));
    environment.add_template_owned(NAME, without_generation_tags(&line_feeds(source)))?;
    Ok(environment)
}

/// The source with the line ends that Jinja2 reads it with, whatever system it was written on.
fn line_feeds(source: &str) -> String {
    source.replace("\r\n", "\n").replace('\r', "\n")
}

/// `{% generation %}` marks what the assistant wrote and prints nothing of its own: a block that always holds.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, tag)) = rest.split_once("{%") {
        out.push_str(before);
        out.push_str("{%");
        let Some((inside, after)) = tag.split_once("%}") else {
            rest = tag;
            continue;
        };
        let control = |c: char| c == '-' || c == '+' || c.is_whitespace();
        match inside.trim_matches(control) {
            "generation" => out.push_str(&inside.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&inside.replacen("endgeneration", "endif", 1)),
            _ => {
                rest = tag;
                continue;
            }
        }
        out.push_str("%}");
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Python's `json.dumps(value, ensure_ascii=False, indent=indent)`.
fn tojson(value: &Value, indent: Option<usize>, options: Kwargs) -> std::result::Result<String, minijinja::Error> {
    let indent = indent.or(options.get("indent")?);
    options.get::<Option<bool>>("ensure_ascii")?;
    options.assert_all_used()?;
    let mut out = Vec::new();
    let written = match indent {
        None => value.serialize(&mut Serializer::with_formatter(&mut out, Spaced(CompactFormatter))),
        Some(width) => {
            let spaces = " ".repeat(width.min(16));
            value.serialize(&mut Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(spaces.as_bytes())))
        }
    };
    let failed = |_| minijinja::Error::new(JinjaErrorKind::BadSerialization, "tojson");
    written.map_err(failed)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// One line with a space after every comma and colon.
struct Spaced(CompactFormatter);

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.0.begin_object_value(writer)?;
        writer.write_all(b" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Role;

    /// Templates and what `apply_chat_template` of transformers 5.23 makes of them, for the conversation below.
    const CASES: [(&str, &str); 15] = [
        ("{{ bos_token }}{{ pad_token }}|{{ messages | length }}\n", "<s>|3"),
        ("a\n  {% if true %}\nb\n  {% endif %}\nc", "a\nb\nc"),
        ("a \n {%- if true -%} \n b {%- endif %}", "ab"),
        ("{{ none }} {{ true }} {{ 1 == 2 }} {{ 7 // 2 }} {{ 1.5 }}", "None True False 3 1.5"),
        ("{{ tools is none }}{{ tools is defined }}{{ nothing is defined }}{{ nothing }}", "TrueTrueFalse"),
        ("{{ messages[0] | tojson }}", r#"{"role": "system", "content": "Be <b>"}"#),
        (
            "{{ {'a': [1, true, none], 'é': '\\n'} | tojson(indent=2) }}",
            "{\n  \"a\": [\n    1,\n    true,\n    null\n  ],\n  \"é\": \"\\n\"\n}",
        ),
        ("{{ [] | tojson }}{{ {} | tojson }}", "[]{}"),
        ("{{ ' x '.strip() }}{{ 'ab'.upper() }}{{ 'a,b'.split(',')[-1] }}{{ 'ab'.startswith('a') }}", "xABbTrue"),
        ("{{ messages[1:] | map(attribute='role') | join(',') }}", "user,assistant"),
        ("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role[0] }}{% endfor %}", "ua"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "3"),
        ("{% macro f(x) %}[{{ x }}]{% endmacro %}{{ f('y') }}{{ 'a' ~ (1 + 1) }}", "[y]a2"),
        ("{%- generation -%} {{ messages[2].content }} {%- endgeneration %}\n!", "hi!"),
        ("{% generation %}\na\n{% endgeneration %}\n{% set generation = 1 %}{{ generation }}", "a\n1"),
    ];

    fn conversation() -> Vec<ChatMessage> {
        let turns = [(Role::System, "Be <b>"), (Role::User, "\"q\" {{ x }}"), (Role::Assistant, "hi")];
        turns.map(|(role, content)| ChatMessage::new(role, content)).into()
    }

    #[test]
    fn templates_render_as_in_transformers() {
        let names = BTreeMap::from([("bos_token".to_owned(), "<s>".to_owned())]);
        for (source, expected) in CASES {
            let rendered = ChatTemplate::new(source.into(), &names).render(&conversation(), true);
            assert_eq!(rendered.map(|rendered| rendered.text).as_deref(), Ok(expected), "{source}");
        }
    }

    /// Sources with other line ends, and what Jinja2 3.1 makes of them for the conversation above.
    const LINE_ENDS: [(&str, &str); 8] = [
        ("{% for m in messages %}\r\n<{{ m.role }}>\r\n{% endfor %}\r\n", "<system>\n<user>\n<assistant>\n"),
        ("a\r\n  {% if true %}\r\nb\r\n  {% endif %}\r\nc\r\n\r\n", "a\nb\nc\n"),
        ("a\rb\r{{ 1 }}\r\n\rc", "a\nb\n1\n\nc"),
        ("{{ 'x\r\ny' }}{{ 'x\\r\\ny' }}", "x\nyx\r\ny"),
        ("{#- c -#}\r\n a {# d #}\r\nb", "a b"),
        ("a\r\n{%- if true -%}\r\n b\r\n{%- endif %}\r\n", "ab"),
        ("{% generation %}\r\na\r\n{% endgeneration %}\r\n", "a\n"),
        // A byte order mark is text as any other.
        ("\u{feff}{% if true %}\r\na{% endif %}\r\n", "\u{feff}a"),
    ];

    #[test]
    fn line_ends_of_the_source_are_line_feeds_and_those_of_contents_stay() {
        for (source, expected) in LINE_ENDS {
            let rendered = ChatTemplate::new(source.into(), &BTreeMap::new()).render(&conversation(), true);
            assert_eq!(rendered.map(|rendered| rendered.text).as_deref(), Ok(expected), "{source:?}");
        }
        let template = ChatTemplate::new("{{ messages[0].content }}\r\n.".into(), &BTreeMap::new());
        let rendered = template.render(&[ChatMessage::new(Role::User, "a\r\nb")], false);
        assert_eq!(rendered.map(|rendered| rendered.text).as_deref(), Ok("a\r\nb\n."));
    }

    #[test]
    fn contents_are_found_where_the_template_puts_them() {
        let conversation = [ChatMessage::new(Role::User, " a b "), ChatMessage::new(Role::Assistant, "a")];
        for (source, expected) in [
            ("{% for m in messages %}<{{ m.content }}>{% endfor %}", Some([" a b ", "a"])),
            ("{% for m in messages %}<{{ m.content | trim }}>{% endfor %}", Some(["a b", "a"])),
            ("{% for m in messages %}a {{ m.content.rstrip() }}{% endfor %}", Some([" a b", "a"])),
            ("{{ messages[1].content }}{{ messages[0].content }}", None),
            ("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", None),
            ("{% for m in messages %}{{ m.content | upper }}{% endfor %}", None),
            ("{{ messages[0].content }}", None),
            ("{% for m in messages %}{{ m.content | tojson }}{% endfor %}", Some([" a b ", "a"])),
            ("{% for m in messages %}{{ m.content | length }}{% endfor %}", None),
        ] {
            let rendered = ChatTemplate::new(source.into(), &BTreeMap::new()).render(&conversation, false);
            let Rendered { text, contents } = rendered.expect("text");
            let found = contents.map(|ranges| ranges.into_iter().map(|range| text[range].to_owned()).collect());
            assert_eq!(found, expected.map(|contents| contents.map(String::from).to_vec()), "{source}");
        }
    }
}
