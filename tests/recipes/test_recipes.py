"""Every recipe, small, from its data to a report that opens; then again, skipping what is done."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from asr_unlearn.methods import METHODS
from data_prep.speechcommands import subset_of
from tests.support.voxceleb_layout import make_layout

ROOT = Path(__file__).parents[2]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DEFAULT = ["orthograd_tau", "orthograd", "neggrad_plus", "gradient_ascent"]
SMALL = ["finetune.epochs=2", "finetune.retain_batch=4", "stop.rule=steps"]


# SSD has none, and OrthoGrad-τ plans its steps.
WITHOUT_RATE = ("ssd", "orthograd_tau")


def small(methods: list[str]) -> list[str]:
    """Options with which each method takes a step or two."""
    options = ("epochs=1", "forget_batch=4", "retain_batch=4")
    given = [f"{method}.{option}" for method in methods for option in options]
    # The settings of training have this name, which draws no forget batches.
    given = [option for option in given if not option.startswith("finetune.forget_batch")]
    if "orthograd_tau" in methods:
        # So small a model has not learned more of the forget speakers than of others.
        given.append("orthograd_tau.target=3")
    # Ascent that is seen after one step.
    return SMALL + given + [f"{method}.lr=1e-3" for method in methods if method not in WITHOUT_RATE]


def synthetic(_: Path) -> list[str]:
    # A reference model of so few speakers recognises nothing, and is refused.
    sizes = ["prepare.speakers=10", "prepare.sentences=3", "split.draw=2"]
    return ["--set", *sizes, "reference_model.model="]


def an4(tmp_path: Path, shared: Path) -> list[str]:
    """Real speech: the first four utterances of twelve training and two test speakers."""
    folder, source = tmp_path / "an4", shared / "an4"
    (folder / "etc").mkdir(parents=True)
    for subset, count in (("train", 12), ("test", 2)):
        listed = (source / "etc" / f"an4_{subset}.fileids").read_text().split()
        texts = (source / "etc" / f"an4_{subset}.transcription").read_text().splitlines()
        speakers = sorted({Path(file).parent.name for file in listed})[:count]
        chosen = [
            pair
            for speaker in speakers
            for pair in [p for p in zip(listed, texts, strict=True) if f"/{speaker}/" in p[0]][:4]
        ]
        files = folder / "etc" / f"an4_{subset}.fileids"
        files.write_text("".join(f"{file}\n" for file, _ in chosen))
        files.with_suffix(".transcription").write_text("".join(f"{text}\n" for _, text in chosen))
        for file, _ in chosen:
            audio = folder / "wav" / f"{file}.flac"
            audio.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / "wav" / f"{file}.flac", audio)
    # A reference model of so few speakers recognises nothing, and is refused.
    return ["--data", str(folder), "--set", "split.draw=2", "reference_model.model="]


def librispeech(tmp_path: Path, shared: Path) -> list[str]:
    """Real speech: the three shortest utterances of one chapter of each of ten speakers."""
    folder = tmp_path / "LibriSpeech"
    source = shared / "LibriSpeech" / "train-clean-5"
    for speaker in sorted(source.iterdir())[:10]:
        chapter = next(c for c in sorted(speaker.iterdir()) if len(list(c.glob("*.opus"))) > 3)
        target = folder / "train-clean-5" / speaker.name / chapter.name
        target.mkdir(parents=True)
        chosen = sorted(chapter.glob("*.opus"), key=lambda path: path.stat().st_size)[:3]
        (transcripts,) = chapter.glob("*.trans.txt")
        lines = [
            x
            for x in transcripts.read_text().splitlines()
            if x.split()[0] in {c.stem for c in chosen}
        ]
        (target / transcripts.name).write_text("\n".join(lines) + "\n")
        for audio in chosen:
            shutil.copy(audio, target)
    return ["--data", str(folder), "--preset", "tiny", "--methods", ",".join(DEFAULT)]


def speechcommands(tmp_path: Path, shared: Path) -> list[str]:
    """Real speech: three words of fourteen training speakers and of two of the validation set."""
    folder, source = tmp_path / "speech_commands", shared / "speech_commands"
    clips = [
        clip for word in ("five", "right", "zero") for clip in sorted(source.glob(f"{word}/*"))
    ]
    speakers = sorted({clip.name.partition("_nohash_")[0] for clip in clips})
    for subset, count in (("train", 14), ("dev", 2)):
        chosen = [s for s in speakers if subset_of(s) == subset][:count]
        for clip in clips:
            if clip.name.partition("_nohash_")[0] in chosen:
                target = folder / clip.parent.name / clip.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(clip, target)
    return ["--data", str(folder), "--preset", "tiny", "--methods", ",".join(DEFAULT)]


def voxceleb1(tmp_path: Path, shared: Path) -> list[str]:
    """Real speech in VoxCeleb1's layout: a second of six utterances of seven speakers."""
    folder = tmp_path / "vox1"
    make_layout(
        shared / "LibriSpeech" / "train-clean-5",
        folder,
        speakers=7,
        utterances=6,
        videos=3,
        seconds=1.0,
    )
    return ["--data", str(folder), "--preset", "tiny", "--methods", ",".join(DEFAULT)]


