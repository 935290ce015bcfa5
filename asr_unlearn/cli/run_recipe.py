"""Runs a recipe stage by stage; a stage that is complete for the same inputs is skipped."""

from asr_unlearn.runtime import signals

if __name__ == "__main__":
    signals.end_at_once("run.sh")

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import Any

from asr_unlearn.runtime import program
from asr_unlearn.runtime.torchaudio_check import end_without_torchaudio

if __name__ == "__main__":
    program.spare_waiting_threads()
    end_without_torchaudio(Path(sys.argv[1]).name if sys.argv[1:] else "asr_unlearn.cli.run_recipe")

from asr_unlearn.api.splitting import check_one_request
from asr_unlearn.api.training import parts_of
from asr_unlearn.cli import main as command_line

# What the stages call: an import does not survive a signal that is raised as an error in it.
from asr_unlearn.cli.commands import evaluate, report, split, train, unlearn  # noqa: F401
from asr_unlearn.cli.output_checks import check_outputs
from asr_unlearn.cli.plan import BASE, STAGES, Plan, RecipeStep
from asr_unlearn.cli.recipe import Recipe, read_recipe
from asr_unlearn.cli.requests import all_requests, check_requests
from asr_unlearn.cli.side_by_side import run_side_by_side
from asr_unlearn.cli.stages import TRAINING, run_stage
from asr_unlearn.data.make_split import check_shares
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.jobs import Workers
from asr_unlearn.evaluation.measures.registry import chosen
from asr_unlearn.evaluation.speaker_verification import check_judge
from asr_unlearn.methods.registry import find_method
from asr_unlearn.models.config import is_bare_config, read_config, task_of
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks.from_scratch import TrainingAids
from asr_unlearn.models.tasks.window import check_window
from asr_unlearn.runtime.device import pick_device
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.outputs import check_apart, check_folder
from asr_unlearn.runtime.provenance import recorded_command
from asr_unlearn.runtime.runner import LOCAL, Runner
from asr_unlearn.runtime.text import names_in
from asr_unlearn.training.setup import Setup

logger = logging.getLogger(__name__)

# Flags of `asr-unlearn train`, and the aids that they set.
AIDS = {"auxiliary_ctc": "ctc", "token_noise": "token_noise", "joined": "joined"}
ATTACKS = {
    "informed": "attack each unlearned model with N that were unlearned of others",
    "shadows": "attack all models with N that were trained like the original",
}


def check(command: RecipeStep) -> None:
    """Check a command's arguments, before any model is trained.

    Those of data preparation are checked by its own program, which runs first.

    Raises:
        SystemExit: it has no such flag; which has been printed.
        InputError: a value out of range, or an option that its method does not have.
    """
    if command.stage == 1:
        return
    name, options = command_line.understood(command.argv)
    if name == "split":
        check_shares(**{part: options[part] for part in ("heldout", "unseen", "test")})
        request = {part: options[part] for part in ("forget", "forget_labels")}
        check_one_request(**request, draw=options["draw"] or None)
    if name == "train":
        parts_of(options["parts"])
        aids = {aid: options[flag] for flag, aid in AIDS.items()}
        given = {name: options[name] for name in ("speeds", "crop_seconds", "window")}
        Setup(**given, aids=TrainingAids(**aids))
    if name == "evaluate":
        for asked in (AttackBudget, Workers):
            asked(**{field.name: options[field.name] for field in fields(asked)})
        chosen(names_in(options["measures"]))
        check_window(options["window"])
        if options["judge"] is not None:
            check_judge(Path(options["judge"]))


