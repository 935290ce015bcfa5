"""Membership inference and relearning attacks on saved models, and the models they train."""
