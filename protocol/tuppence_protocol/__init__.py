"""The wire of Tuppence: frames, codec, money, errors, limits and the Sans-I/O session. Pure, for every client."""
