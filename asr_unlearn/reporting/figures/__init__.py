"""The report's figures, each an <svg> element that takes its colours from the page."""
