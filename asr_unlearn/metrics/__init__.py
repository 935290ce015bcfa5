"""Pure functions from predictions to figures: error rates, divergences, gaps, attacks."""
