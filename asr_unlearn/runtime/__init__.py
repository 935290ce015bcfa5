"""Files, devices, processes, provenance and messages, for every package."""
