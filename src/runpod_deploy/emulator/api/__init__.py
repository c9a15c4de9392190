"""The HTTP side of the emulated cloud."""
