"""Compile a job file into a reviewable, hashed plan and apply it to RunPod."""
