"""What runs beyond the wall: a pod's PID 1. Standard library only, started without `site`."""
