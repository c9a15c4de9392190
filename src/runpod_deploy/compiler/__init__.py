"""Turns what was said into everything that will be done: pure, hashable, the same on every machine."""
