"""Carries a plan out, undoes it on failure and writes down each event: touches the world."""
