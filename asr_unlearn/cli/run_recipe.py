"""Runs a recipe stage by stage; a stage that is complete for the same inputs is skipped."""

from asr_unlearn.runtime import signals

if __name__ == "__main__":
    signals.end_at_once("run.sh")

import argparse
import hashlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from asr_unlearn.runtime import program
from asr_unlearn.runtime.torchaudio_check import end_without_torchaudio

if __name__ == "__main__":
    program.spare_waiting_threads()
    end_without_torchaudio(Path(sys.argv[1]).name if sys.argv[1:] else "asr_unlearn.cli.run_recipe")

from asr_unlearn.api.splitting import check_request
from asr_unlearn.api.training import parts_of
from asr_unlearn.cli import main as commands
from asr_unlearn.cli.recipe import BASE, STAGES, Command, Plan, Recipe, read_recipe
from asr_unlearn.data.forget_list import check_names, read_names
from asr_unlearn.data.make_split import check_shares
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.speaker_verification import check_judge
from asr_unlearn.models.loading import is_bare_config, read_config, task_of
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks.from_scratch import TrainingAids
from asr_unlearn.models.tasks.window import check_window
from asr_unlearn.runtime import program
from asr_unlearn.runtime.cache import Cached, cached, changed_since
from asr_unlearn.runtime.device import pick_device
from asr_unlearn.runtime.documents import read_json
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest, digest_of, write_json
from asr_unlearn.runtime.outputs import check_apart, check_folder
from asr_unlearn.runtime.provenance import recorded_command
from asr_unlearn.runtime.version import __version__
from asr_unlearn.training.finetune import Setup
from asr_unlearn.training.run_folder import remove_work

# Flags of `asr-unlearn train`, and the aids that they set.
AIDS = {"auxiliary_ctc": "ctc", "token_noise": "token_noise", "joined": "joined"}
# The stages that publish a model.
TRAINING = (3, 4, 5)
ATTACKS = {
    "informed": "attack each unlearned model with N that were unlearned of others",
    "shadows": "attack all models with N that were trained like the original",
}


def state_of(path: Path) -> str:
    """A digest of a file, of a model folder, or of a corpus by sizes and times."""
    if path.is_file():
        return digest(path)
    model = SavedModel(path.name, 0, path).files()
    if "config.json" in model:
        return digest_of(model)
    listing = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            status = file.stat()
            listing.update(f"{file.relative_to(path)}\0{status.st_size}\0".encode())
            listing.update(str(status.st_mtime_ns).encode())
    return listing.hexdigest()


def check(command: Command) -> None:
    """Check a command's arguments, before any model is trained.

    Those of data preparation are checked by its own program, which runs first.

    Raises:
        SystemExit: it has no such flag; which has been printed.
        InputError: a value out of range, or an option that its method does not have.
    """
    if command.stage == 1:
        return
    name, options = commands.understood(command.argv)
    if name == "split":
        check_shares(**{part: options[part] for part in ("heldout", "unseen", "test")})
        request = {part: options[part] for part in ("forget", "forget_labels")}
        check_request(**request, draw=options["draw"] or None)
    if name == "train":
        parts_of(options["parts"])
        aids = {aid: options[flag] for flag, aid in AIDS.items()}
        given = {name: options[name] for name in ("speeds", "crop_seconds", "window")}
        Setup(**given, aids=TrainingAids(**aids))
    if name == "evaluate":
        AttackBudget(**{f.name: options[f.name] for f in fields(AttackBudget)})
        check_window(options["window"])
        if options["judge"] is not None:
            check_judge(Path(options["judge"]))


