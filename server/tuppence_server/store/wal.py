"""SQLite's write-ahead log, as its documented format has it (sqlite.org/walformat.html): how long it is by now."""

import mmap
import os
import struct
from pathlib import Path
from typing import Final

_FRAMES: Final = struct.Struct("=I")
_FRAMES_AT: Final = 16
_SALTS: Final = slice(32, 40)
_HEADER_BYTES: Final = 48


class WalIndex:
    """The head of the index that the connections of one file share, as it is in memory.

    To be closed after every connection to the file: closing any descriptor of it lets go of the process's locks.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path.with_name(path.name + "-shm"), os.O_RDONLY)
        self._shared = mmap.mmap(self._descriptor, _HEADER_BYTES, access=mmap.ACCESS_READ)

    @property
    def frames(self) -> int:
        """Pages in the log, up to the last commit."""
        return int(_FRAMES.unpack_from(self._shared, _FRAMES_AT)[0])

    @property
    def generation(self) -> bytes:
        """Another one whenever the log begins anew."""
        return self._shared[_SALTS]

    def close(self) -> None:
        """Let go of it."""
        self._shared.close()
        os.close(self._descriptor)
