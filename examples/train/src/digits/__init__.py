"""A small neural network that learns to read 8x8 digits, with the standard library only."""
