"""Certificates for servers of tests, by an authority of the test's own."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Pair:
    """A certificate chain and its key as PEM files, and what trusts them."""

    certificate: Path
    key: Path
    authority: Path

    def client(self) -> ssl.SSLContext:
        """A client that trusts this authority alone."""
        return ssl.create_default_context(cafile=self.authority)


def make_pair(folder: Path, *names: str) -> Pair:
    """A new authority and a certificate for these names, or for this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    issued = authority.issue_cert(*(names or ("localhost", "127.0.0.1")))
    pair = Pair(folder / "certificate.pem", folder / "key.pem", folder / "authority.pem")
    pair.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(pair.key)
    authority.cert_pem.write_to_path(pair.authority)
    return pair
