-- Every sealed thing, appended in the order of its id. Rows are never deleted from a page or moved: a removed one is
-- overwritten in place with zeros, so that no page keeps a stale copy of it.
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    uuid BLOB NOT NULL,
    format INTEGER NOT NULL,
    sealed BLOB NOT NULL
);

-- Distinct texts. `record` seals text and context.
CREATE TABLE samples (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    record INTEGER NOT NULL,
    repeat_hash BLOB NOT NULL UNIQUE,
    cluster INTEGER NOT NULL,
    split INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    count INTEGER NOT NULL,
    band_0 INTEGER NOT NULL,
    band_1 INTEGER NOT NULL,
    band_2 INTEGER NOT NULL,
    band_3 INTEGER NOT NULL,
    band_4 INTEGER NOT NULL,
    band_5 INTEGER NOT NULL
);
CREATE INDEX samples_band_0 ON samples (band_0);
CREATE INDEX samples_band_1 ON samples (band_1);
CREATE INDEX samples_band_2 ON samples (band_2);
CREATE INDEX samples_band_3 ON samples (band_3);
CREATE INDEX samples_band_4 ON samples (band_4);
CREATE INDEX samples_band_5 ON samples (band_5);

-- Each time that a text was written. `record` seals the app's id, the contact and the conversation, where there are any.
CREATE TABLE occurrences (
    id INTEGER PRIMARY KEY,
    sample INTEGER NOT NULL,
    time INTEGER NOT NULL,
    source INTEGER,
    contact_hash BLOB,
    app_id_hash BLOB,
    record INTEGER
);
CREATE INDEX occurrences_sample ON occurrences (sample);
CREATE INDEX occurrences_time ON occurrences (time);
CREATE INDEX occurrences_source ON occurrences (source) WHERE source IS NOT NULL;
CREATE INDEX occurrences_contact ON occurrences (contact_hash) WHERE contact_hash IS NOT NULL;
CREATE UNIQUE INDEX occurrences_app_id ON occurrences (app_id_hash) WHERE app_id_hash IS NOT NULL;

-- Near-duplicates. `size` counts messages, repeats included; the split is for ever.
CREATE TABLE clusters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    split INTEGER NOT NULL,
    size INTEGER NOT NULL
);

-- `record` seals the name.
CREATE TABLE sources (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    record INTEGER NOT NULL
);

-- What never enters. `record` seals the name.
CREATE TABLE exclusions (
    hash BLOB PRIMARY KEY,
    kind INTEGER NOT NULL,
    record INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;
INSERT INTO settings VALUES ('revision', 0);
