"""The insides of `tuppence_client.testing.FakeServer`."""
