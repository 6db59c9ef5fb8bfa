"""`tuppence`, and `python -m tuppence_server`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it quietly, also while it is still being read in."""
    try:
        from .cli.main import main as run  # noqa: PLC0415 - most of the time that Ctrl-C may come in

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
