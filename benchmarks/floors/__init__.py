"""The floors: bare programs that do a part of the work and nothing else, on this machine."""
