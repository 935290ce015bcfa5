"""The Python functions: what the commands do, each with a typed result.

A module each, so that unlearning in a notebook does not load the evaluation and the report.
"""
