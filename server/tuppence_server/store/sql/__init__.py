"""The reads of every SQL store, and its road's loads, over a port of two methods."""
