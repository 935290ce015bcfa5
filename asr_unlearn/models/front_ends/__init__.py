"""From a wave to the input of a model's trainable layers."""
