"""A deletion record holds until anything it is about has changed, and then says what."""

import hashlib
import hmac
import itertools
import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import asr_unlearn
from asr_unlearn.cli.main import main
from asr_unlearn.data.make_split import make_split
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.evaluation.deletion_record import content_digest
from asr_unlearn.evaluation.signature import sign, signing_key
from asr_unlearn.runtime.io import digest
from tests.support.evaluated import evaluate_three


@pytest.fixture(scope="module")
def finished(corpus, tiny_config, tmp_path_factory):
    """A corpus, its split and three evaluated models, in one folder."""
    out = tmp_path_factory.mktemp("record")
    shutil.copytree(corpus, out, dirs_exist_ok=True)
    evaluate_three(out, tiny_config, out)
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
    salt = json.loads((finished / "split.json").read_text())["salt"].encode()
    assert record["sha256"]["forget_list"] == hmac.new(salt, listed, "sha256").hexdigest()
    weights = (finished / "forgotten" / "model.safetensors").read_bytes()
    digest = hashlib.sha256(weights).hexdigest()
    assert record["sha256"]["weights_after"] == {"model.safetensors": digest}
    results = json.loads((finished / "results.json").read_text())["models"][2]
    assert record["figures"]["wer"] == results["wer"]
    assert record["forgotten"]["speakers"] == len(speakers)
    assert record["command"].startswith("asr-unlearn unlearn")


def test_an_untouched_model_is_as_recorded(folder, capsys):
    asr_unlearn.report(folder / "results.json", audio=False)
    verify(folder, "--full", "true")
    shown = capsys.readouterr().out
    hashed = ("forget_list", "manifest", "split", "weights_before", "weights_after")
    others = ("settings_after", "results", "run", "request", "report", "measured again")
    for name in (*hashed, *others):
        assert f"{name}: as recorded" in shown


def change_weights(path):
    tensors = load_file(path / "model.safetensors")
    tensors["lm_head.bias"][0] += 1
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def change_a_figure(path):
    """Beside the hash of the results, which stays."""
    asr_unlearn.report(path.with_name("results.json"), audio=False)
    text = path.read_text()
    table = text.index("### WER and loss")
    row = text.index("| forgotten | ", table) + len("| forgotten | ")
    path.write_text(f"{text[:row]}9{text[row:]}")


def change_the_page(path):
    """In a table of report.html alone."""
    asr_unlearn.report(path.with_name("results.json"), audio=False)
    text = path.read_text()
    cell = text.index('data-value="', text.index("<h3>WER and loss</h3>"))
    cell = text.index(">", cell) + 1
    path.write_text(f"{text[:cell]}9{text[cell:]}")


def drop_a_hash(path):
    edit(path, lambda content: content["sha256"].pop("weights_after"))


def drop_a_speaker(path):
    edit(path, lambda content: content["forget_speakers"].pop())


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (lambda f: change_weights(f / "forgotten"), "weights_after"),
        (lambda f: change_weights(f / "original"), "weights_before"),
        (lambda f: (f / "forgotten" / "vocab.json").write_text("{}"), "settings_after"),
        (lambda f: (f / "forgotten" / "model.safetensors").unlink(), "weights_after"),
        (lambda f: (f / "manifest.jsonl").write_text("{}"), "manifest"),
        (lambda f: drop_a_speaker(f / "split.json"), "forget_list; request; split; forgotten"),
        (lambda f: edit(f / "results.json", lambda c: c.update(corpus="other")), "results"),
        (lambda f: edit(f / "forgotten" / "run.json", lambda c: c.update(seed=7)), "run"),
        (lambda f: (f / "report.md").write_text("WER 0%"), "report"),
        (lambda f: change_a_figure(f / "report.md"), "report"),
        (lambda f: change_the_page(f / "report.html"), "report"),
        (lambda f: drop_a_hash(f / "forgotten" / "deletion_record.json"), "weights_after; record"),
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
    asr_unlearn.report(folder / "results.json", audio=False)
    shutil.rmtree(folder / "original")
    verify(folder, "--full", "true")
    shown = capsys.readouterr().out
    assert "weights_before: gone" in shown
    assert "measured again: as recorded" in shown
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
    (folder / "results.json").unlink()
    forge(folder, lambda record: record["figures"]["loss"].update(forget=0.01))
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


