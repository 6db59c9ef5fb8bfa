"""What `verify` checks: the log range by range, and the story of each payment. Shares no code with the rules."""
