"""Models of the tiny corpus that were trained, unlearned and evaluated by the commands."""

from asr_unlearn.cli.main import main


def evaluate_three(data, config, out, more=()):
    """Publish original, retrained and forgotten in `out`, and evaluate them.

    Args:
        data: folder of the manifest and the split.
        config: of the tiny model.
        out: folder of the models and of results.json.
        more: flags for every command.
    """
    given = ["--manifest", str(data / "manifest.jsonl"), "--split", str(data / "split.json")]
    for name, parts in (("original", "retain,forget"), ("retrained", "retain")):
        argv = ["train", *given, "--model", str(config), "--parts", parts]
        main([*argv, "--out", str(out / name), "--finetune.epochs", "1", *more])
    argv = ["unlearn", *given, "--model", str(out / "original"), "--method", "gradient_ascent"]
    argv += more
    main([*argv, "--out", str(out / "forgotten"), "--method.epochs", "1", "--stop.rule", "steps"])
    models = "original,retrained,forgotten"
    main(["evaluate", *given, "--models", models, "--out", str(out / "results.json"), *more])
