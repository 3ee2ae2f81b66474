-- The adapter versions that learned from this history, and how many of their samples have gone since.
CREATE TABLE versions (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    samples INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    expired INTEGER NOT NULL
);

CREATE TABLE learned (
    sample INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (sample, version)
) WITHOUT ROWID;
