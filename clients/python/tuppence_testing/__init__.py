"""Tests of programs that talk and pay: a real server on a temporary directory, and a network that fails on demand."""

from .sandbox import Act, Sandbox

__all__ = ["Act", "Sandbox"]
