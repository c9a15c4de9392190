"""What runs on a pod that has python3: sent there as text, so it needs nothing but Python 3.8."""
