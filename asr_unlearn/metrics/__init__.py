"""Figures computed from what a model said: error rates, divergences, gaps. All pure."""
