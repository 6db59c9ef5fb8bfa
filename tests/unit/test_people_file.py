"""A file of people and credits: what is in it, and what is wrong with it, before anything is done."""

from pathlib import Path

import pytest

from tuppence_protocol.codec import is_id
from tuppence_server.admin.people_file import Mistaken, Row, read_people

HASH = "$argon2id$v=19$m=65536,t=3,p=1$wWxIpIc/Tn9IKI9kwWQsNg$6Gm/Q1OoTWE4Gv+0o2YkMgmYdo8ONBXIuyB/xVDrZcI"


def read(folder: Path, text: str | bytes, batch: str = "opening") -> list[Row]:
    """The rows of a file with this text."""
    path = folder / "people.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_people(path, batch)


def test_people_with_and_without_a_credit(tmp_path: Path) -> None:
    text = (
        f'handle,name,password_hash,amount,currency,note\n@alice,"Ada, A.","{HASH}",12.5,eur,Hi\n\nbob,,,,,\n'
    )
    alice, bob = read(tmp_path, text)
    assert (alice.line, alice.handle, alice.name, alice.password_hash) == (2, "alice", "Ada, A.", HASH)
    assert (alice.amount, alice.currency, alice.note) == ("12.5", "EUR", "Hi")
    assert alice.id is not None
    assert is_id(alice.id)
    assert bob == Row(4, "bob")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_marks_of_any_program(tmp_path: Path, end: str, mark: bytes) -> None:
    text = mark + f" Handle , NAME{end}alice , Ada{end}".encode()
    assert read(tmp_path, text) == [Row(2, "alice", "Ada")]


def test_keys_are_those_of_the_batch_the_person_and_the_currency(tmp_path: Path) -> None:
    text = "handle,amount,currency\nalice,1,EUR\nalice,1,JPY\nbob,1,EUR\n"
    first, again, other = read(tmp_path, text), read(tmp_path, text), read(tmp_path, text, "december")
    keys = [row.id for row in first]
    assert len(set(keys)) == 3
    assert keys == [row.id for row in again]
    assert not set(keys) & {row.id for row in other}
    changed = read(tmp_path, text.replace("alice,1,JPY", "alice,2,JPY"))
    assert [row.id for row in changed] == keys, "the server tells of another amount and pays no second"
    more = read(tmp_path, text.replace("alice,1,EUR", "carol,5,EUR\nalice,1,EUR"))
    assert [row.id for row in more[1:]] == keys, "whoever is added before others moves nobody's"


def test_a_person_has_one_credit_of_a_currency_unless_each_has_its_own_id(tmp_path: Path) -> None:
    with pytest.raises(Mistaken, match="line 3: a second credit of @alice in EUR, beside that of line 2"):
        read(tmp_path, "handle,amount,currency\nalice,1,EUR\n@Alice,2,eur\n")
    ids = [f"0197a1c3-11f0-7c42-8a90-5b6c7d8e9f0{n}" for n in range(2)]
    text = "handle,amount,currency,id\n" + "".join(f"alice,1,EUR,{each}\n" for each in ids)
    assert [row.id for row in read(tmp_path, text)] == ids


@pytest.mark.parametrize(
    ("header", "row", "wrong"),
    [
        ("name", "x", "no single column `handle`"),
        ("handle,salary", "alice,1", "'salary' is not known"),
        ("handle,handle", "alice,bob", "no single column"),
        ("handle,name", "alice", "has 1 fields, the header has 2"),
        ("handle,name", ",Ada", "there is no handle"),
        ("handle,amount", "alice,1", "go together"),
        ("handle,currency", "alice,EUR", "go together"),
        ("handle,note", "alice,Hi", "there is no amount"),
        ("handle,amount,currency", "alice,0,EUR", "0 EUR"),
        ("handle,amount,currency", 'alice,"1,50",EUR', "1,50 EUR"),
        ("handle,amount,currency", "alice,1.001,EUR", "1.001 EUR"),
        ("handle,amount,currency", "alice,1,XYZ", "1 XYZ"),
        ("handle,amount,currency,id", "alice,1,EUR,7", "not a lower-case UUID"),
        ("handle,password_hash", "alice,secret", "not an argon2id hash"),
        ("handle,password_hash", f'alice,"{HASH.replace("65536", "99999999")}"', "not an argon2id hash"),
        ("handle,password_hash", f'alice,"{HASH.replace("argon2id", "argon2i")}"', "not an argon2id hash"),
        ("handle,password,password_hash", f'alice,correct horse,"{HASH}"', "give one of them"),
        ("handle,name", f"alice,{'x' * 81}", "80 characters"),
    ],
)
def test_what_is_wrong_is_told_by_line(tmp_path: Path, header: str, row: str, wrong: str) -> None:
    with pytest.raises(Mistaken) as told:
        read(tmp_path, f"{header}\n{row}\n")
    assert wrong in str(told.value)
    assert "nothing was done" in str(told.value)
    assert "line " in str(told.value)


def test_all_mistakes_are_told_at_once_and_many_are_counted(tmp_path: Path) -> None:
    with pytest.raises(Mistaken) as told:
        read(tmp_path, "handle,amount\n" + "alice,1\n" * 30)
    lines = told.value.lines
    assert lines[1].startswith("line 2:")
    assert lines[-1] == "… and 10 more"


@pytest.mark.parametrize("text", [b"handle\n\xff\xfe\n", b'handle\n"alice\n'])
def test_what_is_no_csv_in_utf_8(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(Mistaken):
        read(tmp_path, text)


def test_an_empty_file_has_no_header(tmp_path: Path) -> None:
    with pytest.raises(Mistaken):
        read(tmp_path, "")
