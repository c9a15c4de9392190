"""The steps of a run, one module each; `do` carries the step out and pushes what undoes it."""
