"""Benchmarks, with the peers they compare the product to. Only the command `bench` starts them."""
