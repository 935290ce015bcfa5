"""Make a speech recogniser forget chosen speakers, and prove how well it did."""

__version__ = "0.1.0"
