"""The wire of Tuppence: kinds, codec, money, errors, limits and the Sans-I/O session. Pure."""
