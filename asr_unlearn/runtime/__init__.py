"""Files, devices, processes, provenance and messages: what every package stands on."""
