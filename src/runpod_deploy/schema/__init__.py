"""What a job file may say, and at which line it is wrong."""
