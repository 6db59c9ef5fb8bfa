"""A certificate or key that cannot be used is named before the server starts, with what to do."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from tests.support.tls import Pair, make_pair

from tuppence_server.config.settings import SettingsError
from tuppence_server.serving.certificates import check_pair


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A good one."""
    return make_pair(tmp_path / "good")


def told(certificate: Path, key: Path) -> str:
    """What is said of a pair that cannot be used; one line that names the setting and the file."""
    with pytest.raises(SettingsError) as fault:
        check_pair(certificate, key)
    said = str(fault.value)
    assert "\n" not in said
    assert "Errno" not in said
    return said


def test_a_pair_that_fits_is_taken(pair: Pair) -> None:
    check_pair(pair.certificate, pair.key)


def test_a_key_with_a_pass_phrase_is_told_and_nobody_is_asked(pair: Pair) -> None:
    key = load_pem_private_key(pair.key.read_bytes(), None)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret")))
        said = told(pair.certificate, pair.key)
        assert said.startswith(f"tls_key: {pair.key} has a pass phrase")
        assert "openssl pkey" in said


def test_two_files_that_do_not_belong_together_are_told(pair: Pair, tmp_path: Path) -> None:
    other = make_pair(tmp_path / "other")
    assert f"tls_key: {other.key} is not the key of {pair.certificate}" in told(pair.certificate, other.key)


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"\x00\xff\x30\x82", b"-----BEGIN CERTIFICATE-----\nAAAA\n"]
)
def test_a_file_that_is_something_else_is_told(content: bytes, pair: Pair, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_bytes(content)
    assert told(wrong, pair.key).startswith(f"tls_certificate: {wrong} is no certificate")
    assert told(pair.certificate, wrong).startswith(f"tls_key: {wrong} is no private key")


def test_files_that_change_places_are_told(pair: Pair) -> None:
    assert told(pair.key, pair.certificate).startswith(f"tls_certificate: {pair.key} is no certificate")


def test_a_file_that_is_not_there_is_told(pair: Pair, tmp_path: Path) -> None:
    absent = tmp_path / "absent.pem"
    assert told(absent, pair.key) == f"tls_certificate: {absent} cannot be read: No such file or directory."
    assert told(pair.certificate, tmp_path) == f"tls_key: {tmp_path} cannot be read: Is a directory."
