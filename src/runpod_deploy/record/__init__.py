"""What a run leaves behind: events, manifest, metrics, the fold; reading and writing them."""
