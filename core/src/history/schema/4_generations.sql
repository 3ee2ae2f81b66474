-- Records are bound to their places. Those of earlier releases are set aside, to be sealed again; new ones get numbers that
-- none of them has.
ALTER TABLE records RENAME TO earlier_records;
INSERT INTO settings SELECT 'earlier records', coalesce(max(id), 0) FROM earlier_records;
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    sealed BLOB NOT NULL
);

-- The records that are there, and the generation that each was sealed in.
CREATE TABLE generations (
    record INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL
);
INSERT INTO settings VALUES ('generation', 0), ('sum', 0), ('anchored', 0);

-- Rows with records have numbers.
CREATE TABLE numbered (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    kind INTEGER NOT NULL,
    record INTEGER NOT NULL
);
INSERT INTO numbered (hash, kind, record) SELECT hash, kind, record FROM exclusions ORDER BY record;
DROP TABLE exclusions;
ALTER TABLE numbered RENAME TO exclusions;
