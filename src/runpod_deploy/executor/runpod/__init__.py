"""The port `Cloud` over RunPod's REST v2."""
