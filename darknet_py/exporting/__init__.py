"""What a network becomes for other programs."""