def evaluate(folder, *names, split="split.json", sign=None):
    data = ["--manifest", str(folder / "manifest.jsonl"), "--split", str(folder / split)]
    argv = ["evaluate", *data, "--models", ",".join(names), "--out", str(folder / "results.json")]
    main([*argv, *(["--sign", str(sign)] if sign else [])])


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
    with pytest.raises(ValueError, match="original is read by this command"):
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
    with pytest.raises(ValueError, match=r"forgotten: its weights are the original's.*unlearn ag"):
        evaluate(folder, "original", "forgotten")
    assert not record.exists()


def test_weights_that_no_run_published_get_no_record(folder):
    record = folder / "forgotten" / "deletion_record.json"
    record.unlink()
    change_weights(folder / "forgotten")
    with pytest.raises(ValueError, match="forgotten: its weights are not those"):
        evaluate(folder, "original", "forgotten")
    assert not record.exists()


def forge(folder, change):
    """Edit the record, and then its digest, as whoever can write it may do."""
    path = folder / "forgotten" / "deletion_record.json"
    record = json.loads(path.read_text())
    change(record)
    record["digest"] = content_digest(record)
    path.write_text(json.dumps(record))


def everything_anew(folder, path, change):
    """Edit a file, and then its hash in the record."""
    edit(folder / path, change)
    name = {"split.json": "split", "results.json": "results"}.get(path, "run")
    forge(folder, lambda r: r["sha256"].update({name: digest(folder / path)}))


