"""A real mail server with a campaign in it, for tests, benchmarks and trying things out."""
