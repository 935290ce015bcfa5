"""The errors that this package raises on purpose; the command line prints them as one line."""


class AsrUnlearnError(Exception):
    """Base of them all; the message names the file, utterance or key, and the remedy."""


class InputError(AsrUnlearnError, ValueError):
    """A file, option, model or request that cannot be used."""
