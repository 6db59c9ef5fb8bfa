"""The benchmarks: each part measures beside its floors and returns rows."""
