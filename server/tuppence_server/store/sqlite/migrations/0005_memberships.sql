-- Where in the log a stay ended, so that what somebody missed is found without looking through every group that they
-- were ever in; before, the seq at which an earlier stay ended stood here.
ALTER TABLE member ADD COLUMN gone INTEGER NOT NULL DEFAULT 0 CHECK (gone >= 0);
UPDATE member SET gone = coalesce(
    (SELECT pos FROM event WHERE event.conv = member.conv AND event.seq = coalesce(member.until, member.left)), 0)
  WHERE until IS NOT NULL OR left IS NOT NULL;
ALTER TABLE member DROP COLUMN left;
DROP INDEX member_user;
CREATE INDEX member_here ON member (user) WHERE until IS NULL;
CREATE INDEX member_gone ON member (user, gone) WHERE gone > 0;

-- How many groups a person is in, which is bounded.
ALTER TABLE user ADD COLUMN groups INTEGER NOT NULL DEFAULT 0 CHECK (groups >= 0);
UPDATE user SET groups = (
  SELECT count(*) FROM member AS m JOIN conversation AS c ON c.id = m.conv
  WHERE m.user = user.id AND m.until IS NULL AND c.pair IS NULL);
