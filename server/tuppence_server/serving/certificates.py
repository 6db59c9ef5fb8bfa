"""Certificate and key, looked at before a server starts or takes them over: whichever is wrong is named."""

import ssl
from pathlib import Path
from typing import Final

from tuppence_server.config.settings import SettingsError

_MISMATCH: Final = "KEY_VALUES_MISMATCH"


class _Locked(Exception):
    """The key asks for a pass phrase."""


def check_pair(certificate: Path, key: Path) -> None:
    """See that they can be read, are what they should be, and belong together.

    Raises:
        SettingsError: which setting and file it is, and what to do.
    """
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        try:
            path.read_bytes()
        except OSError as fault:
            raise SettingsError(f"{name}: {path} cannot be read: {fault.strerror}.") from fault
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, _locked)
    except _Locked:
        raise SettingsError(
            f"tls_key: {key} has a pass phrase, which nobody could type at a start; "
            f"write it without: openssl pkey -in {key} -out KEY"
        ) from None
    except (ssl.SSLError, OSError) as fault:
        raise SettingsError(_told(certificate, key, fault)) from fault


def _locked() -> str:
    raise _Locked


def _told(certificate: Path, key: Path, fault: OSError) -> str:
    if getattr(fault, "reason", None) == _MISMATCH:
        return f"tls_key: {key} is not the key of {certificate}; expected the one that it was made for."
    if not _is_certificate(certificate):
        return f"tls_certificate: {certificate} is no certificate; expected a PEM file with the chain."
    return f"tls_key: {key} is no private key that can be used; expected a PEM file."


def _is_certificate(path: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, OSError):
        return False
    return True
