"""For tests of programs that talk and pay: a real server, behind a network that fails on demand."""

from .sandbox import Act, Sandbox

__all__ = ["Act", "Sandbox"]
