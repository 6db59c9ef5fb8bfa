-- What nobody needs any more is found by how long it has been over.
CREATE INDEX quote_unused ON quote (expires_at) WHERE used_by = '';
CREATE INDEX session_over ON session (coalesce(revoked_at, expires_at));
CREATE INDEX use_slot ON use (slot);
-- A person's logins that are good, latest first; those that are not need not be looked at.
DROP INDEX session_user;
CREATE INDEX session_open ON session (user, created_at) WHERE revoked_at IS NULL;
