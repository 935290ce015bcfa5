"""What an evaluation measures of its models where it is asked to, a file each."""
