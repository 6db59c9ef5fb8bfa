"""`tuppence`, and `python -m tuppence_server`."""

from .cli import main

if __name__ == "__main__":
    main()
