"""Three views of a run over the same two inputs, its events and its progress: plain, live, JSON."""
