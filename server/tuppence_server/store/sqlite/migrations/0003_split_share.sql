-- Whom each split asks, latest first. A share does not know where in the log its split stands, and reading all
-- shares of a person to sort them would cost more with every split there ever was.
CREATE TABLE split_share (
  person TEXT NOT NULL,
  pos INTEGER NOT NULL REFERENCES event (pos),
  PRIMARY KEY (person, pos)
) STRICT, WITHOUT ROWID;
INSERT INTO split_share
  SELECT s.person, p.pos FROM share AS s JOIN payment AS p ON p.id = s.payment WHERE p.kind = 'split';
CREATE TRIGGER split_share_follows AFTER INSERT ON share WHEN NEW.hold = 0
BEGIN
  INSERT INTO split_share SELECT NEW.person, pos FROM payment WHERE id = NEW.payment;
END;
