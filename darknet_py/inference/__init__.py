"""What a network writes, and how well it predicts what others wrote."""
