"""Texts, and the symbols of a network."""
