"""An output that cannot be written is an error before anything is done."""

import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import WhisperConfig

from asr_unlearn.cli import run_recipe
from asr_unlearn.cli.main import main
from asr_unlearn.data.make_split import make_split
from asr_unlearn.data.manifest import read_manifest, write_manifest
from asr_unlearn.data.split_file import write_split
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.outputs import check_file
from data_prep import check
from tests.support.tiny_model import tiny_whisper_options


def test_what_can_be_written_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("")
    for out in (tmp_path / "new.json", tmp_path / "old.json", tmp_path / "a" / "b" / "c.json"):
        check_file(out, tmp_path / "input.json")
    assert not (tmp_path / "a").exists()


def test_what_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "input.json"
    file.write_text("")
    (tmp_path / "y").mkdir()
    (tmp_path / "link.json").symlink_to(file)
    (tmp_path / "hard.json").hardlink_to(file)
    for out, complaint in (
        (tmp_path, "is a folder; give a file"),
        (file / "deep" / "out.json", r"input\.json is a file"),
        (file, "is read by this command; write to another place"),
        (tmp_path / "y" / ".." / "input.json", "write to another place"),
        (tmp_path / "link.json", "write to another place"),
        (tmp_path / "hard.json", "write to another place"),
    ):
        with pytest.raises(ValueError, match=f"--out .*{complaint}"):
            check_file(out, file)
    # Root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with pytest.raises(ValueError, match=f"{tmp_path} may not be written to; give another place"):
        check_file(tmp_path / "new" / "out.json")


