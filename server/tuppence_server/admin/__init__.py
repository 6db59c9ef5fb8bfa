"""What the operator can do, whoever carries it here: the running server, or a command alone with the data."""