def run_stage(command: Command, out: Path, *, debug: bool = False) -> None:
    """Run one command, unless its output is there as it was made, and from the same.

    Raises:
        SystemExit: the command failed; its message has been printed.
    """
    title = f"stage {command.stage} ({STAGES[command.stage - 1]}): {command.name}"
    if _entry(command, out).is_current:
        print(f"{title} is complete, skipped", flush=True)
        return
    for file in changed_since(command.leaves):
        print(f"{file} is not as stage {command.stage} made it: the stage runs again", flush=True)
    prefix = ["python", "-m"] if command.stage == 1 else ["asr-unlearn"]
    print(f"{title}\n$ {shlex.join([*prefix, *command.argv])}", flush=True)
    began = time.monotonic()
    if published_before_a_kill(command, out):
        remove_work(command.leaves)
        print(f"{title} was complete, and is noted now", flush=True)
    else:
        _note_begin(command, out)
        run(command, debug=debug)
    # Preparing the data may have made what it reads: a download, a synthetic corpus.
    _entry(command, out).save(also=command.also())
    _begun(command).unlink(missing_ok=True)
    print(f"{title} took {time.monotonic() - began:.0f} s", flush=True)


def published_before_a_kill(command: Command, out: Path) -> bool:
    """Whether a run of this very command was killed after it had published its model.

    A model is published as a whole, so that it must not be trained again.
    """
    path = _begun(command)
    if command.stage not in TRAINING or not path.is_file():
        return False
    published = _published(command)
    try:
        begun = read_json(path)
    except InputError:
        return False
    return begun.get("key") == _entry(command, out).key and published not in (
        None,
        begun.get("published"),
    )


def _note_begin(command: Command, out: Path) -> None:
    """Note that a model is being trained, and which one is published now."""
    if command.stage in TRAINING:
        content = {"key": _entry(command, out).key, "published": _published(command)}
        write_json(_begun(command), content)


def _published(command: Command) -> str | None:
    """A digest of the record of the published model, which has its time; None without one."""
    record = command.leaves / "run.json"
    return digest(record) if record.is_file() else None


def _begun(command: Command) -> Path:
    return command.leaves.with_name(f".{command.leaves.name}.begun")


def _entry(command: Command, out: Path) -> Cached:
    """The output of a command, and a key of its arguments and of what it reads now."""
    argv = [_within(out, word) for word in command.argv]
    reads = {_within(out, str(path)): state_of(path) for path in command.reads}
    return cached(command.leaves, [__version__, argv, reads])


def _within(out: Path, word: str) -> str:
    """A path in OUT relative to it, since OUT may be moved or be given in another way."""
    path = Path(word)
    return f"OUT/{path.relative_to(out)}" if path.is_relative_to(out) else word


def run(command: Command, *, debug: bool = False) -> None:
    """Run a command in this process, where torch is loaded once; data preparation in its own.

    It starts further processes, which would all load torch.
    """
    if command.stage > 1:
        commands.main(command.argv)
        return
    shown = [program.DEBUG] if debug else []
    argv = [sys.executable, "-m", *command.argv, *shown]
    # It ends first where this program is asked to end, and with it where this one is killed.
    environment = {**os.environ, signals.PARENT: str(os.getpid())}
    with subprocess.Popen(argv, env=environment) as process:
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status:
        sys.exit(status if status > 0 else 128 - status)


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
    flags.add_argument("--stop-stage", default=last, help="last stage", **stage)
    flags.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="key=value",
        help="finetune.epochs=2",
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
    if given.methods:
        recipe.choose_methods([name.strip() for name in given.methods.split(",")])
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
    recipe.evaluate |= {name: n for name in ATTACKS if (n := getattr(given, name)) is not None}
    return Plan(
        recipe=recipe,
        model=model,
        data=given.data or given.out / "corpus",
        out=given.out,
        folders=seed_folders(given.out, given.seeds),
        device=given.device,
        forget=given.forget,
    )


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
    pick_device(given.device)
    if given.forget:
        if not given.forget.is_file():
            raise InputError(f"--forget {given.forget}: there is no such file")
        check_names("speaker", read_names(given.forget))
    if given.stage > given.stop_stage:
        raise InputError(f"--stage {given.stage} is behind --stop-stage {given.stop_stage}")
    plan = make_plan(recipe, folder, given)
    commands = plan.commands()
    for command in commands:
        check(command)
        check_apart(command.leaves, plan.inputs())
    with recorded_command([f"recipes/{folder.name}/run.sh", *rest]):
        for command in commands:
            if given.stage <= command.stage <= given.stop_stage:
                run_stage(command, plan.out, debug=debug)


if __name__ == "__main__":
    main()
