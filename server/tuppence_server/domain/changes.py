"""What one batch asks of the store, and what it has to save there."""

from .rows import (
    Account,
    AccountKey,
    Conversation,
    IdempotencyRecord,
    LoggedEvent,
    Member,
    MemberKey,
    PairKey,
    Payment,
    Quote,
    Session,
    Share,
    ShareKey,
    Transfer,
    Use,
    UseKey,
    User,
)


class Keys:
    """The rows still to be loaded, by table."""

    __slots__ = (
        "accounts", "asked", "conversations", "handles", "members", "pairs", "payments", "quotes",
        "receipts", "sessions", "skeletons", "users", "uses",
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
        self.asked: set[PairKey] = set()
        self.quotes: set[str] = set()
        self.uses: set[UseKey] = set()

    def __bool__(self) -> bool:
        return bool(self.receipts) or not self.only_receipts()

    def only_receipts(self) -> bool:
        """True where nothing else is asked for, so that no further wave can follow."""
        return not any(getattr(self, table) for table in self.__slots__ if table != "receipts")


class Changes:
    """What one batch has to save, each row once."""

    __slots__ = (
        "accounts", "conversations", "currencies", "dropped_quotes", "dropped_sessions", "dropped_uses",
        "ended_users", "events", "members", "opened", "partly_refunded", "payments", "quotes", "receipts",
        "seals", "sessions", "shares", "stays", "touched", "transfers", "users", "uses",
    )  # fmt: skip

    def __init__(self) -> None:
        self.touched = False
        self.events: dict[int, LoggedEvent] = {}
        self.receipts: dict[str, IdempotencyRecord] = {}
        self.transfers: list[Transfer] = []
        self.users: dict[str, User] = {}
        self.sessions: dict[str, Session] = {}
        self.ended_users: dict[str, int] = {}
        self.conversations: dict[str, Conversation] = {}
        self.members: dict[MemberKey, Member] = {}
        self.stays: set[MemberKey] = set()
        """Of the members: those whose stay began or ended."""
        self.accounts: dict[AccountKey, Account] = {}
        self.opened: set[AccountKey] = set()
        self.partly_refunded: list[Payment] = []
        """Payments as they stood between two refunds of the batch: the store holds each refund against its
        transfer."""
        self.payments: dict[str, Payment] = {}
        self.shares: dict[ShareKey, Share] = {}
        self.quotes: dict[str, Quote] = {}
        self.uses: dict[tuple[str, str, int], Use] = {}
        self.currencies: dict[str, int] = {}
        self.dropped_quotes: set[str] = set()
        self.dropped_sessions: set[str] = set()
        self.dropped_uses: set[tuple[str, str, int]] = set()
        self.seals: dict[str, int] = {}

    def __bool__(self) -> bool:
        return any(getattr(self, table) for table in self.__slots__)
