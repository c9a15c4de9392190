"""Reads run folders, never writes them."""
