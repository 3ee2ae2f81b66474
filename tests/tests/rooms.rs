//! The rooms of each crate and the arrows between them: what a room's code names of another one.
//!
//! Arrows go one way. A knot is a set of rooms of which each leads to each; those that are known stand in the table below,
//! and one that falls must leave it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item};

/// What leads where.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The known knots of a crate's folder. In the kernels the trait of operations names both executors, which run programs of
/// them: that one is meant to be.
const KNOTS: [(&str, &[&[&str]]); 4] = [
    ("core/src", &[]),
    ("kernels/src", &[&["cpu", "executor", "gpu", "matrix", "program"]]),
    ("bindings/cli/src", &[]),
    ("bindings/uniffi/src", &[]),
];

#[test]
fn arrows_go_one_way() {
    for (folder, known) in KNOTS {
        let arrows = arrows(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder));
        assert!(arrows.values().any(|to| !to.is_empty()), "{folder}: no arrow was found");
        let known: Vec<BTreeSet<String>> =
            known.iter().map(|knot| knot.iter().map(|&room| room.to_owned()).collect()).collect();
        assert_eq!(knots(&arrows), known, "{folder}, whose arrows are {arrows:#?}");
    }
}

#[test]
fn knots_are_found() {
    let source = |text: &str| named(syn::parse_file(text).unwrap().items, &["a".into(), "b".into()]);
    for (text, expected) in [
        ("use crate::c::D;", vec!["c"]),
        ("use crate::{c, d::{E, F}, self as all};", vec!["c", "d"]),
        ("use super::x; use super::super::e::F; use self::y::Z;", vec!["a", "e"]),
        ("fn f() { println!(\"{}\", crate::g::h()) }", vec!["g"]),
        ("mod inner { use super::super::super::k; use super::super::l; }", vec!["a", "k"]),
        ("#[cfg(test)] mod tests { use crate::c; } #[test] fn t() { crate::c::d() }", vec![]),
        ("//! [`c`](crate::c)\n/// See [`crate::d`].\nstruct S;", vec![]),
    ] {
        let expected: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(source(text), expected, "{text}");
    }

    let arrows = |pairs: &[(&str, &str)]| {
        let mut arrows = Arrows::new();
        for (from, to) in pairs {
            arrows.entry((*from).into()).or_default().insert((*to).into());
        }
        arrows
    };
    for (pairs, expected) in [
        (vec![("a", "b"), ("b", "c"), ("a", "c")], vec![]),
        (vec![("a", "b"), ("b", "a"), ("b", "c")], vec![vec!["a", "b"]]),
        (
            vec![("a", "b"), ("b", "c"), ("c", "a"), ("d", "e"), ("e", "d"), ("c", "d")],
            vec![vec!["a", "b", "c"], vec!["d", "e"]],
        ),
    ] {
        let expected: Vec<BTreeSet<String>> =
            expected.into_iter().map(|knot| knot.into_iter().map(str::to_owned).collect()).collect();
        assert_eq!(knots(&arrows(&pairs)), expected, "{pairs:?}");
    }
}

/// The arrows between the rooms of the crate whose sources lie in `root`: its files and folders there.
fn arrows(root: &Path) -> Arrows {
    let mut arrows = Arrows::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let place = place(path.strip_prefix(root).unwrap());
            // The crate's own file leads everywhere; tests may.
            if path.extension().is_none_or(|extension| extension != "rs")
                || place.is_empty()
                || place.iter().any(|module| module == "tests" || module.ends_with("_tests"))
            {
                continue;
            }
            let file = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
            let mut to = named(file.items, &place);
            to.remove(&place[0]);
            arrows.entry(place[0].clone()).or_default().extend(to);
        }
    }
    let rooms: BTreeSet<String> = arrows.keys().cloned().collect();
    // What is left are the crate's own names, re-exported at its top.
    arrows.values_mut().for_each(|to| to.retain(|name| rooms.contains(name)));
    arrows
}

/// The module that a file is: `["format", "gguf"]` for `format/gguf/mod.rs` as for `format/gguf.rs`.
fn place(file: &Path) -> Vec<String> {
    let mut modules: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    modules.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
    modules
}

/// The first names behind `crate` of all paths in `items` of the module `place`, tests excepted.
fn named(items: Vec<Item>, place: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for item in items {
        match item {
            _ if attributes(&item).iter().any(is_for_tests) => {}
            Item::Mod(inner) => {
                let place: Vec<String> = place.iter().cloned().chain([inner.ident.to_string()]).collect();
                found.extend(named(inner.content.map(|(_, items)| items).unwrap_or_default(), &place));
            }
            item => paths(item.to_token_stream(), place, &mut found),
        }
    }
    found
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[test]` and `#[cfg(test)]`.
fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("test")
        || attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
}

/// Looks through tokens, those in macros too, for `crate::…` and `super::…`.
fn paths(tokens: TokenStream, place: &[String], found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |at: usize, what: &str| tokens.get(at).is_some_and(|token| token.to_string() == what);
    let mut at = 0;
    while at < tokens.len() {
        let begun = !(at >= 2 && is(at - 1, ":") && is(at - 2, ":"));
        let mut depth = match tokens[at].to_string().as_str() {
            "crate" if begun => 0,
            "super" if begun => place.len() - 1,
            _ => {
                if let TokenTree::Group(group) = &tokens[at] {
                    paths(group.stream(), place, found);
                }
                at += 1;
                continue;
            }
        };
        at += 1;
        while is(at, ":") && is(at + 1, ":") && is(at + 2, "super") {
            depth -= 1;
            at += 3;
        }
        if depth > 0 {
            found.insert(place[0].clone());
        } else if is(at, ":") && is(at + 1, ":") {
            match tokens.get(at + 2) {
                Some(TokenTree::Ident(name)) => drop(found.insert(name.to_string())),
                Some(TokenTree::Group(group)) => found.extend(first_names(group.stream())),
                _ => {}
            }
        }
    }
}

/// Of `{a, b::{c, d}}`: a and b.
fn first_names(tokens: TokenStream) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut begins = true;
    for token in tokens {
        if let TokenTree::Ident(name) = &token
            && begins
        {
            names.insert(name.to_string());
        }
        begins = token.to_string() == ",";
    }
    names.remove("self");
    names
}

/// The sets of more than one room of which each leads to each.
fn knots(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let reach = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from.to_owned()];
        while let Some(room) = next.pop() {
            for to in arrows.get(&room).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    next.push(to.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = arrows.keys().map(|room| (room, reach(room))).collect();
    let both = |room: &String| -> BTreeSet<String> {
        reached[room]
            .iter()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(room)))
            .cloned()
            .collect()
    };
    let knots: BTreeSet<BTreeSet<String>> = arrows.keys().map(both).filter(|knot| knot.len() > 1).collect();
    knots.into_iter().collect()
}
