"""What each setting means, for whoever runs the server."""

from typing import Final

MEANINGS: Final[dict[str, str]] = {
    "data": "Directory that holds the database, the lock and the administration token.",
    "mode": "Whether money is play money (sandbox) or real (live); auto is what the data directory is, "
    "sandbox for a new one.",
    "host": "Address to listen on.",
    "port": "Port to listen on; 0 takes any free one.",
    "origins": "Web origins that may open a WebSocket besides the server's own.",
    "program_origins": "What programs that are no browsers may send as Origin, as they write it; "
    "most send none.",
    "currencies": "ISO 4217 codes that people may be paid in here.",
    "fees": "What payments cost, by kind, currency and tier; the first that fits counts.",
    "limits": "What people may pay and hold, by tier and currency; without an entry there is no limit.",
    "exchange_rates": "Fixed rates, units of the second currency for one of the first; "
    "they come before the file's.",
    "exchange_rates_file": "File of rates in the XML format of the European Central Bank, "
    "read again when it changes.",
    "exchange_stale_hours": "Hours after which the rates of a file are too old to be used.",
    "exchange_spread_percent": "Part of what is sold in an exchange that stays with the operator.",
    "exchange_quote_s": "Seconds that a quote holds.",
    "registration": "Whether anybody may register over HTTP, or only the operator adds users.",
    "rate_limits": "Pace limits for users and addresses; off only for benchmarks and load tests.",
    "connections_per_user": "WebSockets that one user may have open.",
    "connections_per_address": "Connections that one network address (IPv6: one /64) may have open; "
    "0 for no limit, and no pace of an address's hellos.",
    "session_days": "Days that a login lasts.",
    "verify_every_hours": "Hours between two checks of the ledger while the server runs; 0 for none.",
    "tls_certificate": "PEM file with the certificate chain; set with tls_key to serve https and wss.",
    "tls_key": "PEM file with the certificate's key.",
    "trusted_proxies": "Addresses or networks of proxies whose X-Forwarded-For names the client.",
    "log_format": "How log lines look; auto is text on a terminal and JSON elsewhere.",
    "log_addresses": "Whether the line about a failed login tells the network address, as fail2ban needs it.",
    "log_level": "The least level that is logged.",
    "damaged_log": "What to do at a start where the database's log was damaged and commits in it are lost: "
    "stop, or go on without them under a new epoch.",
    "password_workers": "Threads that check passwords; each check uses password_memory_kib.",
    "password_memory_kib": "Memory that one password hash takes (argon2id); at least 19456.",
}
