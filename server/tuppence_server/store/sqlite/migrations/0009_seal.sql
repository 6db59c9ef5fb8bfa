-- Sums over rows that no event tells of: people, flags of accounts, refusals, the mode. Every migration sums up anew.
CREATE TABLE seal (
  name TEXT PRIMARY KEY,
  digest INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
