"""A terminal client that people enjoy: `run_terminal(me)` with a connected `Client`."""

from .app import run_terminal

__all__ = ["run_terminal"]
