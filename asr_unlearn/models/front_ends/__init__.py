"""Front ends: from a wave to the input of a model's layers."""
