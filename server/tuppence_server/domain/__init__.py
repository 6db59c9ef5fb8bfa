"""The rules of chat and money, pure: rows in, facts or a refusal out. Time and ids come in as arguments."""