# What a forger may edit in the record, with a digest that fits.
FORGED = {
    "a figure": lambda r: r["figures"]["wer"].update(forget=1.0),
    "a figure more": lambda r: r["figures"]["wer"].update(nowhere=1.0),
    "no figures": lambda r: r.update(figures={}),
    "fewer figures": lambda r: r["figures"].pop("membership"),
    "a part less": lambda r: r["figures"]["loss"].pop("retain"),
    "an interval": lambda r: r["figures"]["ci95"]["wer"].update(forget=[0.9, 1.0]),
    "method": lambda r: r.update(method="orthograd"),
    "options": lambda r: r["options"].update(epochs=100),
    "stopped": lambda r: r.update(stopped="at the target"),
    "command": lambda r: r.update(command="asr-unlearn unlearn"),
    "date of the run": lambda r: r.update(unlearned="2020-01-01T00:00:00+00:00"),
    "date of the record": lambda r: r.update(created="2020-01-01T00:00:00+00:00"),
    "speakers": lambda r: r["forgotten"].update(speakers=7),
    "utterances": lambda r: r["forgotten"].update(utterances=70),
    "versions": lambda r: r["versions"]["unlearned"].update(torch="9"),
    "versions of the record": lambda r: r["versions"]["recorded"].update(torch="9"),
    "beams": lambda r: r.update(beams=5),
    "weights before": lambda r: r["sha256"].update(weights_before={"model.safetensors": "0" * 64}),
    "weights after": lambda r: r["sha256"].update(weights_after={"model.safetensors": "0" * 64}),
    "forget list": lambda r: r["sha256"].update(forget_list="0" * 64),
    "request": lambda r: r["sha256"].update(request="0" * 64),
    "a note": lambda r: r.update(note="approved"),
}
# These say nothing that the other files say too: without a signature they pass.
ONLY_SIGNED = {
    "a figure more",
    "date of the record",
    "versions of the record",
    "beams",
    "a note",
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_record_contradicts_the_files_beside_it(folder, what):
    forge(folder, FORGED[what])
    if what in ONLY_SIGNED:
        verify(folder)
        return
    with pytest.raises(ValueError, match="not as recorded"):
        verify(folder)


@pytest.mark.parametrize(
    ("path", "change", "named"),
    [
        ("split.json", lambda c: c["parts"]["retain"].pop(), "request"),
        ("split.json", lambda c: c.update(forget_speakers=["s0"]), "request"),
        ("results.json", lambda c: c["models"][2]["wer"].update(forget=1.0), "figures"),
        ("forgotten/run.json", lambda c: c.update(name="orthograd"), "method"),
        ("forgotten/run.json", lambda c: c.update(weights={}), "weights_after"),
    ],
)
def test_an_edited_file_with_an_edited_hash_contradicts_the_others(folder, path, change, named):
    everything_anew(folder, path, change)
    with pytest.raises(ValueError, match=f"not as recorded.*{named}"):
        verify(folder)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Two pairs of keys, as OpenSSL writes them: the signer's, and a forger's."""
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    folder = tmp_path_factory.mktemp("keys")
    pem = serialization.Encoding.PEM
    for name in ("own", "forger"):
        key = Ed25519PrivateKey.generate()
        private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / f"{name}.pem").write_bytes(key.private_bytes(pem, *private))
        public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.pub").write_bytes(public)
    return folder


@pytest.fixture(scope="module")
def signed(finished, keys, tmp_path_factory):
    out = tmp_path_factory.mktemp("signed") / "out"
    shutil.copytree(finished, out)
    evaluate(out, "original", "retrained", "forgotten", sign=keys / "own.pem")
    return out


def test_a_signed_record_is_that_of_its_key_alone(signed, keys, capsys):
    verify(signed, "--verify-key", str(keys / "own.pub"), "--full", "true")
    assert "signature: of this key" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"not as recorded.*: signature$"):
        verify(signed, "--verify-key", str(keys / "forger.pub"))


def test_a_signed_model_is_verified_by_who_has_it_alone(signed, keys, tmp_path, capsys):
    """Without the split, which names the speakers, the manifest, the original and the results."""
    shutil.copytree(signed / "forgotten", tmp_path / "handed" / "on")
    main(["verify", "--model", str(tmp_path / "handed" / "on"), *own(keys)])
    shown = capsys.readouterr().out
    for name in ("forget_list", "request", "split", "manifest", "weights_before", "results"):
        assert f"{name}: gone\n" in shown
    for name in ("run", "weights_after", "settings_after"):
        assert f"{name}: as recorded\n" in shown
    assert "signature: of this key" in shown
    change_weights(tmp_path / "handed" / "on")
    with pytest.raises(ValueError, match=r"not as recorded.*: weights_after$"):
        main(["verify", "--model", str(tmp_path / "handed" / "on"), *own(keys)])
    with pytest.raises(ValueError, match="without the manifest"):
        main(["verify", "--model", str(tmp_path / "handed" / "on"), *own(keys), "--full", "true"])


def own(keys):
    return "--verify-key", str(keys / "own.pub")


def test_a_signed_record_outlives_an_evaluation_without_the_key(signed, keys, tmp_path, capsys):
    shutil.copytree(signed, tmp_path / "out")
    data = [f"--{name}={tmp_path / 'out' / file}" for name, file in DATA.items() if name != "out"]
    argv = ["evaluate", *data, "--models", "original,forgotten"]
    main([*argv, "--out", str(tmp_path / "out" / "other.json")])
    assert "deletion_record.json is signed, and stays as it is" in capsys.readouterr().err
    verify(tmp_path / "out", *own(keys))


def test_a_record_without_a_signature_says_so(folder, keys, capsys):
    with pytest.raises(ValueError, match=r"not as recorded.*: signature$"):
        verify(folder, *own(keys))
    assert "signature: NONE" in capsys.readouterr().out


def test_a_report_of_other_results_is_to_be_written_anew(folder, capsys):
    asr_unlearn.report(folder / "results.json", audio=False)
    edit(folder / "results.json", lambda content: content.update(corpus="other"))
    evaluate(folder, "original", "forgotten")
    capsys.readouterr()
    with pytest.raises(ValueError, match=r"not as recorded.*: report$"):
        verify(folder, "--full", "true")
    shown = capsys.readouterr().out
    assert "measured again: as recorded" in shown
    assert f"report --results {folder / 'results.json'}` writes the report anew" in shown
    asr_unlearn.report(folder / "results.json", audio=False)
    verify(folder, "--full", "true")


def test_what_was_unlearned_twice_for_one_request_says_so(folder, capsys):
    unlearn(folder, "twice", model="forgotten")
    assert "was unlearned for this request already" in capsys.readouterr().err
    evaluate(folder, "original", "twice")
    main(["verify", "--model", str(folder / "twice")])
    before = folder / "forgotten"
    assert f"unlearned before, same request, {before}:" in capsys.readouterr().out


def test_a_check_without_a_key_says_what_it_proves(folder, capsys):
    verify(folder)
    assert "shows only that nothing has changed by accident" in capsys.readouterr().out


def test_no_edit_of_a_signed_record_passes(signed, keys, tmp_path):
    copy = tmp_path / "out"
    shutil.copytree(signed, copy)
    path = copy / "forgotten" / "deletion_record.json"
    original = path.read_text()
    forger = signing_key(keys / "forger.pem")
    further = {
        "no signature": lambda r: r.pop("signature"),
        "a signature by another": lambda r: r.update(signature=sign(content_digest(r), forger)),
        "no hex": lambda r: r.update(signature="approved"),
    }
    assert len(FORGED | further) > 20
    for what, change in (FORGED | further).items():
        path.write_text(original)
        forge(copy, change)
        check = asr_unlearn.verify(copy / "forgotten", verify_key=keys / "own.pub")
        assert "signature" in check.changed, what


DATA = {"manifest": "manifest.jsonl", "split": "split.json", "out": "results.json"}


@pytest.mark.parametrize(("flag", "other"), [("--sign", "own.pub"), ("--verify-key", "own.pem")])
def test_a_file_that_is_no_such_key_is_named(folder, keys, flag, other):
    named = flag.replace("-key", "_key")
    argv = ["verify", "--model", str(folder / "forgotten")]
    if flag == "--sign":
        data = [f"--{name}={folder / file}" for name, file in DATA.items()]
        argv = ["evaluate", *data, "--models", "forgotten"]
    with pytest.raises(ValueError, match=rf"{named} .*{other}: no Ed25519.*openssl"):
        main([*argv, flag, str(keys / other)])


def test_the_forget_list_cannot_be_guessed(finished):
    """Not even by whoever has the manifest: no hash in the folder is of names alone."""
    texts = [path.read_text() for path in (finished / "forgotten").glob("*.json")]
    speakers = sorted({name.split("-")[0] for name in itertools.chain(*parts(finished).values())})
    for pair in itertools.permutations(speakers, 2):
        for listed in ("".join(f"{s}\n" for s in pair), "\n".join(pair), ",".join(pair)):
            assert not any(hashlib.sha256(listed.encode()).hexdigest() in text for text in texts)
    data = read_manifest(finished / "manifest.jsonl")
    drawn = make_split(data, ["s0", "s1"], seed=0, heldout=0.25, unseen=0.2)
    assert not any(drawn.digest in text for text in texts)


def parts(folder):
    return json.loads((folder / "split.json").read_text())["parts"]


def test_a_split_without_salt_leaves_the_forget_list_out(folder):
    edit(folder / "split.json", lambda content: content.pop("salt"))
    unlearn(folder, "forgotten")
    evaluate(folder, "original", "forgotten")
    assert recorded(folder)["sha256"]["forget_list"] is None
    verify(folder)


def test_a_record_of_another_version_is_named(folder):
    edit(folder / "forgotten" / "deletion_record.json", lambda r: r.update(schema=1))
    with pytest.raises(ValueError, match="has schema 1, not 2: evaluate the model again"):
        verify(folder)
