//! Words for streets, in the languages whose addresses are known.

use super::words::listed;

/// After the name, with a capital: `12 Baker Street`.
const AFTER_NAME: &str = "\
    street st avenue ave av road rd lane ln drive dr boulevard blvd court ct place pl terrace terr way parkway \
    pkwy square sq crescent cres close highway hwy circle cir trail trl mews row gardens gdns grove hill quay \
    alley";

/// Those that mean little else, also without a capital.
const PLAIN: &str = "street avenue ave road rd lane boulevard blvd crescent terrace";

/// Between the number and the name: `14 rue de la Paix`, `10 Jalan Besar`.
const NUMBER_FIRST: &str = "\
    rue avenue av boulevard bd bld place chemin allée allee impasse quai cours route square passage faubourg \
    sentier jalan jln lorong lor";

/// Before a name that the number follows: `Calle Mayor 25`, `ул. Садовая, 7`.
const BEFORE_NAME: &str = "\
    calle c/ avenida avda av plaza pza paseo camino carrer carretera ronda travesía via viale piazza piazzale \
    corso vicolo largo strada rua r travessa praça alameda estrada rodovia ul ulica ulicy al aleja alei pl plac \
    placu os osiedle ул улица улице пр пр-т проспект проспекте пер переулок пл площадь шоссе бульвар наб вул \
    вулиця jl jalan jln gang gg rue boulevard strada calea str odos";

/// A word of its own after the name, before the number: `Berliner Straße 5`, `Atatürk Caddesi 14`.
const BETWEEN: &str = "\
    straße strasse str weg platz gasse allee damm ufer chaussee caddesi cad cd sokak sokağı sok sk bulvarı bulv \
    straat laan plein vej gade gata utca út";

/// The end of a word that is name and street at once: `Hauptstraße 12`, `Kerkstraat 44`.
const ENDINGS: &str = "\
    straße strasse str weg platz gasse allee damm ufer chaussee straat laan gracht plein kade singel dijk steeg \
    gatan vägen gränd torget gata vej gade veien katu";

/// Those that end no ordinary word: a capital is not needed.
const CLEAR_ENDINGS: &str = "straße strasse straat gracht gatan vägen";

/// Words with such an ending that are places to park or to sit.
const NO_STREETS: &str = "\
    arbeitsplatz parkplatz sitzplatz stehplatz spielplatz stellplatz listenplatz umweg heimweg norweg startplatz \
    tabellenplatz fensterplatz schulweg";

const PARTICLES: &str = "\
    de du des la le les l' del los las el da das do dos e y di della delle dei degli san st der den dem am an \
    van of";

/// What streets are not called: means of sending and going by, after `via`.
const NO_NAMES: &str = "whatsapp telegram zoom skype email slack teams highway route gate bus platform python usb";

/// Between the street and its number: `Nº`, `No:`, `д.`
const NUMBER_SIGNS: &str = "no nº n° núm num nr n numero número д дом буд nomor hnr";

/// Words that a number before `… street` counts, in place of a name.
const COUNTED: &str = "\
    minutes minute mins min hours hour hrs km miles mile meters metres blocks block doors times days years more \
    other different people of down up the on in to a and or from this that way off long big busy";

fn lower(word: &str) -> String {
    word.trim_end_matches(['.', ':', ',']).to_lowercase()
}

fn capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// What a word can be in an address.
pub(super) struct Word<'a>(pub &'a str);

impl Word<'_> {
    /// A street's name, or part of it: with a capital, or counted as in `5th`.
    pub fn is_name(&self) -> bool {
        let ordinal = self.0.starts_with(|c: char| c.is_ascii_digit()) && {
            let ending = self.0.trim_start_matches(|c: char| c.is_ascii_digit());
            matches!(ending, "st" | "nd" | "rd" | "th") && self.0.len() <= 5
        };
        let elided = self.0.split_once(['\'', '’']).is_some_and(|(article, name)| article.len() <= 2 && capital(name));
        (capital(self.0) || elided) && !listed(NO_NAMES, &lower(self.0)) || ordinal
    }

    pub fn is_particle(&self) -> bool {
        listed(PARTICLES, &lower(self.0))
    }

    pub fn is_counted(&self) -> bool {
        listed(COUNTED, &lower(self.0))
    }

    pub fn is_number_sign(&self) -> bool {
        listed(NUMBER_SIGNS, &lower(self.0))
    }

    pub fn is_letters(&self) -> bool {
        self.0.chars().all(|c| c.is_alphabetic() || "'’-".contains(c))
    }

    /// `Street`; without a capital only what means little else.
    pub fn is_after_name(&self, any_case: bool) -> bool {
        let word = lower(self.0);
        capital(self.0) && listed(AFTER_NAME, &word) || any_case && listed(PLAIN, &word)
    }

    pub fn is_number_first(&self) -> bool {
        listed(NUMBER_FIRST, &lower(self.0))
    }

    pub fn is_before_name(&self) -> bool {
        // One or two letters are a street only as an abbreviation.
        let short = self.0.chars().count() <= 2 && !self.0.contains('/');
        !short && listed(BEFORE_NAME, &lower(self.0)) || self.0.ends_with('.') && listed(BEFORE_NAME, &lower(self.0))
    }

    pub fn is_between(&self) -> bool {
        let known = listed(BETWEEN, &lower(self.0));
        known && (capital(self.0) || listed(CLEAR_ENDINGS, &lower(self.0)))
    }

    /// Name and street in one word.
    pub fn is_compound(&self) -> bool {
        let word = lower(self.0);
        let ends = |endings: &str| {
            endings.split(' ').any(|ending| word.strip_suffix(ending).is_some_and(|name| name.chars().count() >= 3))
        };
        let abbreviated = !word.ends_with("str") || self.0.ends_with('.');
        (capital(self.0) && ends(ENDINGS) && abbreviated || ends(CLEAR_ENDINGS)) && !listed(NO_STREETS, &word)
    }
}
