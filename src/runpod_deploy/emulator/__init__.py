"""A small RunPod on this machine: the far side of the wire, sharing nothing with the near side."""
