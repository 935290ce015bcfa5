"""Options as flags, for command lines in tests."""


def flags(group, **options):
    """`flags("finetune", epochs=1)` is `["--finetune.epochs", "1"]`."""
    return [word for name, value in options.items() for word in (f"--{group}.{name}", str(value))]
