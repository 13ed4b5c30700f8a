"""What a run becomes for the eye: a page, and its curves."""
