"""A machine that drives two real actions through every interleaving, beside a small model of them."""
