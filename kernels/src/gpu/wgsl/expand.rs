//! A small preprocessor, for what differs between the variants of a kernel, and for what is the same for each of a few
//! values: with names they stay in registers, where those of an array that a loop goes over may not.
//!
//! - `#if NAME`, `#else`, `#end`: lines by a definition of the kernel.
//! - `#repeat i in 0..8`, `#end`: lines for each number. `{i}` is the number there, and `{2*i+1}` what it makes.
//!
//! A directive has a line of its own. They nest.

use super::Source;

/// What `#if` may ask of a kernel, and the answers.
pub(crate) type Definitions = &'static [(&'static str, bool)];

/// The text of a file as a kernel of these definitions has it.
///
/// # Errors
/// The file, the line and what is wrong there.
pub(crate) fn expand(source: &Source, definitions: Definitions) -> Result<String, String> {
    let lines: Vec<_> = (1..).zip(source.text.lines()).collect();
    let mut text = String::new();
    match block(&lines, definitions, &mut Vec::new(), &mut text) {
        Ok(()) => Ok(text),
        Err((line, what)) => Err(format!("{}:{line}: {what}", source.name)),
    }
}

/// A line with its number.
type Line<'a> = (usize, &'a str);

/// A line's number, and what is wrong there.
type Wrong = (usize, String);

/// Appends lines to `text`; `numbers` are those of the repetitions around them.
fn block<'a>(
    mut lines: &[Line<'a>],
    definitions: Definitions,
    numbers: &mut Vec<(&'a str, usize)>,
    text: &mut String,
) -> Result<(), Wrong> {
    while let Some((&(number, line), behind)) = lines.split_first() {
        lines = behind;
        let wrong = |what: String| (number, what);
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["#if", name] => {
                let defined = definitions.iter().find(|(known, _)| *known == name);
                let (_, defined) = defined.ok_or_else(|| wrong(format!("{name} is no definition")))?;
                let body = body_of(number, lines)?;
                block(if *defined { body.first } else { body.second.unwrap_or(&[]) }, definitions, numbers, text)?;
                lines = body.behind;
            }
            ["#repeat", name, "in", range] => {
                let ends = range.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
                let (from, to): (usize, usize) = ends.ok_or_else(|| wrong(format!("{range} is no range")))?;
                let body = body_of(number, lines)?;
                if body.second.is_some() {
                    return Err(wrong("#else in #repeat".to_owned()));
                }
                for value in from..to {
                    numbers.push((name, value));
                    block(body.first, definitions, numbers, text)?;
                    numbers.pop();
                }
                lines = body.behind;
            }
            [word, ..] if word.starts_with('#') => return Err(wrong(format!("{} here", words.join(" ")))),
            _ => substitute(line, numbers, text).map_err(wrong)?,
        }
    }
    Ok(())
}

/// The lines that a directive is about, up to its `#else` and from there on, and those behind its `#end`.
struct Body<'l, 'a> {
    first: &'l [Line<'a>],
    second: Option<&'l [Line<'a>]>,
    behind: &'l [Line<'a>],
}

/// Of the directive at line `number`, which `lines` follow.
fn body_of<'l, 'a>(number: usize, lines: &'l [Line<'a>]) -> Result<Body<'l, 'a>, Wrong> {
    let (mut depth, mut other) = (0, None);
    for (i, (number, line)) in lines.iter().enumerate() {
        match line.split_whitespace().next() {
            Some("#if" | "#repeat") => depth += 1,
            Some("#end") if depth > 0 => depth -= 1,
            Some("#end") => {
                let (inner, behind) = (&lines[..i], &lines[i + 1..]);
                return Ok(match other {
                    Some(at) => Body { first: &inner[..at], second: Some(&inner[at + 1..]), behind },
                    None => Body { first: inner, second: None, behind },
                });
            }
            Some("#else") if depth == 0 && other.is_some() => return Err((*number, "a second #else".to_owned())),
            Some("#else") if depth == 0 => other = Some(i),
            _ => {}
        }
    }
    Err((number, "no #end".to_owned()))
}

