"""The only part that touches the world: carries a plan out, undoes it on failure, writes down each event."""
