-- What was given back of a payment is what was moved for it, to the minor unit and once; what has ended stays as it is.
ALTER TABLE payment ADD COLUMN refund_transfer INTEGER NOT NULL DEFAULT 0;
UPDATE payment SET refund_transfer = last.transfer
FROM (
  SELECT json_extract(CAST(e.head AS TEXT), '$.ref') AS payment, max(t.id) AS transfer
  FROM transfer AS t JOIN event AS e ON e.pos = t.pos
  WHERE t.code IN ('pay.refund', 'pay.reverse') GROUP BY 1
) AS last
WHERE payment.id = last.payment AND payment.refunded > 0;

-- One event gives back by one transfer, or by two where the operator bears a part.
CREATE VIEW given_back AS
  SELECT p.id AS payment, sum(t.amount) AS amount
  FROM payment AS p
  JOIN transfer AS last ON last.id = p.refund_transfer
  JOIN transfer AS t ON t.id BETWEEN last.id - 1 AND last.id AND t.pos = last.pos
    AND t.code IN ('pay.refund', 'pay.reverse')
  JOIN event AS e ON e.pos = t.pos AND json_extract(CAST(e.head AS TEXT), '$.ref') = p.id
  JOIN account AS a ON a.id = t.credit AND a.owner = p.payer AND a.currency = p.received_currency
  GROUP BY p.id;
CREATE TRIGGER payment_given_back AFTER INSERT ON payment WHEN NEW.refunded <> 0 OR NEW.refund_transfer <> 0
BEGIN
  SELECT RAISE (ABORT, 'refunded is what was moved')
  WHERE NEW.refunded IS NOT (SELECT amount FROM given_back WHERE payment = NEW.id);
END;
CREATE TRIGGER payment_given_back_more AFTER UPDATE OF refunded, refund_transfer ON payment
WHEN NEW.refunded <> OLD.refunded OR NEW.refund_transfer <> OLD.refund_transfer
BEGIN
  SELECT RAISE (ABORT, 'refunded is what was moved')
  WHERE NEW.refund_transfer <= OLD.refund_transfer
    OR NEW.refunded - OLD.refunded IS NOT (SELECT amount FROM given_back WHERE payment = NEW.id);
END;
CREATE TRIGGER payment_ended BEFORE UPDATE ON payment
WHEN NOT (OLD.state = 'open' OR OLD.state = 'pending' OR OLD.state = 'completed' OR OLD.state = 'partly_refunded')
BEGIN SELECT RAISE (ABORT, 'what has ended stays'); END;
CREATE TRIGGER share_ended BEFORE UPDATE ON share WHEN OLD.state <> 'open'
BEGIN SELECT RAISE (ABORT, 'what has ended stays'); END;
CREATE TRIGGER quote_used BEFORE UPDATE OF used_by ON quote WHEN OLD.used_by <> ''
BEGIN SELECT RAISE (ABORT, 'a quote is used once'); END;
