-- How many of a version's samples an edit replaced.
ALTER TABLE versions ADD COLUMN replaced INTEGER NOT NULL DEFAULT 0;

-- The samples that edits replaced: a training may have chosen them before.
CREATE TABLE replaced (
    sample INTEGER PRIMARY KEY
);

-- Origins that have a name alone, which `record` seals.
CREATE TABLE origins (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    record INTEGER NOT NULL
);
CREATE INDEX samples_origin ON samples (origin) WHERE origin >= 256;

-- Days of a conversation that began a history, by the keyed hash that they are drawn by: they are in training.
CREATE TABLE first_days (
    day INTEGER PRIMARY KEY
);
