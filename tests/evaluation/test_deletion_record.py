"""A deletion record holds until anything it is about has changed, and then says what."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from asr_unlearn.cli.main import main


@pytest.fixture(scope="module")
def finished(corpus, tiny_config, tmp_path_factory):
    """A corpus, its split and three evaluated models, in one folder."""
    out = tmp_path_factory.mktemp("record")
    shutil.copytree(corpus, out, dirs_exist_ok=True)
    data = ["--manifest", str(out / "manifest.jsonl"), "--split", str(out / "split.json")]
    for name, parts in (("original", "retain,forget"), ("retrained", "retain")):
        argv = ["train", *data, "--model", str(tiny_config), "--parts", parts]
        main([*argv, "--out", str(out / name), "--finetune.epochs", "1"])
    argv = ["unlearn", *data, "--model", str(out / "original"), "--method", "gradient_ascent"]
    main([*argv, "--out", str(out / "forgotten"), "--method.epochs", "1", "--stop.rule", "steps"])
    models = "original,retrained,forgotten"
    main(["evaluate", *data, "--models", models, "--out", str(out / "results.json")])
    return out


@pytest.fixture
def folder(finished, tmp_path):
    """A copy that may be tampered with, elsewhere: the record's paths are relative."""
    shutil.copytree(finished, tmp_path / "moved")
    return tmp_path / "moved"


def verify(folder, *flags):
    main(["verify", "--model", str(folder / "forgotten"), *flags])


def test_only_what_was_unlearned_has_a_record(finished):
    assert [p.parent.name for p in finished.rglob("deletion_record.json")] == ["forgotten"]
    record = json.loads((finished / "forgotten" / "deletion_record.json").read_text())
    speakers = json.loads((finished / "split.json").read_text())["forget_speakers"]
    listed = "".join(f"{s}\n" for s in sorted(speakers)).encode()
    assert record["sha256"]["forget_list"] == hashlib.sha256(listed).hexdigest()
    weights = (finished / "forgotten" / "model.safetensors").read_bytes()
    digest = hashlib.sha256(weights).hexdigest()
    assert record["sha256"]["weights_after"] == {"model.safetensors": digest}
    results = json.loads((finished / "results.json").read_text())["models"][2]
    assert record["figures"]["wer"] == results["wer"]
    assert record["forgotten"]["speakers"] == len(speakers)
    assert record["command"].startswith("asr-unlearn unlearn")


def test_an_untouched_model_is_as_recorded(folder, capsys):
    verify(folder, "--full", "true")
    shown = capsys.readouterr().out
    hashed = ("forget_list", "manifest", "split", "weights_before", "weights_after")
    for name in (*hashed, "settings_after", "figures"):
        assert f"{name}: as recorded" in shown


def change_weights(path):
    tensors = load_file(path / "model.safetensors")
    tensors["lm_head.bias"][0] += 1
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})


def drop_a_hash(path):
    content = json.loads(path.read_text())
    del content["sha256"]["weights_after"]
    path.write_text(json.dumps(content))


def drop_a_speaker(path):
    content = json.loads(path.read_text())
    content["forget_speakers"].pop()
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (lambda f: change_weights(f / "forgotten"), "weights_after"),
        (lambda f: change_weights(f / "original"), "weights_before"),
        (lambda f: (f / "forgotten" / "vocab.json").write_text("{}"), "settings_after"),
        (lambda f: (f / "forgotten" / "model.safetensors").unlink(), "weights_after"),
        (lambda f: (f / "manifest.jsonl").write_text("{}"), "manifest"),
        (lambda f: drop_a_speaker(f / "split.json"), "forget_list; split"),
        (lambda f: drop_a_hash(f / "forgotten" / "deletion_record.json"), "weights_after"),
    ],
)
def test_what_changed_is_named(folder, tamper, named):
    tamper(folder)
    with pytest.raises(ValueError, match=f"not as recorded.*: {named}$"):
        verify(folder)


DAMAGED = ["{}", "[]", "", '{"sha256": 1']


@pytest.mark.parametrize("content", DAMAGED)
@pytest.mark.parametrize(
    ("file", "message"),
    [("forgotten/deletion_record.json", "is damaged: evaluate"), ("split.json", "is no split")],
)
def test_what_is_damaged_is_named(folder, file, message, content):
    (folder / file).write_text(content)
    with pytest.raises(ValueError, match=f"{folder / file} {message}"):
        verify(folder)


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_record_is_written_anew(folder, content):
    (folder / "forgotten" / "deletion_record.json").write_text(content)
    evaluate(folder, "forgotten")
    verify(folder)


def test_the_original_may_be_deleted(folder, capsys):
    """As it must be, where its speakers are to be forgotten."""
    shutil.rmtree(folder / "original")
    verify(folder, "--full", "true")
    shown = capsys.readouterr().out
    assert "weights_before: gone" in shown
    assert "figures: as recorded" in shown
    (folder / "manifest.jsonl").unlink()
    verify(folder)
    with pytest.raises(ValueError, match="without the manifest"):
        verify(folder, "--full", "true")


