"""Turns what was said into everything that will be done: pure, hashable, everywhere the same."""
