"""Who people are: as others see them, and as the operator looks them up, a page at a time."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import asdict

from tuppence_protocol.views import UserView
from tuppence_server.domain.rows import FROZEN_IN, FROZEN_OUT, Session, User
from tuppence_server.domain.views import user_view
from tuppence_server.store import schema
from tuppence_server.store.contract import Listed, Wanted, folded

from .port import OnPort

_U_WIDTH: Final = len(schema.USER.columns)
_FLAGS: Final = FROZEN_IN | FROZEN_OUT
_FROZEN: Final = (
    f"((u.flags & {_FLAGS}) <> 0 OR "
    f"EXISTS (SELECT 1 FROM account AS a WHERE a.owner = u.id AND (a.flags & {_FLAGS}) <> 0))"
)
# A call back into Python for each row would wait for the interpreter's lock each time:
# only names that need it ask.
_NAME: Final = "CASE WHEN u.name GLOB '*[^ -~]*' THEN folded(u.name) ELSE lower(u.name) END"
_LISTED: Final = (
    f"SELECT {schema.USER.select('u')}, "
    "coalesce((SELECT max(s.created_at) FROM session AS s WHERE s.user = u.id), 0), "
    f"{_FROZEN} FROM user AS u"
)
_SOME: Final = (
    f"{_LISTED} WHERE u.handle > :after "
    f"AND (:search = '' OR instr(u.handle, :search) > 0 OR u.id = :search OR instr({_NAME}, :search) > 0) "
    "AND (u.tier = :tier OR :tier IS NULL) AND (u.disabled = :disabled OR :disabled IS NULL) "
    f"AND ({_FROZEN} = :frozen OR :frozen IS NULL) ORDER BY u.handle LIMIT :limit"
)
# A hash ends in "$", a salt of 22 characters, "$" and 43 more. Of other lengths what it ends in is taken off
# up to a dollar, twice, which takes SQLite ten times as long.
_KINDS: Final = (
    "WITH kept AS (SELECT password AS whole FROM user WHERE password <> '') "
    "SELECT CASE WHEN substr(whole, -67, 1) || substr(whole, -44, 1) = '$$' "
    "THEN substr(whole, 1, length(whole) - 67) ELSE "
    "rtrim(rtrim(rtrim(rtrim(whole, replace(whole, '$', '')), '$'), replace(whole, '$', '')), '$') END "
    "AS kind, "
    "count(*) FROM kept GROUP BY kind"
)
_USER: Final = f"SELECT {schema.USER.select('u')} FROM user AS u"
_SESSIONS: Final = (
    f"SELECT {schema.SESSION.select('s')} FROM session AS s "
    "WHERE s.user = :user AND s.revoked_at IS NULL AND s.expires_at > :now "
    "ORDER BY s.created_at DESC, s.id LIMIT :limit"
)


class PeopleReads(OnPort):
    """People and their logins."""

    async def person(self, reference: str) -> UserView | None:
        """A person by "@handle", "handle" or id, as others see them."""
        rows = await self._rows(
            f"{_USER} WHERE u.id = :id OR u.handle = :handle ORDER BY u.id <> :id LIMIT 1",
            id=reference,
            handle=reference.removeprefix("@"),
        )
        return user_view(User(*rows[0])) if rows else None

    async def user(self, handle: str) -> User | None:
        """A person by handle, whole."""
        rows = await self._rows(f"{_USER} WHERE u.handle = :handle", handle=handle)
        return User(*rows[0]) if rows else None

    async def users(self) -> list[User]:
        """Everybody, by handle."""
        return [User(*row) for row in await self._rows(f"{_USER} ORDER BY u.handle")]

    async def sessions(self, user: str, now: int, limit: int) -> list[Session]:
        """A person's logins that are still good, latest first."""
        return [Session(*row) for row in await self._rows(_SESSIONS, user=user, now=now, limit=limit)]

    async def password_kinds(self) -> dict[str, int]:
        """How passwords are hashed: the beginning of the hash, up to the salt,
        and how many people have one so."""
        return dict(await self._rows(_KINDS))

    async def people(self, wanted: Wanted, after: str, limit: int) -> list[Listed]:
        """Those who are wanted, by handle."""
        given = asdict(wanted) | {"search": folded(wanted.search), "after": after, "limit": limit}
        return list(map(_listed, await self._rows(_SOME, **given)))

    async def listed(self, handle: str) -> Listed | None:
        """One of them."""
        rows = await self._rows(f"{_LISTED} WHERE u.handle = :handle", handle=handle)
        return _listed(rows[0]) if rows else None


def _listed(row: Sequence[Any]) -> Listed:
    return Listed(User(*row[:_U_WIDTH]), row[_U_WIDTH], bool(row[-1]))
