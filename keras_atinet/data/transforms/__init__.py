"""What is done to a sample."""
