CREATE TABLE head (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  epoch TEXT NOT NULL,
  pos INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  account_id INTEGER NOT NULL,
  transfer_id INTEGER NOT NULL
) STRICT;

CREATE TABLE user (
  id TEXT PRIMARY KEY,
  handle TEXT NOT NULL UNIQUE,
  skeleton TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  password TEXT,
  disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL REFERENCES user (id),
  token_hash TEXT NOT NULL UNIQUE,
  device TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX session_user ON session (user);

CREATE TABLE conversation (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('dm', 'group', 'self')),
  title TEXT NOT NULL,
  pair TEXT UNIQUE,
  created_at INTEGER NOT NULL,
  seq INTEGER NOT NULL CHECK (seq >= 0),
  pos INTEGER NOT NULL CHECK (pos >= 0),
  members INTEGER NOT NULL CHECK (members >= 0),
  owners INTEGER NOT NULL CHECK (owners >= 0),
  CHECK ((kind = 'group') = (pair IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE member (
  conv TEXT NOT NULL REFERENCES conversation (id),
  user TEXT NOT NULL REFERENCES user (id),
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'reader')),
  since INTEGER NOT NULL,
  until INTEGER,
  read INTEGER NOT NULL,
  delivered INTEGER NOT NULL,
  left INTEGER,
  PRIMARY KEY (conv, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_user ON member (user);

-- The envelope and the body of an event are the exact bytes that clients get.
CREATE TABLE event (
  pos INTEGER PRIMARY KEY,
  conv TEXT NOT NULL REFERENCES conversation (id),
  seq INTEGER NOT NULL CHECK (seq >= 1),
  head BLOB NOT NULL,
  body BLOB NOT NULL,
  salt BLOB NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  UNIQUE (conv, seq)
) STRICT;

-- One outcome per id, for ever.
CREATE TABLE receipt (
  id TEXT PRIMARY KEY,
  sender TEXT NOT NULL,
  pos INTEGER,
  refusal BLOB,
  CHECK ((pos IS NULL) <> (refusal IS NULL))
) STRICT, WITHOUT ROWID;

-- Minor units. A customer's available balance never falls below zero, at any commit.
CREATE TABLE account (
  id INTEGER PRIMARY KEY,
  owner TEXT NOT NULL,
  currency TEXT NOT NULL CHECK (length(currency) = 3),
  code TEXT NOT NULL,
  debits_posted INTEGER NOT NULL CHECK (debits_posted >= 0),
  credits_posted INTEGER NOT NULL CHECK (credits_posted >= 0),
  debits_pending INTEGER NOT NULL CHECK (debits_pending >= 0),
  credits_pending INTEGER NOT NULL CHECK (credits_pending >= 0),
  UNIQUE (owner, currency, code),
  CHECK (code <> 'customer' OR credits_posted - debits_posted - debits_pending >= 0)
) STRICT;

CREATE TABLE transfer (
  id INTEGER PRIMARY KEY,
  pos INTEGER NOT NULL REFERENCES event (pos),
  debit INTEGER NOT NULL REFERENCES account (id),
  credit INTEGER NOT NULL REFERENCES account (id),
  amount INTEGER NOT NULL CHECK (amount BETWEEN 1 AND 1000000000000000),
  code TEXT NOT NULL,
  CHECK (debit <> credit)
) STRICT;

CREATE TRIGGER transfer_keeps BEFORE UPDATE ON transfer
BEGIN SELECT RAISE (ABORT, 'transfers are immutable'); END;
CREATE TRIGGER transfer_stays BEFORE DELETE ON transfer
BEGIN SELECT RAISE (ABORT, 'transfers are immutable'); END;
CREATE TRIGGER event_keeps BEFORE UPDATE OF pos, conv, seq, head, hash ON event
BEGIN SELECT RAISE (ABORT, 'events are immutable'); END;
CREATE TRIGGER event_stays BEFORE DELETE ON event
BEGIN SELECT RAISE (ABORT, 'events are immutable'); END;
CREATE TRIGGER receipt_keeps BEFORE UPDATE ON receipt
BEGIN SELECT RAISE (ABORT, 'receipts are immutable'); END;
CREATE TRIGGER receipt_stays BEFORE DELETE ON receipt
BEGIN SELECT RAISE (ABORT, 'receipts are immutable'); END;
