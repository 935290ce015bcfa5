"""What is handed on of a forgotten speaker: no name, no transcript, no path."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import WavLMConfig

import asr_unlearn
from asr_unlearn.cli.main import main
from asr_unlearn.data.manifest import read_manifest
from tests.support.evaluated import evaluate_three


@pytest.fixture(scope="module")
def out(corpus, tiny_config, tmp_path_factory):
    """An evaluated model that has forgotten, with all working files; absolute paths were given."""
    data = tmp_path_factory.mktemp("people")
    shutil.copytree(corpus, data, dirs_exist_ok=True)
    out = tmp_path_factory.mktemp("evaluated")
    evaluate_three(data, tiny_config, out)
    main(["report", "--results", str(out / "results.json")])
    return out


@pytest.fixture
def copied(out, tmp_path):
    shutil.copytree(out, tmp_path / "out")
    return tmp_path / "out"


def traces(corpus, out):
    """Ids and transcripts of the corpus, and the folders that absolute paths would show."""
    utterances = read_manifest(corpus / "manifest.jsonl")
    # Not the transcripts of one word, which a hash or a base64 image may hold.
    texts = [u.text for u in utterances if u.text and " " in u.text]
    return {*(u.id for u in utterances), *texts, str(Path(out).parent), str(corpus), "/tmp"}


def found(files, words):
    return {
        (file.name, word) for file in files for word in words if word.encode() in file.read_bytes()
    }


def published(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_unlearned_folder_holds_no_trace(out, corpus):
    files = published(out / "forgotten")
    assert {"model.safetensors", "run.json", "deletion_record.json"} <= {f.name for f in files}
    assert not found(files, traces(corpus, out))
    speakers = {f'"s{i}"' for i in range(8)}
    assert not found(files, speakers)
    # They are there to be found.
    assert found(published(out / ".cache"), traces(corpus, out))


def test_results_and_report_show_no_absolute_path(out, corpus):
    files = [out / "results.json", out / "report.md", out / "forgotten" / "run.json"]
    assert not found(files, {"/tmp", str(out), str(corpus)})


def test_purge_removes_the_traces_and_says_so(copied, corpus, capsys):
    forgotten, names = copied / "forgotten", ("utterances.jsonl", "states.npz")
    working = ("retrained.old-1/run.json", "other.partial/checkpoint-3/state.pt")
    attacks = (
        "informed/forgotten/0/utterances.jsonl",
        "shadows/0/model.safetensors",
        "results.json.tensorboard/events.out.tfevents.1",
        "logs/forgotten.log",
        "informed.log",
        "transcription.log",
    )
    for path in (*(forgotten / name for name in names), *(copied / n for n in working + attacks)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("s0-0")
    # What a recipe notes of what it made.
    (copied / ".manifest.jsonl.key").write_text("{}")
    published_files = ("forgotten/model.safetensors", "forgotten/run.json", "original/run.json")
    kept = {name: (copied / name).read_bytes() for name in published_files}
    main(["report", "--results", str(copied / "results.json"), "--private", "true"])
    capsys.readouterr()
    main(["purge", str(copied)])
    shown = capsys.readouterr().out
    folders = (
        ".cache",
        "informed",
        "shadows",
        "retrained.old-1",
        "other.partial",
        "results.json.tensorboard",
        "logs",
        "informed.log",
        "transcription.log",
    )
    files = ("forgotten/utterances.jsonl", "forgotten/states.npz", "report.md", "report.html")
    for gone in folders + files:
        assert f"removed {copied / gone}\n" in shown
        assert not (copied / gone).exists()
    for left in ("original", "results.json"):
        assert f"left: {copied / left};" in shown
    assert all((copied / name).read_bytes() == content for name, content in kept.items())
    shutil.rmtree(copied / "original")
    (copied / "results.json").unlink()
    assert not found(published(copied / "forgotten"), traces(corpus, copied))
    assert not found(copied.glob("private-*"), traces(corpus, copied))
    assert "nothing to remove" in str(asr_unlearn.purge(copied))


def test_purge_says_that_a_speaker_classifier_names_its_classes(copied):
    assert asr_unlearn.purge(copied).classifiers == ()
    config = WavLMConfig(
        id2label={0: "s0", 1: "s1"}, architectures=["WavLMForSequenceClassification"]
    )
    for folder in ("original", "forgotten", "seed0/forgotten"):
        config.save_pretrained(copied / folder)
        (copied / folder / "run.json").touch()
    # A folder of somebody else's.
    (copied / "notes").mkdir()
    (copied / "notes" / "config.json").write_text('{"model_type": "bert"}')
    purged = asr_unlearn.purge(copied)
    named = (copied / "forgotten" / "config.json", copied / "seed0" / "forgotten" / "config.json")
    assert purged.classifiers == named
    assert f"left: {named[0]} names the model's classes" in str(purged)


def test_purge_leaves_what_others_have_put_there(copied):
    own = [
        "logs/mine.log", "notes/layers.json", "notes/quarterly-report.md", "annual-report.md",
        "finetuned/checkpoint-500/optimizer.bin", "drafts.old-1/text", "notes/.cache/theirs",
    ]  # fmt: skip
    for name in own:
        (copied / name).parent.mkdir(parents=True, exist_ok=True)
        (copied / name).write_text("mine")
    (copied / "attacks.json").write_text("{}")
    (copied / "attacks-report.md").write_text("s0-0")
    removed = asr_unlearn.purge(copied).removed
    assert copied / "attacks-report.md" in removed
    assert all((copied / name).read_text() == "mine" for name in own)


def test_purge_finds_caches_and_inputs_by_what_they_are(copied, corpus):
    """Whatever they are called, and in whichever folder models were made."""
    for cache in ("may/.cache/features/a", "may/.cache/recordings.json"):
        (copied / cache).parent.mkdir(parents=True, exist_ok=True)
        (copied / cache).write_text("s0")
    (copied / "original").rename(copied / "may" / "finetuned")
    run = json.loads((copied / "forgotten" / "run.json").read_text())
    run["original"]["path"] = "../may/finetuned"
    (copied / "forgotten" / "run.json").write_text(json.dumps(run))
    for name in ("manifest.jsonl", "split.json"):
        shutil.copy(corpus / name, copied / f"checked-{name}")
    (copied / "results.json").rename(copied / "results2.json")
    purged = asr_unlearn.purge(copied)
    assert copied / "may" / ".cache" in purged.removed
    left = ("may/finetuned", "checked-manifest.jsonl", "checked-split.json", "results2.json")
    assert set(purged.remaining) == {copied / name for name in left}


def test_purge_follows_no_link(copied, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "report.md").write_text("mine")
    (copied / "linked").symlink_to(elsewhere)
    (copied / "informed").symlink_to(elsewhere)
    asr_unlearn.purge(copied)
    assert (elsewhere / "report.md").exists()
    assert not (copied / "informed").is_symlink()


def test_purge_of_another_folder_removes_nothing(tmp_path):
    (tmp_path / "report.md").write_text("mine")
    with pytest.raises(ValueError, match=r"holds no results\.json and no deletion record"):
        asr_unlearn.purge(tmp_path)
    assert (tmp_path / "report.md").exists()


def test_a_private_report_names_nobody(copied, corpus):
    written = asr_unlearn.report(copied / "results.json", private=True)
    assert written.html.name == "private-report.html"
    files = [written.markdown, written.html]
    assert not found(files, traces(corpus, copied) | {"forgotten/", "../"})
    text = written.markdown.read_text()
    assert "To be forgotten: speaker 1, speaker 2." in text
    assert all(f" s{i}" not in text and f">s{i}" not in written.html.read_text() for i in range(8))
    # The same words are in the report that is not private.
    asr_unlearn.report(copied / "results.json")
    public = [copied / "report.html"]
    assert found(public, traces(corpus, copied))


def test_a_report_of_other_results_than_recorded_is_refused(copied):
    path = copied / "results.json"
    content = json.loads(path.read_text())
    content["models"][2]["wer"]["forget"] = 1.0
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"results\.json is not what .*deletion_record\.json was"):
        asr_unlearn.report(path)
