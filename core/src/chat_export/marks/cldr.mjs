// Makes day_parts.tsv and digits.tsv from CLDR:
//
//   npm install cldr-core@48.2.0 cldr-dates-full@48.2.0
//   node cldr.mjs node_modules
//
// day_parts.tsv: the words for am, pm, noon, midnight and for the flexible day periods of every language, with the
// hours that they stand for. A locale has rows of its own only where its words are not its language's.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const modules = process.argv[2];
const here = dirname(fileURLToPath(import.meta.url));
const json = (...path) => JSON.parse(readFileSync(join(modules, ...path), "utf8"));
const version = json("cldr-dates-full", "package.json").version;
const source = `# CLDR ${version} (Unicode-3.0); made by cldr.mjs\n`;

// What readers compare: no case, no white space, no full stops or apostrophes.
const key = (word) => word.toLowerCase().replace(/[\s.'’\u200e\u200f]/gu, "");

const rules = json("cldr-core", "supplemental", "dayPeriods.json").supplemental.dayPeriodRuleSet;
const hour = (time) => parseInt(time, 10);
const spans = (language) => {
  const known = { am: [0, 12], pm: [12, 24], noon: [12, 13], midnight: [0, 1] };
  for (const [name, rule] of Object.entries(rules[language] ?? {})) {
    if (rule._from) known[name] = [hour(rule._from), hour(rule._before)];
  }
  return known;
};

const main = join(modules, "cldr-dates-full", "main");
const rows = [];
const words_of = new Map();
const locales = readdirSync(main).sort((a, b) => a.split("-").length - b.split("-").length || (a < b ? -1 : 1));
for (const locale of locales) {
  const language = locale.split("-")[0];
  const periods = json("cldr-dates-full", "main", locale, "ca-gregorian.json").main[locale].dates.calendars.gregorian
    .dayPeriods;
  const hours = spans(language);
  const known = words_of.get(language) ?? new Set();
  words_of.set(language, known);
  const found = new Map();
  for (const form of ["format", "stand-alone"]) {
    for (const width of ["abbreviated", "wide", "narrow"]) {
      for (const [name, word] of Object.entries(periods[form][width])) {
        const span = hours[name.split("-")[0]];
        // A letter alone says little, but where the script has no letters of two sizes.
        if (!span || /^[\p{Lu}\p{Ll}]\.?$/u.test(word) || /[\d:]/.test(word)) continue;
        const place = `${span[0]}\t${span[1]}`;
        if (known.has(`${place} ${key(word)}`)) continue;
        known.add(`${place} ${key(word)}`);
        found.set(place, [...(found.get(place) ?? []), word]);
      }
    }
  }
  for (const [place, words] of found) rows.push(`${locale}\t${place}\t${words.join("|")}`);
}
// Rows that say the same of the same words in another language add nothing.
const said = new Map();
const kept = [];
for (const row of rows) {
  const [locale, from, before, words] = row.split("\t");
  const fresh = words.split("|").filter((word) => !said.has(`${from} ${before} ${key(word)}`));
  for (const word of fresh) said.set(`${from} ${before} ${key(word)}`, locale);
  if (fresh.length > 0) kept.push([locale, from, before, fresh.join("|")].join("\t"));
}
kept.sort();
writeFileSync(
  join(here, "day_parts.tsv"),
  `# Words for parts of the day: locale, the hours from and before, the words. Words that several languages share for\n` +
    `# the same hours stand at the first.\n${source}${kept.join("\n")}\n`,
);

const systems = json("cldr-core", "supplemental", "numberingSystems.json").supplemental.numberingSystems;
const digits = Object.entries(systems)
  .filter(([name, system]) => system._type === "numeric" && name !== "latn" && name !== "hanidec")
  .map(([name, system]) => `${name}\t${system._digits}`);
writeFileSync(
  join(here, "digits.tsv"),
  `# Decimal digits, nought to nine: CLDR's numbering system, its digits.\n${source}${digits.join("\n")}\n`,
);
