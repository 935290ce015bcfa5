"""Models: loading, checks, tasks, front ends, inference."""
