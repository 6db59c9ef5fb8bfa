-- Every way that people move money to each other: holds, payments that wait, shares, quotes, limits.
ALTER TABLE head ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE head ADD COLUMN mode TEXT NOT NULL DEFAULT 'live' CHECK (mode IN ('sandbox', 'live'));

ALTER TABLE user ADD COLUMN tier TEXT NOT NULL DEFAULT 'basic';
ALTER TABLE user ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;

-- What an amount of a currency means never changes once there is one.
CREATE TABLE currency (
  code TEXT PRIMARY KEY CHECK (length(code) = 3),
  exponent INTEGER NOT NULL CHECK (exponent BETWEEN 0 AND 8)
) STRICT, WITHOUT ROWID;

ALTER TABLE transfer ADD COLUMN phase TEXT NOT NULL DEFAULT 'single'
  CHECK (phase IN ('single', 'pending', 'post', 'void', 'expire'));
ALTER TABLE transfer ADD COLUMN pending INTEGER NOT NULL DEFAULT 0
  CHECK ((pending > 0) = (phase IN ('post', 'void', 'expire')));
CREATE INDEX transfer_debit ON transfer (debit);
CREATE INDEX transfer_credit ON transfer (credit);
-- One outcome for each hold.
CREATE UNIQUE INDEX transfer_outcome ON transfer (pending) WHERE pending > 0;

CREATE TABLE payment (
  id TEXT PRIMARY KEY,
  pos INTEGER NOT NULL REFERENCES event (pos),
  at INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('send', 'request', 'split', 'packet')),
  conv TEXT NOT NULL REFERENCES conversation (id),
  payer TEXT NOT NULL,
  payee TEXT NOT NULL,
  currency TEXT NOT NULL CHECK (length(currency) = 3),
  amount INTEGER NOT NULL CHECK (amount BETWEEN 1 AND 1000000000000000),
  state TEXT NOT NULL CHECK (state IN (
    'pending', 'open', 'completed', 'paid', 'declined', 'cancelled', 'expired', 'settled', 'emptied',
    'partly_refunded', 'refunded')),
  fee INTEGER NOT NULL CHECK (fee >= 0),
  fee_on TEXT NOT NULL CHECK (fee_on IN ('payer', 'payee')),
  refunded INTEGER NOT NULL CHECK (refunded BETWEEN 0 AND received),
  received INTEGER NOT NULL,
  received_currency TEXT NOT NULL,
  hold INTEGER NOT NULL,
  fee_hold INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  mode TEXT NOT NULL,
  count INTEGER NOT NULL,
  claimed INTEGER NOT NULL CHECK (claimed BETWEEN 0 AND count),
  seed BLOB NOT NULL,
  reminded_at INTEGER NOT NULL,
  counted INTEGER NOT NULL CHECK (counted IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX payment_payer ON payment (payer, pos);
CREATE INDEX payment_payee ON payment (payee, pos);
CREATE INDEX payment_due ON payment (expires_at) WHERE state IN ('pending', 'open');

CREATE TABLE share (
  payment TEXT NOT NULL REFERENCES payment (id),
  n INTEGER NOT NULL CHECK (n >= 1),
  person TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 1),
  state TEXT NOT NULL CHECK (state IN ('open', 'paid', 'declined', 'waived', 'cancelled', 'expired', 'claimed')),
  hold INTEGER NOT NULL,
  PRIMARY KEY (payment, n)
) STRICT, WITHOUT ROWID;
-- One share of a packet or bill for each person.
CREATE UNIQUE INDEX share_person ON share (person, payment) WHERE person <> '';

CREATE TABLE quote (
  id TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  sell TEXT NOT NULL,
  buy TEXT NOT NULL,
  sell_amount INTEGER NOT NULL CHECK (sell_amount >= 1),
  buy_amount INTEGER NOT NULL CHECK (buy_amount >= 1),
  margin INTEGER NOT NULL CHECK (margin >= 0),
  fee INTEGER NOT NULL CHECK (fee >= 0),
  rate TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  used_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What a person has spent in one slot of time, for the limits.
CREATE TABLE use (
  user TEXT NOT NULL,
  currency TEXT NOT NULL,
  slot INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 0),
  count INTEGER NOT NULL CHECK (count >= 0),
  PRIMARY KEY (user, currency, slot)
) STRICT, WITHOUT ROWID;
