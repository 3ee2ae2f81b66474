// Makes locale_heads.tsv, which the tests read: how every locale of CLDR writes a date and a time of day in short, by
// the Intl of Node.js.
//
//   npm install cldr-core@48.2.0
//   node locale_heads.mjs node_modules

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const { availableLocales } = JSON.parse(readFileSync(join(process.argv[2], "cldr-core", "availableLocales.json"), "utf8"));
const calendars = ["th-u-ca-buddhist", "en-u-ca-buddhist", "ja-u-ca-japanese", "en-u-ca-japanese", "zh-TW-u-ca-roc",
  "fa-u-ca-persian", "en-u-ca-persian", "ar-SA-u-ca-islamic-umalqura", "en-u-ca-islamic-umalqura"];
const seen = new Set();
const rows = [];
for (const locale of [...availableLocales.full, ...calendars]) {
  if (Intl.DateTimeFormat.supportedLocalesOf([locale]).length === 0) continue;
  for (const time of ["2023-12-31T21:41:05", "2023-12-31T00:05:09"]) {
    for (const timeStyle of ["short", "medium"]) {
      const format = new Intl.DateTimeFormat(locale, { dateStyle: "short", timeStyle, timeZone: "UTC" });
      const text = format.format(new Date(`${time}Z`));
      if (seen.has(text)) continue;
      seen.add(text);
      rows.push(`${locale}\t${timeStyle === "short" ? time.slice(0, 16) : time}\t${text}`);
    }
  }
}
writeFileSync(
  join(here, "locale_heads.tsv"),
  `# A date and a time of day in short, as the locale writes them: locale, the same in ISO 8601, as written.\n` +
    `# ICU ${process.versions.icu}, CLDR ${process.versions.cldr} (Unicode-3.0); made by locale_heads.mjs\n${rows.join("\n")}\n`,
);