def test_split_asks_before_it_reads(corpus: Path, tmp_path: Path) -> None:
    forget = tmp_path / "forget.txt"
    forget.write_text("s0\n")
    manifest = corpus / "manifest.jsonl"
    before = manifest.read_bytes()
    for out, read in ((tmp_path, "none.jsonl"), (manifest, manifest), (forget, manifest)):
        with pytest.raises(ValueError, match="--out "):
            main(["split", "--manifest", str(read), "--forget", str(forget), "--out", str(out)])
    assert manifest.read_bytes() == before
    assert forget.read_text() == "s0\n"


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def place(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: a corpus, two models in OUT, a forget list, and files of others."""
    shutil.copytree(corpus, tmp_path / "corpus")
    for name in ("original", "reference"):
        (tmp_path / "out" / name).mkdir(parents=True)
        (tmp_path / "out" / name / "config.json").write_text("{}")
        (tmp_path / "out" / name / "run.json").write_text("{}")
    (tmp_path / "forget.txt").write_text("s0\n")
    (tmp_path / "flags.yaml").write_text("seed: 1\n")
    (tmp_path / "own.py").write_text("")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "notes.txt").write_text("of somebody\n")
    (tmp_path / "notes.json").write_text('{"parts": 1}')
    (tmp_path / "link").symlink_to("corpus")
    # A model of before, with the recordings and lists of a corpus.
    shutil.copytree(corpus, tmp_path / "mixed")
    (tmp_path / "mixed" / "run.json").write_text("{}")
    shutil.copy(tmp_path / "flags.yaml", tmp_path / "mixed")
    shutil.copytree(tmp_path / "mixed", tmp_path / "mixed2" / "wav")
    (tmp_path / "mixed2" / "run.json").write_text("{}")
    utterances = read_manifest(tmp_path / "mixed" / "manifest.jsonl")
    utterances = [*utterances[1:], replace(utterances[0], audio=tmp_path / "mixed2/wav/s0-0.wav")]
    write_manifest(tmp_path / "elsewhere.jsonl", utterances)
    monkeypatch.chdir(tmp_path)
    return tmp_path


DATA = "--manifest corpus/manifest.jsonl --split corpus/split.json"
SPLIT = "split --manifest corpus/manifest.jsonl --forget forget.txt --out "
TRAIN = f"train {DATA} --model out/original --out "
UNLEARN = f"unlearn {DATA} --model out/original --out "
TUNE = f"tune {DATA} --model out/original --method gradient_ascent --out "
EVALUATE = f"evaluate {DATA} --models original --out "
READ = "is read by this command"
FOREIGN = "that this command has not written"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (SPLIT + "corpus/manifest.jsonl", READ),
        (SPLIT + "link/manifest.jsonl", READ),
        (SPLIT + "forget.txt", READ),
        (SPLIT + "notes.txt", FOREIGN),
        (SPLIT + "notes.json", FOREIGN),
        (SPLIT + "corpus/s3-1.wav", FOREIGN),
        (SPLIT + "flags.yaml --config flags.yaml", READ),
        (
            "split --manifest corpus/manifest.jsonl --forget_labels notes.txt --out notes.txt",
            READ,
        ),
        (TRAIN + "corpus", r"corpus holds corpus/manifest\.jsonl, which is read"),
        (TRAIN + "link", r"link holds corpus/manifest\.jsonl, which is read"),
        (TRAIN + ".", r"\. holds corpus/manifest\.jsonl, which is read"),
        (TRAIN + "out/original", READ),
        (TRAIN + "out", r"out holds out/original, which is read"),
        (TRAIN + "thesis", FOREIGN),
        (f"train --config mixed/flags.yaml {DATA} --model x --out mixed", "holds mixed/flags"),
        (
            "train --manifest elsewhere.jsonl --split corpus/split.json --model x --out mixed",
            READ,
        ),
        (
            "train --manifest elsewhere.jsonl --split corpus/split.json --model x --out mixed2",
            r"holds .*mixed2/wav, which is read",
        ),
        (UNLEARN + "out/original", READ),
        (UNLEARN + "out", "holds out/original"),
        (UNLEARN + "out/reference --stop.reference_model out/reference", READ),
        (UNLEARN + "thesis", FOREIGN),
        (TUNE + "corpus/manifest.jsonl", READ),
        (TUNE + "corpus/split.json", READ),
        (TUNE + "out/original/config.json", FOREIGN),
        (TUNE + "notes.txt", FOREIGN),
        (EVALUATE + "corpus/manifest.jsonl", READ),
        (EVALUATE + "corpus/split.json", READ),
        (EVALUATE + "forget.txt", FOREIGN),
        (EVALUATE + "out/original/config.json", FOREIGN),
    ],
)
def test_no_command_writes_over_what_it_has_not_written(
    line: str, complaint: str, place: Path
) -> None:
    if line.startswith("train --manifest elsewhere"):
        utterances = read_manifest(place / "elsewhere.jsonl")
        split = make_split(utterances, ["s0"], seed=0, unseen=0.2)
        write_split(place / "corpus" / "split.json", split, place / "elsewhere.jsonl")
    before = content(place)
    with pytest.raises(InputError, match=f"^--out .*{complaint}"):
        main(shlex.split(line))
    assert content(place) == before


def test_what_a_command_has_written_is_replaced(place: Path) -> None:
    for _ in range(2):
        main(shlex.split(SPLIT + "split.json --seed 1"))
    (place / "empty.json").touch()
    main(shlex.split(SPLIT + "empty.json"))


def test_preparing_data_writes_over_no_other_file(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = "corpus/manifest.jsonl"
    (place / "new.problems.json").write_text("[]")
    before = content(place)
    for out in (manifest, "notes.txt", "corpus/s3-1.wav", "new.jsonl"):
        assert check.main([manifest, "--out", out]) == 2
        assert "--out " in capsys.readouterr().err
    assert content(place) == before


def test_a_recipe_writes_over_none_of_its_inputs(place: Path) -> None:
    recipe = str(Path(__file__).parents[2] / "recipes" / "quickstart")
    shutil.copy(place / "forget.txt", place / "out" / "split.json")
    WhisperConfig(**tiny_whisper_options()).save_pretrained(place / "out" / "original")
    before = content(place)
    for given in (["--model", "out/original"], ["--forget", "out/split.json"]):
        with pytest.raises(InputError, match=r"--out out/.* is read by this command"):
            run_recipe.main([recipe, "--out", "out", *given])
    assert content(place) == before
