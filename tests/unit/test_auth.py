"""A token lets one person in, or says in one order why it does not: first what is wrong with the token."""

from types import SimpleNamespace

import pytest
from tests.contract.stores import START_MS

from tuppence_server.domain.rows import Session, User
from tuppence_server.edge.auth import Auth
from tuppence_server.ids import token_hash
from tuppence_server.store.contract import Identity


def identity(*, revoked: bool = False, ends_in: int = 1, disabled: bool = False) -> Identity:
    ended = START_MS - 1 if revoked else None
    session = Session("s_1", "u_1", token_hash("token"), "", 0, START_MS + ends_in, ended)
    return Identity(User("u_1", "alice", "alice", "", None, disabled, 0), session)


@pytest.mark.parametrize(
    ("found", "judged"),
    [
        (None, "bad_token"),
        (identity(revoked=True, ends_in=0, disabled=True), "bad_token"),
        (identity(ends_in=0, disabled=True), "token_expired"),
        (identity(disabled=True), "account_disabled"),
        (identity(), None),
    ],
)
async def test_what_is_wrong_with_a_token_comes_before_what_is_wrong_with_the_person(
    found: Identity | None, judged: str | None
) -> None:
    async def identify(token: str) -> Identity | None:
        return found if token == token_hash("token") else None

    auth = Auth(SimpleNamespace(identify=identify), lambda: START_MS, "operator")  # type: ignore[arg-type]
    assert await auth.judge("token") == (judged or found)
    assert await auth.judge("another") == "bad_token"


def test_the_operators_token_is_one_whatever_characters_another_has() -> None:
    auth = Auth(SimpleNamespace(), lambda: START_MS, "operator")  # type: ignore[arg-type]
    assert [auth.is_operator(token) for token in ("operator", "", "operatör")] == [True, False, False]
