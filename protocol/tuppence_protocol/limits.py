"""Every bound of the protocol, its unit in its name. A bound that is not here does not exist on the wire."""

from typing import Final

PROTOCOL_VERSION: Final = 1
SUBPROTOCOL: Final = "tuppence.v1"

FRAME_BYTES_MAX: Final = 65_536
FRAME_FRAGMENTS_MAX: Final = 64
MESSAGE_COMPLETION_MS_MAX: Final = 10_000
CONTROL_FRAMES_PER_S_MAX: Final = 5
CONTROL_FRAMES_BURST_MAX: Final = 20

HELLO_MS_MAX: Final = 5_000
HEARTBEAT_MS: Final = 25_000
SILENCE_PING_MS: Final = HEARTBEAT_MS * 3 // 2
"""After so much silence the server sends a WebSocket ping: a hidden page may not run, and its browser
answers."""
SILENCE_MS_MAX: Final = SILENCE_PING_MS + 10_000
GAP_WAIT_MS: Final = 500
TYPING_MS: Final = 6_000
PRESENCE_GRACE_MS: Final = 30_000

TEXT_CHARS_MAX: Final = 8_000
NOTE_CHARS_MAX: Final = 500
TITLE_CHARS_MAX: Final = 120
NAME_CHARS_MAX: Final = 80
CLIENT_CHARS_MAX: Final = 80
DEVICE_CHARS_MAX: Final = 80
TOKEN_CHARS_MAX: Final = 128
BAD_ID_CHARS_MAX: Final = 128
"""The longest id that is none which a refusal tells again."""
HANDLE_CHARS_MIN: Final = 2
HANDLE_CHARS_MAX: Final = 32
PASSWORD_CHARS_MIN: Final = 8
PASSWORD_CHARS_MAX: Final = 1_024
AMOUNT_CHARS_MAX: Final = 24
MENTIONS_MAX: Final = 50

ROOM_MEMBERS_MAX: Final = 5_000
GROUPS_PER_PERSON_MAX: Final = 1_000
ROOM_INVITES_PER_FRAME_MAX: Final = 200
WATCHED_USERS_MAX: Final = 200
RECEIPT_MEMBERS_MAX: Final = 100
"""Rooms above this size store read marks but do not broadcast them."""

EXPIRES_S_MIN: Final = 1
EXPIRES_S_MAX: Final = 30 * 86_400
ACCEPT_S_DEFAULT: Final = 86_400
"""A payment that waits for the payee, and a packet that waits for claims, are given back after a day."""
REQUEST_S_DEFAULT: Final = 7 * 86_400
REQUESTS_OPEN_PER_PAIR_MAX: Final = 5
"""What one person may have asked another for and not yet been answered; one of each amount."""
REMIND_MS_MIN: Final = 3_600_000
SPLIT_SHARES_MAX: Final = 100
PACKET_SHARES_MAX: Final = 100
QUOTE_MS: Final = 60_000
FAUCET_MAJOR_MAX: Final = 1_000

PAGE_EVENTS_MAX: Final = 200
PAGE_EVENTS_DEFAULT: Final = 50
PAGE_BYTES_MAX: Final = 262_144
"""A page of history or of payments ends with the one that passes this, and has at least one."""
PAGE_ROWS_MAX: Final = 200
RESUME_EVENTS_MAX: Final = 2_000
RESUME_BYTES_MAX: Final = 4 * 1024 * 1024
"""What missed events may come to, as they are stored; beyond it nothing of them is read."""
READY_CONVERSATIONS_MAX: Final = 200

INTEGER_MAX: Final = 2**53 - 1
"""The largest integer on the wire: what every JSON reader holds exactly (RFC 8259 section 6)."""

AMOUNT_MINOR_MAX: Final = 10**15
CURRENCY_EXPONENT_MAX: Final = 8
BALANCE_MINOR_MAX: Final = 10**18
"""The most that one account's counter may reach; keeps every sum inside a signed 64-bit integer."""
