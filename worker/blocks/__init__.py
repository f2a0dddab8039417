"""Blocks of a network that can be left out: what takes their place has the same shape."""