def parser(recipe: Recipe, folder: Path) -> argparse.ArgumentParser:
    """The flags all recipes share."""
    name = folder.name
    flags = argparse.ArgumentParser(
        prog=f"recipes/{name}/run.sh",
        description=f"Unlearn speakers of {recipe.corpus}, from the data to the report.",
        epilog=f"stages: {', '.join(f'{i} {s}' for i, s in enumerate(STAGES, start=1))}\n\n"
        f"example:\n  recipes/{name}/run.sh --data DIR --forget speakers.txt "
        "--methods orthograd,gradient_ascent --seeds 0,1,2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_argument("--data", type=Path, help="the corpus (default: OUT/corpus)")
    flags.add_argument("--forget", type=Path, help="names, one a line (default: split.draw)")
    flags.add_argument(
        "--requests",
        type=_requests,
        default=[],
        metavar="FILE,FILE",
        help="such files, with commas: requests that come one after the other; the later ones in "
        "OUT/request2, OUT/request3 and so on",
    )
    flags.add_argument(
        "--out", type=Path, default=Path("out") / name, help="(default: %(default)s)"
    )
    if recipe.presets:
        flags.add_argument("--preset", help=f"one of {', '.join(recipe.presets)}")
    flags.add_argument("--model", help=f"name, folder or config (default: {recipe.model})")
    flags.add_argument(
        "--methods", help=f"with commas, or all (default: {','.join(recipe.methods)})"
    )
    flags.add_argument(
        "--seeds",
        type=_seeds,
        default="0",
        help="with commas; more may be added later (default: 0)",
    )
    last = len(STAGES)
    stage: dict[str, Any] = {"type": int, "choices": range(1, last + 1), "metavar": "N"}
    flags.add_argument("--stage", default=1, help="first stage (default: 1)", **stage)
    flags.add_argument("--stop-stage", default=last, help=f"last stage (default: {last})", **stage)
    flags.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="key=value",
        help="settings of the recipe to replace, such as finetune.epochs=2 split.seed=1",
    )
    flags.add_argument(
        "--workers",
        type=_workers,
        metavar="N",
        help="trainings side by side (default: one for each GPU, or 1); on Ray as many as it has "
        "room for",
    )
    flags.add_argument(
        "--runner",
        default=LOCAL,
        metavar="local|ray|ray://HOST:PORT",
        help="where models are trained and evaluated: on this machine, or on a Ray cluster whose "
        "nodes share OUT (default: %(default)s)",
    )
    flags.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    flags.add_argument(program.DEBUG, action="store_true", help=program.DEBUG_HELP)
    for name, what in ATTACKS.items():
        flags.add_argument(f"--{name}", type=int, metavar="N", help=what)
    return flags


def _seeds(text: str) -> list[int]:
    """The numbers of `0,1,2`."""
    if not re.fullmatch(r"\d+(\s*,\s*\d+)*", text):
        raise argparse.ArgumentTypeError(f"{text!r}: give them with commas, such as 0,1,2")
    return [int(seed) for seed in text.split(",")]


def _requests(text: str) -> list[Path]:
    """The files of `first.txt,second.txt`."""
    return [Path(name) for name in names_in(text)]


def _workers(text: str) -> int:
    """The number of a text; raises an error of argparse for one below 1."""
    if not re.fullmatch(r"0*[1-9]\d{0,5}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: give a number from 1")
    return int(text)


def seed_folders(out: Path, seeds: Sequence[int]) -> dict[int, Path]:
    """The folder for the models of each seed: `out` for a single seed, else one in it for each.

    Models that are there are used, so that adding seeds later trains no model twice, and none is
    replaced by that of another seed.
    """
    standing = [model for model in (out / "original", out / "retrained") if model.exists()]
    alone = SavedModel.at(standing[0]).seed if standing else None
    folders = {}
    for seed in seeds:
        own = out / f"seed{seed}"
        first = alone is None and len(seeds) == 1 and not own.exists()
        folders[seed] = out if first or seed == alone else own
    return folders


