-- When somebody last logged in, also where that login has ended.
CREATE INDEX session_latest ON session (user, created_at);
