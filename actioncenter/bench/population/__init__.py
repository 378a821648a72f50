"""A made-up company of any size, the same for the same seed: what benchmarks measure on."""

from actioncenter.bench.population.filling import Filled, fill

__all__ = ["Filled", "fill"]
