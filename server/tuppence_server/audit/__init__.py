"""What `verify` checks: the log range by range, and what became of each payment.
Shares no code with the rules."""