def test_a_folder_behind_a_link_is_as_recorded(folder, tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    real = tmp_path / "far" / "away" / "out"
    (tmp_path / "out").symlink_to(real)
    folder.rename(real)
    manifest = folder / "manifest.jsonl"
    folder.mkdir()
    (real / "manifest.jsonl").rename(manifest)
    (real / "split.json").rename(folder / "split.json")
    for wav in real.glob("*.wav"):
        wav.rename(folder / wav.name)
    data = ["--manifest", str(manifest), "--split", str(folder / "split.json")]
    argv = ["evaluate", *data, "--models", "original,forgotten"]
    main([*argv, "--out", str(tmp_path / "out" / "results.json")])
    for path in (real, tmp_path / "out"):
        verify(path, "--full", "true")


def test_figures_of_an_earlier_evaluation_stay(folder):
    before = recorded(folder)["figures"]
    assert before["gap_to_retrained"]
    evaluate(folder, "forgotten")
    assert recorded(folder)["figures"] == before


def test_figures_are_measured_anew(folder):
    path = folder / "forgotten" / "deletion_record.json"
    record = json.loads(path.read_text())
    record["figures"]["loss"]["forget"] += 0.01
    path.write_text(json.dumps(record))
    verify(folder)
    with pytest.raises(ValueError, match="loss forget: recorded"):
        verify(folder, "--full", "true")


def test_a_record_that_has_been_moved_away_says_so(folder, tmp_path):
    shutil.copytree(folder / "forgotten", tmp_path / "elsewhere" / "forgotten")
    with pytest.raises(ValueError, match=r"record points to .*split\.json, which is gone"):
        main(["verify", "--model", str(tmp_path / "elsewhere" / "forgotten")])


def test_a_model_without_a_record_is_an_error(folder):
    with pytest.raises(FileNotFoundError, match="`asr-unlearn evaluate` writes it"):
        main(["verify", "--model", str(folder / "retrained")])


def unlearn(folder, name, split="split.json", model="original"):
    argv = ["unlearn", "--manifest", str(folder / "manifest.jsonl"), "--split", str(folder / split)]
    argv += ["--model", str(folder / model), "--method", "gradient_ascent", "--method.epochs", "1"]
    main([*argv, "--out", str(folder / name), "--stop.rule", "steps"])


def evaluate(folder, *names, split="split.json"):
    data = ["--manifest", str(folder / "manifest.jsonl"), "--split", str(folder / split)]
    main(["evaluate", *data, "--models", ",".join(names), "--out", str(folder / "results.json")])


def recorded(folder):
    return json.loads((folder / "forgotten" / "deletion_record.json").read_text())


def test_the_original_is_recorded_as_it_was_when_it_was_unlearned(folder):
    before = recorded(folder)["sha256"]["weights_before"]
    change_weights(folder / "original")
    evaluate(folder, "original", "retrained", "forgotten")
    assert recorded(folder)["sha256"]["weights_before"] == before
    with pytest.raises(ValueError, match=r"weights_before$"):
        verify(folder)


def test_the_original_is_found_from_anywhere(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    unlearn(Path(), "here")
    monkeypatch.chdir(tmp_path)
    evaluate(folder, "original", "here")
    main(["verify", "--model", str(folder / "here")])


def test_a_model_is_not_recorded_for_a_request_it_was_not_made_for(folder, capsys):
    before = recorded(folder)
    data = ["--manifest", str(folder / "manifest.jsonl"), "--out", str(folder / "other.json")]
    forgotten = json.loads((folder / "split.json").read_text())["forget_speakers"]
    other = next(s for s in ("s0", "s1", "s2", "s3") if s not in forgotten)
    (folder / "other.txt").write_text(other)
    main(["split", *data, "--forget", str(folder / "other.txt")])
    evaluate(folder, "original", "forgotten", split="other.json")
    assert "unlearned for another request" in capsys.readouterr().err
    assert recorded(folder) == before


def test_the_original_is_not_replaced(folder):
    with pytest.raises(ValueError, match="is the original"):
        unlearn(folder, "original")


def test_a_model_is_verified_from_within_its_folder(folder, monkeypatch):
    monkeypatch.chdir(folder / "forgotten")
    main(["verify", "--model", ".", "--full", "true"])


def published(folder):
    return json.loads((folder / "forgotten" / "run.json").read_text())


def test_a_run_holds_the_hash_of_the_weights_that_it_published(folder):
    weights = (folder / "forgotten" / "model.safetensors").read_bytes()
    digest = hashlib.sha256(weights).hexdigest()
    assert published(folder)["weights"] == {"model.safetensors": digest}


@pytest.mark.parametrize("older", [False, True])
def test_the_original_under_another_name_gets_no_record(folder, older):
    record = folder / "forgotten" / "deletion_record.json"
    record.unlink()
    shutil.copy(folder / "original" / "model.safetensors", folder / "forgotten")
    if older:
        run = {name: value for name, value in published(folder).items() if name != "weights"}
        (folder / "forgotten" / "run.json").write_text(json.dumps(run))
    with pytest.raises(ValueError, match="forgotten: its weights are the original's.*unlearn ag"):
        evaluate(folder, "original", "forgotten")
    assert not record.exists()


def test_weights_that_no_run_published_get_no_record(folder):
    record = folder / "forgotten" / "deletion_record.json"
    record.unlink()
    change_weights(folder / "forgotten")
    with pytest.raises(ValueError, match="forgotten: its weights are not those"):
        evaluate(folder, "original", "forgotten")
    assert not record.exists()
