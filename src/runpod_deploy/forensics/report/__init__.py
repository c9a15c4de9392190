"""One self-contained page about a run, or about many."""
