"""The Tuppence server: one road for chat and payments."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tuppence")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0"
