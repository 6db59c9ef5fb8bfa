"""The command line, whose deadlines for those who read nothing are a tenth from a SIGUSR1 on; bounds stay."""

import signal

from tuppence_server.cli.main import main
from tuppence_server.edge import connection, timer_wheel, unread

HURRY = 10
DEADLINES = ((unread, "UNREAD_S_MAX"), (connection, "CLOSE_WAIT_S"), (timer_wheel, "WHEEL_TURN_S"))


def hurry(*_: object) -> None:
    for module, name in DEADLINES:
        setattr(module, name, getattr(module, name) / HURRY)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, hurry)
    main()
