"""What a network computes with: element-wise loops and small reductions, in numpy and compiled."""
