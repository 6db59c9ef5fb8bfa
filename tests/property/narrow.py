"""The road in narrow steps, so that a burst of a few frames meets all that a busy server does.

Frames are then decided beside every save, loaded two at a time, and a batch is full with five; the book is dropped as
soon as it holds a few rows; and SQLite's entries are filled in after every third transfer.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

from tuppence_server.pipeline.inbox import Bounds
from tuppence_server.store.sqlite import entries

SAVE_TURNS = 4
"""Turns of the loop that a save should take at least, so that something is decided meanwhile."""
NARROW = Bounds(
    overlap_frames_min=1, load_frames_max=2, slice_frames=1, batch_frames_max=5, book_rows_max=130
)
"""What a road is given; the book keeps about as many rows as a few people and their latest payments have."""


@contextmanager
def narrowed(*, really: bool = True) -> Iterator[None]:
    """Narrow the filling in of SQLite's entries; not `really` leaves it as it is."""
    with patch.object(entries, "ENTRIES_BEHIND_MAX", 3) if really else nullcontext():
        yield
