"""What one batch asks of the store."""

from .rows import AccountKey, MemberKey, PairKey, SimpleKey, UseKey


class Keys:
    """The rows still to be loaded, by table."""

    __slots__ = (
        "accounts", "conversations", "handles", "members", "open_requests", "pairs", "payments",
        "receipts", "sessions", "simple", "skeletons", "users", "uses",
    )  # fmt: skip

    def __init__(self) -> None:
        self.receipts: set[str] = set()
        self.users: set[str] = set()
        self.handles: set[str] = set()
        self.skeletons: set[str] = set()
        self.sessions: set[str] = set()
        self.conversations: set[str] = set()
        self.pairs: set[str] = set()
        self.members: set[MemberKey] = set()
        self.accounts: set[AccountKey] = set()
        self.payments: set[str] = set()
        self.open_requests: set[PairKey] = set()
        self.simple: set[SimpleKey] = set()
        self.uses: set[UseKey] = set()

    def __bool__(self) -> bool:
        return bool(self.receipts) or not self.only_receipts()

    def only_receipts(self) -> bool:
        """True where nothing else is asked for, so that no further wave can follow."""
        return not any(getattr(self, table) for table in self.__slots__ if table != "receipts")
