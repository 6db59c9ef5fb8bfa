"""Settings: every one once, with its meaning and its range."""
