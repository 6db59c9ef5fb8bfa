"""The store's contract at its plainest, in memory."""