RECIPES = {
    "quickstart": synthetic,
    "an4": an4,
    "librispeech": librispeech,
    "speechcommands": speechcommands,
    "voxceleb1": voxceleb1,
}


def run(recipe: str, out: Path, *flags: str) -> str:
    command = [str(ROOT / "recipes" / recipe / "run.sh"), "--out", str(out), *flags]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_table_of_recipes_is_complete():
    folders = {p.parent.name for p in (ROOT / "recipes").glob("*/run.sh")}
    assert set(RECIPES) == folders


@pytest.mark.slow
@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_recipe_from_data_to_report(recipe, tmp_path, request):
    make = RECIPES[recipe]
    needs_data = make is not synthetic
    flags = make(tmp_path, request.getfixturevalue("shared_data")) if needs_data else make(tmp_path)
    out = tmp_path / "out"
    # Without what needs the model that the original was fine-tuned from.
    every = [name for name, method in METHODS.items() if not method.needs_base]
    methods = every if recipe == "an4" else DEFAULT
    models = ["original", "retrained", *methods]
    if recipe == "an4":
        flags += ["--methods", "all"]
    # Settings of its own make a recipe small, or a preset does.
    settings = ["gradient_ascent.lr=1e-3"] if "--preset" in flags else small(methods)
    flags += ["--set", *settings]
    shown = run(recipe, out, *flags)
    for word in (
        "stage 1 (data)",
        "$ python -m data_prep.",
        "$ asr-unlearn unlearn",
        "report.html",
    ):
        assert word in shown

    results = json.loads((out / "results.json").read_text())
    entries = {entry["name"]: entry for entry in results["models"]}
    assert list(entries) == models
    assert entries["gradient_ascent"]["loss"]["forget"] > entries["original"]["loss"]["forget"]
    rows = [json.loads(x) for x in (out / "original" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    for name in models:
        for file in ("config.json", "model.safetensors", "run.json"):
            assert (out / name / file).exists()
        assert (out / ".cache" / "predictions" / name / "utterances.jsonl").exists()
    # Same initial weights, and only the forget speakers' utterances less.
    options = [json.loads((out / n / "run.json").read_text())["options"] for n in models[:2]]
    assert options[0].pop("parts") == ["retain", "forget"]
    assert options[1].pop("parts") == ["retain"]
    assert options[0] == options[1]
    if BROWSER:
        page = f"file://{out}/report.html"
        flags_of_browser = ["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        found = subprocess.run([BROWSER, *flags_of_browser, page], capture_output=True, text=True)
        assert "Forgetting on" in found.stdout

    again = run(recipe, out, *flags)
    assert again.count("is complete, skipped") == 2 + len(models) + 2
    assert "$ " not in again
    changed = run(recipe, out, *flags, "neggrad_plus.alpha=0.9")
    assert changed.count("is complete, skipped") == 2 + len(models) - 1
    assert (out / "neggrad_plus.old-1" / "model.safetensors").exists()


@pytest.mark.slow
def test_whisper_from_scratch_goes_through_every_stage(tmp_path, shared_data):
    out = tmp_path / "out"
    methods = ["orthograd_tau", "gradient_ascent"]
    flags = librispeech(tmp_path, shared_data)[:2]
    flags += ["--preset", "tiny-whisper", "--methods", ",".join(methods)]
    shown = run("librispeech", out, *flags)
    assert "--auxiliary_ctc 0.3 --token_noise 0.2 --joined 0.5" in shown
    results = json.loads((out / "results.json").read_text())
    entries = {entry["name"]: entry for entry in results["models"]}
    assert list(entries) == ["original", "retrained", *methods]
    assert entries["gradient_ascent"]["loss"]["forget"] > entries["original"]["loss"]["forget"]
    rows = [json.loads(x) for x in (out / "original" / "metrics.jsonl").read_text().splitlines()]
    losses = [row["train_loss"] for row in rows]
    assert sum(losses[-4:]) < sum(losses[:4])
    for name in entries:
        config = json.loads((out / name / "config.json").read_text())
        assert config["architectures"] == ["WhisperForConditionalGeneration"]


@pytest.mark.parametrize("recipe", ["an4", "librispeech"])
def test_the_small_whispers_hear_what_their_spectrograms_hold(recipe):
    from asr_unlearn.models.loading import model_from_config
    from asr_unlearn.models.tasks import task_for

    task = task_for(*model_from_config(str(ROOT / "recipes" / recipe / "whisper"), "AB", seed=0))
    assert sum(p.numel() for p in task.model.parameters()) < 1.3e6


def test_a_recipe_stops_after_the_stop_stage(tmp_path):
    out = tmp_path / "out"
    shown = run("quickstart", out, *synthetic(tmp_path), "--stop-stage", "2")
    assert "stage 2" in shown
    assert "stage 3" not in shown
    assert (out / "split.json").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--set", "nothing.alpha=1"], "give section.key=value with a section of prepare, split"),
        (["--methods", "orthogard"], "unknown method 'orthogard'"),
        (["--data", "/no/such/folder"], "no such folder"),
        (["--model", "/no/such/model"], "there is no model folder /no/such/model"),
        (["--stage", "9"], "--stage: invalid choice: 9"),
        (["--seeds", "0-2"], "--seeds: '0-2': give them with commas, such as 0,1,2"),
    ],
)
def test_wrong_flags_are_explained(flags, message, tmp_path):
    command = [str(ROOT / "recipes" / "an4" / "run.sh"), "--out", str(tmp_path / "out"), *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_help_names_the_stages(recipe):
    command = [str(ROOT / "recipes" / recipe / "run.sh"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    for word in ("--forget", "--seeds", "--stop-stage", "7 report", "example:"):
        assert word in done.stdout


def test_preparation_takes_switches_and_what_the_model_has_characters_for(tmp_path):
    from asr_unlearn.cli.plan import Plan
    from asr_unlearn.cli.recipe import read_recipe

    recipe = read_recipe(ROOT / "recipes" / "an4" / "recipe.yaml")
    recipe.apply("prepare.strict=true")
    for file in ("config.json", "vocab.json"):
        (tmp_path / file).write_text("{}")
    plan = Plan(recipe, str(tmp_path), Path("data"), tmp_path, folders={0: tmp_path}, device="cpu")
    prepare = plan.commands()[0].argv
    assert prepare[prepare.index("--strict") + 1] == "--config"
    assert prepare[prepare.index("--alphabet") + 1] == str(tmp_path / "vocab.json")


def test_several_seeds_have_folders_of_their_own(tmp_path):
    from asr_unlearn.cli.plan import Plan
    from asr_unlearn.cli.recipe import read_recipe
    from asr_unlearn.cli.run_recipe import seed_folders

    recipe = read_recipe(ROOT / "recipes" / "an4" / "recipe.yaml")
    folders = seed_folders(tmp_path, [0, 1])
    plan = Plan(recipe, "model", Path("data"), tmp_path, folders=folders, device="cpu")
    commands = plan.commands()
    assert [c.stage for c in commands] == sorted(c.stage for c in commands)
    (evaluate,) = [c for c in commands if c.stage == 6]
    models = evaluate.argv[evaluate.argv.index("--models") + 1].split(",")
    assert models == [
        f"seed{seed}/{name}" for seed in (0, 1) for name in ["original", "retrained", *DEFAULT]
    ]


def test_more_seeds_later_leave_what_stands_where_it_is(tmp_path):
    from asr_unlearn.cli.run_recipe import seed_folders

    assert seed_folders(tmp_path, [3]) == {3: tmp_path}
    (tmp_path / "original").mkdir()
    (tmp_path / "original" / "run.json").write_text('{"seed": 3}')
    assert seed_folders(tmp_path, [3]) == {3: tmp_path}
    assert seed_folders(tmp_path, [4]) == {4: tmp_path / "seed4"}
    assert seed_folders(tmp_path, [4, 3]) == {4: tmp_path / "seed4", 3: tmp_path}


def test_one_of_several_seeds_is_found_again(tmp_path):
    from asr_unlearn.cli.run_recipe import seed_folders

    (tmp_path / "seed1").mkdir()
    assert seed_folders(tmp_path, [1]) == {1: tmp_path / "seed1"}


def test_a_method_of_ones_own_is_run_again_when_its_file_changes(tmp_path):
    from asr_unlearn.cli.plan import Plan
    from asr_unlearn.cli.recipe import read_recipe

    own = tmp_path / "own.py"
    own.write_text(
        "from asr_unlearn.methods.finetune import Finetune\n"
        "class Mine(Finetune):\n    name = 'mine'\n"
    )
    recipe = read_recipe(ROOT / "recipes" / "an4" / "recipe.yaml")
    recipe.choose_methods([f"{own}:Mine", "finetune"])
    plan = Plan(recipe, "model", Path("data"), tmp_path, folders={0: tmp_path}, device="cpu")
    _, mine, finetune = (c for c in plan.commands() if c.stage == 5)
    assert mine.name == "mine"
    assert own in mine.reads
    assert set(mine.reads) - {own} == set(finetune.reads)


def test_what_is_complete_is_skipped_wherever_the_folder_is(tmp_path, monkeypatch):
    from asr_unlearn.cli import stages
    from asr_unlearn.cli.plan import RecipeStep

    done = []

    def stage(out, option="1"):
        argv = ["train", "--manifest", str(out / "m.jsonl"), "--out", str(out / "a" / "model")]
        command = RecipeStep(
            3, "a/model", [*argv, "--x", option], [out / "m.jsonl"], out / "m.jsonl"
        )
        stages.run_stage(command, out)

    monkeypatch.setattr(stages, "run", lambda command, **_: done.append(command))
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("out", "m.jsonl").write_text("{}")
    stage(Path("out"))
    stage(Path("out"))
    stage(tmp_path / "out")
    Path("out").rename("moved")
    stage(Path("moved"))
    assert len(done) == 1
    stage(Path("moved"), option="2")
    Path("moved", "m.jsonl").write_text("[]")
    stage(Path("moved"), option="2")
    assert len(done) == 3


@pytest.mark.parametrize("name", ["made", "model/weights", "model/settings"])
@pytest.mark.parametrize("damage", [b"", b"c0ntent", None])
def test_a_stage_whose_output_was_damaged_is_not_complete(name, damage, tmp_path, monkeypatch):
    from asr_unlearn.cli import stages
    from asr_unlearn.cli.plan import RecipeStep

    files = [tmp_path / name for name in ("made", "model/weights", "model/settings")]

    def write(command, **_):
        for file in files:
            file.parent.mkdir(exist_ok=True)
            file.write_text("content")

    monkeypatch.setattr(stages, "run", write)
    command = RecipeStep(3, "x", ["train"], [], tmp_path / "model", lambda: files[:1])
    stages.run_stage(command, tmp_path)
    if damage is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(damage)
    stages.run_stage(command, tmp_path)
    assert [file.read_text() for file in files] == ["content"] * 3


def test_the_evaluation_is_complete_with_its_predictions_and_records(tmp_path):
    from asr_unlearn.cli.plan import Plan
    from asr_unlearn.cli.recipe import read_recipe

    recipe = read_recipe(recipe_file(tmp_path))
    plan = Plan(recipe, "small", Path("data"), tmp_path, folders={0: tmp_path}, device="cpu")
    also = {command.stage: command.also() for command in plan.commands()}
    assert {"utterances.jsonl", "deletion_record.json"} == {path.name for path in also[6]}
    assert also[7] == [tmp_path / "report.md"]
    assert tmp_path / "manifest.problems.json" in also[1]


def test_another_judge_trials_and_files_of_measures_are_seen(tmp_path):
    from asr_unlearn.cli.plan import Plan
    from asr_unlearn.cli.recipe import read_recipe
    from asr_unlearn.cli.stages import state_of

    recipe = read_recipe(recipe_file(tmp_path))
    further = tmp_path / "further.jsonl"
    further.write_text("one")
    recipe.apply(f"evaluate.judge={tmp_path / 'judge'}")
    recipe.apply(f"evaluate.measures=relearning,further_test={further}")
    plan = Plan(recipe, "small", Path("data"), tmp_path, folders={0: tmp_path}, device="cpu")
    (evaluate,) = [c for c in plan.commands() if c.stage == 6]
    judge = tmp_path / "judge" / "original" / "model.safetensors"
    for file in (judge, tmp_path / "trials.txt", further):
        before = [state_of(path) for path in evaluate.reads]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("another")
        assert sum(a != state_of(p) for a, p in zip(before, evaluate.reads, strict=True)) == 1


def recipe_file(folder: Path, extra: str = "") -> Path:
    path = folder / "recipe.yaml"
    path.write_text(
        "corpus: X\nprepare: {module: data_prep.an4}\nmodel: small\n"
        "finetune: {epochs: 40, lr: 2e-3, task: classification, augmented: true}\n"
        "pretrained:\n  classification: {epochs: 3}\n"
        "methods: {orthograd: , neggrad_plus: {alpha: 0.3}}\n"
        "presets:\n  tiny: {model: tiny, finetune: {epochs: 1}, methods: {orthograd: {lr: 1}}}\n"
        + extra
    )
    return path


def test_a_preset_is_merged_into_the_recipe(tmp_path):
    from asr_unlearn.cli.recipe import read_recipe

    recipe = read_recipe(recipe_file(tmp_path))
    tiny = recipe.with_preset("tiny")
    assert tiny.model == "tiny"
    assert tiny.finetune == {
        "epochs": 1,
        "lr": "2e-3",
        "task": "classification",
        "augmented": True,
    }
    assert tiny.methods == {"orthograd": {"lr": 1}, "neggrad_plus": {"alpha": 0.3}}
    assert recipe.finetune["epochs"] == 40
    with pytest.raises(ValueError, match="unknown preset 'huge'; X has tiny"):
        recipe.with_preset("huge")


def test_a_pretrained_model_has_hyper_parameters_of_its_own_and_the_task_stays(tmp_path):
    from asr_unlearn.cli.recipe import read_recipe

    recipe = read_recipe(recipe_file(tmp_path))
    recipe.use_pretrained("classification")
    assert recipe.finetune == {"epochs": 3, "task": "classification"}
    with pytest.raises(ValueError, match="for classification, not ctc"):
        recipe.use_pretrained("ctc")


def test_unknown_keys_are_named_in_presets_too(tmp_path):
    from asr_unlearn.cli.recipe import read_recipe

    with pytest.raises(ValueError, match="unknown keys \\['trian'\\]"):
        read_recipe(recipe_file(tmp_path, "  huge: {trian: {epochs: 9}}\n"))


def test_flags_of_the_evaluation_are_handed_on(tmp_path):
    from asr_unlearn.cli.plan import Plan
    from asr_unlearn.cli.recipe import read_recipe

    recipe = read_recipe(recipe_file(tmp_path))
    recipe.apply("evaluate.beams=5")
    plan = Plan(recipe, "small", Path("data"), tmp_path, folders={0: tmp_path}, device="cpu")
    (evaluate,) = [c for c in plan.commands() if c.stage == 6]
    assert evaluate.argv[-2:] == ["--beams", "5"]


def test_attacks_are_asked_for_by_flags_of_their_own(tmp_path):
    from asr_unlearn.cli.recipe import read_recipe
    from asr_unlearn.cli.run_recipe import make_plan, parser

    recipe = read_recipe(recipe_file(tmp_path))
    model = ["--model", str(ROOT / "recipes" / "quickstart" / "model"), "--out", str(tmp_path)]
    given = parser(recipe, tmp_path).parse_args([*model, "--informed", "2", "--shadows", "4"])
    (evaluate,) = [c for c in make_plan(recipe, tmp_path, given).commands() if c.stage == 6]
    assert evaluate.argv[-4:] == ["--informed", "2", "--shadows", "4"]


def test_a_method_that_needs_the_base_is_refused_without_one_before_the_first_stage(
    tmp_path, caplog
):
    from asr_unlearn.cli.run_recipe import make_plan, parser, read_recipe

    def methods(*words):
        recipe = read_recipe(recipe_file(tmp_path))
        model = ["--model", str(ROOT / "recipes" / "quickstart" / "model"), "--out", str(tmp_path)]
        given = parser(recipe, tmp_path).parse_args([*model, *words])
        return list(make_plan(recipe, tmp_path, given).recipe.methods)

    with pytest.raises(ValueError, match=r"^msa needs the model .* reference_model\.model=base"):
        methods("--methods", "orthograd,msa")
    every = methods("--methods", "all")
    assert set(METHODS) - set(every) == {"msa"}
    assert "--methods all is without msa, which needs the model" in caplog.text


def test_the_recipe_of_speech_commands_forgets_speakers_or_words(tmp_path):
    from asr_unlearn.cli.plan import Plan
    from asr_unlearn.cli.recipe import read_recipe

    recipe = read_recipe(ROOT / "recipes" / "speechcommands" / "recipe.yaml")

    def divided(preset, forget):
        chosen = recipe.with_preset(preset)
        plan = Plan(
            chosen,
            "model",
            Path("data"),
            tmp_path,
            folders={0: tmp_path},
            device="cpu",
            forget=forget,
        )
        (split,) = [c for c in plan.commands() if c.stage == 2]
        return split.argv[split.argv.index("--forget_labels" if preset == "word" else "--forget") :]

    assert divided("keywords", Path("speakers.txt"))[1] == "speakers.txt"
    assert divided("word", None)[1] == "up"
    assert "--draw" not in divided("word", None)
    assert "--draw" not in divided("keywords", Path("speakers.txt"))
    assert divided("word", Path("words.txt"))[1] == "words.txt"


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_every_command_of_every_preset_is_understood(recipe, tmp_path):
    """Those for pretrained models too, for which no weights are at hand."""
    from asr_unlearn.cli.plan import Plan
    from asr_unlearn.cli.recipe import read_recipe
    from asr_unlearn.cli.run_recipe import check

    whole = read_recipe(recipe_of(recipe))
    for preset in [None, *whole.presets]:
        for task in [None, *whole.pretrained]:
            chosen = whole.with_preset(preset) if preset else read_recipe(recipe_of(recipe))
            if task:
                chosen.use_pretrained(task)
            plan = Plan(
                chosen, chosen.model, Path("data"), tmp_path, folders={0: tmp_path}, device="cpu"
            )
            for command in plan.commands():
                check(command)


def recipe_of(name: str) -> Path:
    return ROOT / "recipes" / name / "recipe.yaml"


def test_the_subsets_of_the_presets_can_be_fetched():
    from asr_unlearn.cli.recipe import read_recipe
    from data_prep.librispeech import ARCHIVES

    recipe = read_recipe(recipe_of("librispeech"))
    for preset in recipe.presets:
        assert set(recipe.with_preset(preset).prepare["subsets"].split(",")) <= ARCHIVES.keys()
