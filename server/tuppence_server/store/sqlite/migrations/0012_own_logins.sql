-- A person's logins in one index instead of two: those that are good by when, and when the last of all was.
DROP INDEX session_open;
DROP INDEX session_latest;
CREATE INDEX session_own ON session (user, revoked_at, created_at);
