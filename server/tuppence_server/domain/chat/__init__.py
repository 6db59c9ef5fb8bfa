"""The rules of talking."""
