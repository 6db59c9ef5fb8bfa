-- Posted balances that were carried over, so that one of any moment is told without going through all that moved the
-- account. Later ones are added with the entries; of what has entries, one at each thousandth.
CREATE TABLE carried (
  account INTEGER NOT NULL,
  transfer INTEGER NOT NULL,
  balance INTEGER NOT NULL,
  PRIMARY KEY (account, transfer)
) STRICT, WITHOUT ROWID;
INSERT INTO carried (account, transfer, balance)
  SELECT account, transfer, balance FROM (
    SELECT e.account, e.transfer, row_number() OVER run AS number,
      sum(CASE WHEN t.phase NOT IN ('single', 'post') THEN 0 WHEN t.credit = e.account THEN t.amount
        ELSE -t.amount END) OVER run AS balance
    FROM entry AS e JOIN transfer AS t ON t.id = e.transfer
    WINDOW run AS (PARTITION BY e.account ORDER BY e.transfer))
  WHERE number % 1000 = 0;
