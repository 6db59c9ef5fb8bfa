"""What a running server takes over from changed settings, at SIGHUP: money's terms and the certificate.

Settings are read anew as at the start. Where one cannot be used, nothing is taken over and everything stays
as it was; what only a start can change is named in the log.
"""

import ssl
from collections.abc import Callable
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from tuppence_server.config.money import policy
from tuppence_server.config.settings import Settings, SettingsError
from tuppence_server.domain.rows import DataMode
from tuppence_server.edge.asks import AskLane
from tuppence_server.exchange.sources import make_rates
from tuppence_server.pipeline.pipeline import Pipeline

from .certificates import check_pair

RELOADED: Final = (
    "fees", "limits", "currencies", "exchange_rates", "exchange_rates_file", "exchange_stale_hours",
    "exchange_spread_percent", "exchange_quote_s", "tls_certificate", "tls_key",
)  # fmt: skip
log = structlog.get_logger("tuppence.reload")


class Reloader(Struct):
    """Reads the settings again and lets the server go by them; `tls` brings the context in use."""

    settings: Settings
    mode: DataMode
    pipeline: Pipeline
    asks: AskLane
    reread: Callable[[], Settings]
    tls: Callable[[], ssl.SSLContext | None]

    def reload(self) -> None:
        """Take over what can be; never raises, and tells in the log what became of it."""
        try:
            new = self.reread()
            terms, rates = policy(new, self.mode), make_rates(new)
            self._load_certificate(new)
        except SettingsError as fault:
            log.error("reload_refused", problem=str(fault))
            return
        old = self.settings
        changed = [name for name in Settings.__struct_fields__ if getattr(new, name) != getattr(old, name)]
        self.pipeline.use_policy(terms)
        self.asks.rates = rates
        self.settings = replace(old, **{name: getattr(new, name) for name in RELOADED})
        waiting = [name for name in changed if name not in RELOADED]
        log.info("reloaded", changed=[name for name in changed if name in RELOADED], needs_restart=waiting)

    def _load_certificate(self, new: Settings) -> None:
        context = self.tls()
        if context is None or new.tls_certificate is None or new.tls_key is None:
            return
        check_pair(new.tls_certificate, new.tls_key)
        context.load_cert_chain(new.tls_certificate, new.tls_key)
