"""A password is the same in every form that a keyboard gives it,
and what was kept before there was one form still fits."""

import unicodedata
from collections.abc import AsyncIterator

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from tuppence_server.admin.credentials import can_be_typed, forms, handle_meant, opaque
from tuppence_server.admin.passwords import Passwords

SPACES = [chr(point) for point in range(0x10000) if unicodedata.category(chr(point)) == "Zs"]
WORDS = (
    "größer als 12", "Ångström 8", "한글 비밀번호", "naïve café", "ﬁ ligature",
    "👨\u200d👩\u200d👧 ❤\ufe0f home",
)  # fmt: skip


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    """Cheap ones."""
    made = Passwords(1, 8)
    yield made
    made.close()


def dressed(word: str) -> set[str]:
    """The word as different systems send it."""
    shapes = {word, unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word)}
    return (
        shapes
        | {shape.replace(" ", "\u00a0") for shape in shapes}
        | {shape.replace(" ", "\u3000") for shape in shapes}
    )


@pytest.mark.parametrize("word", WORDS)
async def test_every_dress_of_a_password_fits_every_other(word: str, passwords: Passwords) -> None:
    for kept in dressed(word):
        hashed = await passwords.hash(kept)
        for typed in dressed(word):
            assert await passwords.check(hashed, typed), (kept, typed)
        assert not await passwords.check(hashed, "x" + word)
        assert not await passwords.check(hashed, word + " ")


@pytest.mark.parametrize("word", [*WORDS, "with\rreturn", "\ufeffmark before it", "tab\there"])
async def test_a_hash_from_before_fits_what_was_typed_then(word: str, passwords: Passwords) -> None:
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    for typed in dressed(word):
        assert await passwords.check(hasher.hash(typed), typed)


async def test_nobody_and_somebody_cost_the_same_number_of_hashes(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    fits = passwords._fits
    monkeypatch.setattr(passwords, "_fits", lambda kept, form: seen.append(form) or fits(kept, form))
    kept = await passwords.hash("correct horse")
    for typed in ("wrong horse", "wrong\u00a0horse", "\udcff broken horse"):
        counts = []
        for hashed in (kept, None):
            seen.clear()
            assert not await passwords.check(hashed, typed)
            counts.append(len(seen))
        assert counts[0] == counts[1] > 0


@given(st.text(st.characters(codec=None), max_size=30))
def test_the_one_form_is_one_and_loses_nothing_but_dress(password: str) -> None:
    one = opaque(password)
    assert opaque(one) == one
    assert forms(one) == (one,)
    assert set(forms(password)) == {one, password}
    assert opaque(unicodedata.normalize("NFD", one)) == one


def test_what_no_keyboard_types_is_not_taken() -> None:
    for odd in (
        "\r",
        "\n",
        "\t",
        "\x00",
        "\x1b",
        "\x7f",
        "\x85",
        "\ufeff",
        "\u202e",
        "\u200b",
        "\u2028",
        "\ud800",
    ):
        assert not can_be_typed(f"correct{odd}horse"), repr(odd)
    for word in WORDS:
        assert all(map(can_be_typed, dressed(word)))
    assert len(SPACES) > 10
    assert all(opaque(space) == " " for space in SPACES)


def test_a_handle_is_forgiven_its_dress_and_no_more() -> None:
    for text in ("alice", "@alice", "Alice", " @ALICE ", "alice\r\n"):
        assert handle_meant(text) == "alice"
    assert handle_meant("@@alice") == "@alice"
    assert handle_meant("al ice") == "al ice"
