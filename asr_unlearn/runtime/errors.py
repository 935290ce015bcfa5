"""The errors that this package raises; the command line prints them as one line."""


class AsrUnlearnError(Exception):
    """The base of all errors; the message names the file, utterance or key, and the remedy."""


class InputError(AsrUnlearnError, ValueError):
    """A file, option, model or request that cannot be used."""