def make_plan(recipe: Recipe, folder: Path, given: argparse.Namespace) -> Plan:
    """The commands for the flags that were given."""
    if preset := getattr(given, "preset", None):
        recipe = recipe.with_preset(preset)
    model = given.model or _beside(folder, recipe.model)
    config = read_config(model)
    if not is_bare_config(model):
        recipe.use_pretrained(recipe.finetune.get("task") or task_of(config))
    names = names_in(given.methods or "")
    if names:
        recipe.choose_methods(names)
    for setting in given.set:
        recipe.apply(setting)
    reference_model = recipe.reference_model.get("model")
    if reference_model == BASE and is_bare_config(model):
        raise InputError(
            f"reference_model.model={BASE} is the model that the original is fine-tuned from, but "
            f"{model} has no weights: name a config to train, or leave it out with "
            "reference_model.model="
        )
    if reference_model and reference_model != BASE:
        recipe.reference_model["model"] = _beside(folder, str(reference_model))
        read_config(recipe.reference_model["model"])
    if reference_model != BASE:
        _without_base(recipe, every="all" in names)
    if given.runner != LOCAL:
        recipe.evaluate["runner"] = given.runner
    recipe.evaluate |= {name: n for name in ATTACKS if (n := getattr(given, name)) is not None}
    return Plan(
        recipe=recipe,
        model=model,
        data=given.data or given.out / "corpus",
        out=given.out,
        folders=seed_folders(given.out, given.seeds),
        device=given.device,
        forget=given.requests[0] if given.requests else given.forget,
    )


def _without_base(recipe: Recipe, *, every: bool) -> None:
    """Leave out methods that need the base; raises InputError where one was asked for by name."""
    for name in [name for name in recipe.methods if find_method(name).needs_base]:
        why = "needs the model that the original is fine-tuned from: reference_model.model=base"
        if not every:
            raise InputError(f"{name} {why}")
        logger.warning("--methods all is without %s, which %s", name, why)
        del recipe.methods[name]


def _beside(folder: Path, model: str) -> str:
    """The model of that name beside recipe.yaml, where there is one."""
    if not (folder / model).exists():
        return model
    own = (folder / model).resolve()
    # Relative where possible, so that a printed command holds on another machine too.
    return str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m asr_unlearn.cli.run_recipe RECIPE_FOLDER [flags]`, which every run.sh calls.

    Called with `arguments`, it raises errors.
    """
    given, debug = program.without_debug(sys.argv[1:] if arguments is None else arguments)
    if not given:
        sys.exit("usage: python -m asr_unlearn.cli.run_recipe RECIPE_FOLDER [flags]")
    if arguments is not None:
        _run(given, debug)
        return
    name = Path(given[0]).name
    if status := program.run_program(name, lambda: _run(given, debug), debug=debug):
        sys.exit(status)


def _run(arguments: Sequence[str], debug: bool) -> None:
    folder, rest = Path(arguments[0]), arguments[1:]
    recipe = read_recipe(folder / "recipe.yaml")
    given = parser(recipe, folder).parse_args(rest)
    check_folder(given.out)
    runner = Runner.of(given.runner, given.workers, pick_device(given.device))
    if given.forget and given.requests:
        raise InputError("give --forget or --requests: the first of the requests is the former")
    check_requests([given.forget] if given.forget else [], "--forget")
    check_requests(given.requests, "--requests")
    if given.stage > given.stop_stage:
        raise InputError(f"--stage {given.stage} is behind --stop-stage {given.stop_stage}")
    plan = make_plan(recipe, folder, given)
    plans = all_requests(plan, given.requests[1:])
    # Stage by stage, the requests in order in each.
    every = [command for each in plans for command in each.commands()]
    ordered = sorted(every, key=lambda command: command.stage)
    inputs = [path for each in plans for path in each.inputs()]
    for command in ordered:
        check(command)
        check_apart(command.leaves, inputs)
    chosen = [step for step in ordered if given.stage <= step.stage <= given.stop_stage]
    check_outputs(chosen)
    if "," in str(given.out) and len(plans) > 1:
        raise InputError(f"--out {given.out}: with several requests, give a path without a comma")
    with recorded_command([f"recipes/{folder.name}/run.sh", *rest]):
        for trains, steps in groupby(chosen, lambda step: step.stage in TRAINING):
            if trains and not runner.is_this_process:
                run_side_by_side(list(steps), plan.out, runner)
            else:
                for step in steps:
                    run_stage(step, plan.out, debug=debug)


if __name__ == "__main__":
    main()
