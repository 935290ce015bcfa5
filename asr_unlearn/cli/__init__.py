"""The command line: commands, and recipes."""
