"""What one batch has to save."""

from .rows import (
    Account,
    AccountKey,
    Conversation,
    IdempotencyRecord,
    LoggedEvent,
    Member,
    MemberKey,
    Payment,
    Session,
    Share,
    ShareKey,
    SimpleKey,
    SimpleRow,
    Transfer,
    Use,
    User,
)


class Changes:
    """What one batch has to save, each row once."""

    __slots__ = (
        "accounts", "conversations", "currencies", "dropped_quotes", "dropped_sessions", "dropped_uses",
        "ended_users", "events", "members", "opened", "partly_refunded", "payments", "receipts",
        "seals", "sessions", "shares", "simple", "stays", "touched", "transfers", "users", "uses",
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
        self.simple: dict[SimpleKey, SimpleRow] = {}
        self.uses: dict[tuple[str, str, int], Use] = {}
        self.currencies: dict[str, int] = {}
        self.dropped_quotes: set[str] = set()
        self.dropped_sessions: set[str] = set()
        self.dropped_uses: set[tuple[str, str, int]] = set()
        self.seals: dict[str, int] = {}

    def __bool__(self) -> bool:
        return any(getattr(self, table) for table in self.__slots__)
