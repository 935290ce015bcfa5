"""From saved models to results.json."""