/// Appends a line with each `{…}` as the number that it makes. The braces of WGSL have a space behind them, or nothing.
fn substitute(mut line: &str, numbers: &[(&str, usize)], text: &mut String) -> Result<(), String> {
    while let Some((before, rest)) = line.split_once('{') {
        *text += before;
        if rest.is_empty() || rest.starts_with(' ') {
            text.push('{');
            line = rest;
            continue;
        }
        let (expression, rest) = rest.split_once('}').unwrap_or((rest, ""));
        let value = evaluate(expression, numbers).ok_or_else(|| format!("{{{expression}}} is no number"))?;
        *text += &value.to_string();
        line = rest;
    }
    *text += line;
    text.push('\n');
    Ok(())
}

/// A sum of products of numbers and names.
fn evaluate(expression: &str, numbers: &[(&str, usize)]) -> Option<usize> {
    let factor = |factor: &str| {
        let named = numbers.iter().find(|(name, _)| *name == factor).map(|&(_, value)| value);
        named.or_else(|| factor.parse().ok())
    };
    let product = |term: &str| term.split('*').map(factor).product::<Option<usize>>();
    expression.split('+').map(product).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &'static str) -> Result<String, String> {
        expand(&Source { name: "a.wgsl", text }, &[("WIDE", true), ("NARROW", false)])
    }

    #[test]
    fn texts_expand() {
        for (text, expected) in [
            ("let a = 1;\n\nfn f() { g(); }", "let a = 1;\n\nfn f() { g(); }\n"),
            ("#if WIDE\na\n#else\nb\n#end\nc", "a\nc\n"),
            ("#if NARROW\na\n#else\nb\n#end\nc", "b\nc\n"),
            ("#if NARROW\na\n#end\nc", "c\n"),
            ("#if WIDE\n  #if NARROW\na\n  #else\nb\n  #end\n#else\nc\n#end", "b\n"),
            ("  #repeat i in 0..3\n  s{i} += {i}u;\n  #end", "  s0 += 0u;\n  s1 += 1u;\n  s2 += 2u;\n"),
            ("#repeat i in 1..3\ns[{2*i}] = s[{2*i+1}];\n#end", "s[2] = s[3];\ns[4] = s[5];\n"),
            ("#repeat i in 0..1\nif x { y{i}(); }\nfor {\n}\n#end", "if x { y0(); }\nfor {\n}\n"),
            ("#repeat i in 0..2\n#repeat j in 0..2\n{i}{j}\n#end\n#end", "00\n01\n10\n11\n"),
            ("#repeat i in 0..2\n#if WIDE\n{i}\n#end\n#end", "0\n1\n"),
            ("#repeat i in 0..0\n{i}\n#end\na", "a\n"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        for (text, expected) in [
            ("\n#if HIGH\n#end", "a.wgsl:2: HIGH is no definition"),
            ("a\n#if WIDE\nb", "a.wgsl:2: no #end"),
            ("#repeat i in 0..2\n#if WIDE\n#end", "a.wgsl:1: no #end"),
            ("#end", "a.wgsl:1: #end here"),
            ("a\n  #else", "a.wgsl:2: #else here"),
            ("#if WIDE\n#else\n#end\n#end", "a.wgsl:4: #end here"),
            ("#if WIDE\n#else\n#else\n#end", "a.wgsl:3: a second #else"),
            ("#repeat i in 0..2\n#else\n#end", "a.wgsl:1: #else in #repeat"),
            ("#repeat i in 8\n#end", "a.wgsl:1: 8 is no range"),
            ("#repeat i 0..8\n#end", "a.wgsl:1: #repeat i 0..8 here"),
            ("#include \"b\"", "a.wgsl:1: #include \"b\" here"),
            ("#repeat i in 0..2\n\ns{j}\n#end", "a.wgsl:3: {j} is no number"),
            ("#repeat i in 0..2\ns{2i}\n#end", "a.wgsl:2: {2i} is no number"),
            ("s{i}", "a.wgsl:1: {i} is no number"),
        ] {
            assert_eq!(expanded(text), Err(expected.to_owned()), "{text}");
        }
    }
}
