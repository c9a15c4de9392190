"""Job files of version 2: read as they are, and upgraded in memory to what version 3 says."""
