"""The training loop, and the runs that use it: fine-tuning, unlearning, tuning."""
