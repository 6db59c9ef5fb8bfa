"""The road: what is submitted, decided, saved and told, in one order."""
