"""The road in narrow steps, so that a burst of a few frames meets all that a busy server does.

Frames are then decided beside every save, loaded two at a time, and a batch is full with five; the book is dropped as
soon as it holds a few rows; and SQLite's entries are filled in after every third transfer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from tuppence_server.pipeline import pipeline
from tuppence_server.store.sqlite import entries

SAVE_TURNS = 4
"""Turns of the loop that a save should take at least, so that something is decided meanwhile."""
BOOK_ROWS = 130
"""Rows that the book keeps, of about as many as a few people and their latest payments have."""


@contextmanager
def narrowed(*, really: bool = True) -> Iterator[None]:
    """Narrow every road that runs inside; not `really` leaves all as it is."""
    if not really:
        yield
        return
    road = {"OVERLAP_FRAMES_MIN": 1, "LOAD_FRAMES_MAX": 2, "SLICE_FRAMES": 1, "BATCH_FRAMES_MAX": 5}
    road["BOOK_ROWS_MAX"] = BOOK_ROWS
    with patch.multiple(pipeline, **road), patch.object(entries, "ENTRIES_BEHIND_MAX", 3):
        yield
