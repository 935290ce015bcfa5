"""Recordings, manifests, splits and batches."""
