"""What a run leaves behind: event, manifest and metric types, the fold, reading and writing them."""
