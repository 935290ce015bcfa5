"""Attacks on saved models, and what has to be trained for them."""
