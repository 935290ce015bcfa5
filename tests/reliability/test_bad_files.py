"""Files that somebody or something spoiled: each is named in one line, before any work is done."""

import json
import os

import pytest

from asr_unlearn.cli.main import main

LONG = "9" * 400
DEEP = "[" * 100_000

ROW = {"id": "a", "audio": "s0-0.wav", "speaker": "s0", "seconds": 1.0, "text": "AB"}


def row(**changes):
    return json.dumps({**ROW, **changes})


MANIFESTS = [
    ("[]", "expected a JSON object, found list"),
    ("null", "expected a JSON object, found NoneType"),
    ("{", "not JSON (Expecting property name"),
    (DEEP, "nested too deep"),
    (f'{{"a": {DEEP}', "nested too deep"),
    (row().replace("1.0", LONG), "a number of 400 digits is too large"),
    (row().replace("1.0", "9" * 5000), "a number of 5000 digits is too large"),
    (row().replace("1.0", f"-{LONG}"), "digits is too large"),
    (row().replace("1.0", "1e400"), "seconds must be 0 or more, and 0 if unknown, found inf"),
    (row(seconds=float("nan")), "seconds must be 0 or more, and 0 if unknown, found nan"),
    (row(seconds=-1), "seconds must be 0 or more"),
    (row(seconds=None), "seconds must be a number, found None"),
    (row(seconds=True), "seconds must be a number, found True"),
    (row(seconds="1"), "seconds must be a number, found '1'"),
    (row(seconds=[1]), "seconds must be a number, found [1]"),
    (row(id=""), "id is empty"),
    (row(id=" \t"), "id is empty"),
    (row(id="\u200b\ufeff"), "id is empty"),
    (row(id=None), "id must be a string, found None"),
    (row(id=7), "id must be a string, found 7"),
    (row(id="\ud800"), "id is no text: '\\ud800' holds half a character"),
    (row(speaker=""), "speaker is empty"),
    (row(speaker="\u2060"), "speaker is empty"),
    (row(speaker="\udce9"), "speaker is no text"),
    (row(label="\udfff"), "label is no text"),
    (row(text="\ud83d"), "text is no text"),
    (row(text=[None]), "text must be a string, found [None]"),
    (row(audio=""), "audio is no path of a file: ''"),
    (row(audio="/"), "audio is no path of a file: '/'"),
    (row(audio="a\0b"), "audio is no path of a file: 'a\\x00b'"),
    (row(audio="\ud800.wav"), "audio is no path of a file: '\\ud800.wav'"),
    (row(audio=["a.wav"]), "audio must be a string"),
    (row(subset="train "), "subset must be 'train', 'dev', 'test', null or left out"),
    (row(sha256=1), "sha256 must be a string"),
    (row(extra=1), "unknown keys ['extra']"),
    ('{"id": "a"}', "missing keys ['audio', 'seconds', 'speaker']"),
    (f"{row()}\n{row(id=' a')}", "lines 1 and 2: two utterances have the id 'a'"),
]


@pytest.mark.parametrize(("text", "message"), MANIFESTS)
def test_a_manifest(text, message, said, tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_text(text)
    status, line = said(
        main, "split", "--manifest", path, "--out", tmp_path / "split.json", "--draw", 1
    )
    assert status == 1
    assert line.startswith(f"asr-unlearn: {path}, line")
    assert message in line
    assert not (tmp_path / "split.json").exists()


def spoiled(path, **changes):
    """A JSON file with other values; without those that are `...`."""
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


SPLITS = [
    ("[]", "is no split"),
    ("", "is no split"),
    (DEEP, "nested too deep"),
    ({"schema": 2}, "has schema 2, not 1; split again"),
    ({"schema": None}, "has schema None, not 1; split again"),
    ({"manifest_sha256": "0"}, "was made for another manifest.jsonl; split again"),
    ({"manifest_sha256": None}, "is no split"),
    ({"parts": None}, "is no split"),
    ({"parts": {}}, "lacks forget, forget_heldout, retain, test, unseen; split again"),
    ({"parts": dict.fromkeys(["forget", "forget_heldout", "retain", "unseen", "test"])}, "forget"),
    ({"forget_speakers": [None]}, "forget_speakers is no list of names; split again"),
    ({"forget_labels": "s0"}, "forget_labels is no list of names; split again"),
    ({"unseen_speakers": [1]}, "unseen_speakers is no list of names; split again"),
    ({"unseen_speakers": ...}, "lacks unseen_speakers; split again"),
    ({"seed": None}, "seed is no whole number: None; split again"),
    ({"seed": 0.5}, "seed is no whole number: 0.5; split again"),
]


@pytest.mark.parametrize(("content", "message"), SPLITS)
def test_a_split(content, message, said, folder):
    path = folder / "split.json"
    path.write_text(content) if isinstance(content, str) else spoiled(path, **content)
    status, line = said(main, *training(folder))
    assert status == 1
    assert line.startswith(f"asr-unlearn: {path}")
    assert message in line


def training(folder, model="original"):
    return ["train", *corpus_of(folder), "--model", folder / model, "--out", folder / "out"]


def corpus_of(folder):
    return ["--manifest", folder / "manifest.jsonl", "--split", folder / "split.json"]


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_other_shapes(path):
    from safetensors.torch import load_file, save_file

    save_file({k: v[..., :1].clone() for k, v in load_file(path).items()}, path)


MODELS = [
    ("model.safetensors", cut, "is damaged"),
    ("model.safetensors", lambda path: path.write_bytes(b""), "is damaged"),
    ("model.safetensors", lambda path: path.write_bytes(b"\xff" * 100), "is damaged"),
    ("model.safetensors", with_other_shapes, "cannot load a model"),
    ("config.json", cut, "cannot load a model"),
    ("config.json", lambda path: path.write_text(""), "cannot load a model"),
    ("config.json", lambda path: path.write_text("[]"), "cannot load a model"),
    ("config.json", lambda path: path.write_text("null"), "cannot load a model"),
    ("config.json", lambda path: path.write_text(DEEP), "cannot load a model"),
    ("config.json", lambda path: path.write_bytes(b"\xff\xfe"), "cannot load a model"),
    ("config.json", lambda path: spoiled(path, hidden_size=None), "cannot load a model"),
    ("config.json", lambda path: spoiled(path, hidden_size="x"), "cannot load a model"),
    ("config.json", lambda path: spoiled(path, hidden_size=-1), "cannot load a model"),
    ("config.json", lambda path: spoiled(path, hidden_size=32), "cannot load a model"),
    ("config.json", lambda path: spoiled(path, conv_dim=None), "cannot load a model"),
    ("config.json", lambda path: spoiled(path, conv_kernel=[None, 1, 1]), "cannot load a model"),
    ("config.json", lambda path: spoiled(path, num_attention_heads=0), "cannot load a model"),
    ("config.json", lambda path: spoiled(path, architectures=[None]), "no list of names"),
    ("config.json", lambda path: spoiled(path, architectures=7), "cannot load a model"),
    ("config.json", lambda path: spoiled(path, model_type=["x"]), ""),
    ("config.json", lambda path: spoiled(path, model_type="bert"), "bert"),
    ("vocab.json", cut, "vocab.json: not JSON"),
    ("vocab.json", lambda path: path.write_text("[]"), "vocab.json: expected a JSON object"),
    ("vocab.json", lambda path: path.write_text(DEEP), "nested too deep"),
    ("tokenizer_config.json", cut, "tokenizer_config.json: not JSON"),
    ("processor_config.json", lambda path: path.write_text("[]"), "expected a JSON object"),
]


@pytest.mark.parametrize(("name", "spoil", "message"), MODELS)
def test_a_model(name, spoil, message, said, folder):
    path = folder / "original" / name
    spoil(path)
    status, line = said(
        main, "unlearn", *corpus_of(folder), "--model", folder / "original", "--out", folder / "out"
    )
    assert status == 1
    assert str(folder / "original") in line
    assert message in line
    assert not (folder / "out").exists()


RUNS = [
    ("[]", "expected a JSON object, found list"),
    ("", "not JSON"),
    ("{", "not JSON"),
    (DEEP, "nested too deep"),
    ({"seed": None}, "seed is None"),
    ({"seed": "0"}, "seed is '0'"),
    ({"options": None}, "options is None"),
    ({"options": []}, "options is []"),
    ({"options": {}}, "options.parts is None"),
    ({"kind": 1}, "kind is 1"),
    ({"seconds": "long"}, "seconds is 'long'"),
    ({"steps": None}, "steps is None"),
    ({"original": "there"}, "original is 'there'"),
    ({"original": {"path": None}}, "original.path is None"),
]


@pytest.mark.parametrize(("content", "message"), RUNS)
def test_a_record_of_a_run(content, message, said, folder):
    path = folder / "original" / "run.json"
    path.write_text(content) if isinstance(content, str) else spoiled(path, **content)
    status, line = said(
        main,
        *("evaluate", *corpus_of(folder), "--models", "original"),
        *("--out", folder / "results.json"),
    )
    assert status == 1
    assert line.startswith(f"asr-unlearn: {path}: ")
    assert message in line


RESULTS = [
    ("", "not JSON"),
    ("[]", 'has no "schema" key'),
    (DEEP, "nested too deep"),
    (f'{{"schema": {LONG}}}', "a number of 400 digits is too large"),
    ('{"schema": 3}', "reads schema 2: update asr_unlearn"),
    ('{"schema": null}', 'has no "schema" key'),
    ('{"schema": "2"}', "run the evaluation again"),
    ('{"schema": true}', "run the evaluation again"),
    ('{"schema": 2}', "is a required property"),
    ('{"schema": 2, "models": [null]}', "does not fit schema 2"),
    ('{"schema": 1, "models": []}', "reads schema 2: run the evaluation again"),
    ('{"schema": 2, "beams": NaN}', "beams is nan"),
    (b"\xff\xfe{", "not JSON"),
]


@pytest.mark.parametrize(("content", "message"), RESULTS)
def test_results(content, message, said, tmp_path):
    path = tmp_path / "results.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    status, line = said(main, "report", "--results", path)
    assert status == 1
    assert line.startswith(f"asr-unlearn: {path}: ")
    assert message in line


METHOD_FILES = [
    ("def (", "line 1 cannot be loaded: SyntaxError: invalid syntax"),
    ("class Mine(:\n", "line 1 cannot be loaded: SyntaxError"),
    ("\x00", "cannot be loaded: SyntaxError"),
    ("import nosuchmodule", "cannot be loaded: ModuleNotFoundError: No module named"),
    ("1 / 0", "cannot be loaded: ZeroDivisionError"),
    ("raise SystemExit(0)", "cannot be loaded: SystemExit"),
    ("raise ValueError", "cannot be loaded: ValueError: no message"),
    ("Mine = 1", "defines no subclass of Method called 'Mine'"),
    ("class Mine: pass", "defines no subclass of Method called 'Mine'"),
    ("", "defines no subclass of Method called 'Mine'"),
]


@pytest.mark.parametrize(("code", "message"), METHOD_FILES)
def test_a_method_of_ones_own(code, message, folder, monkeypatch, capsys):
    path = folder / "own.py"
    path.write_text(code)
    monkeypatch.setattr("sys.argv", ["asr-unlearn", *map(str, unlearning(folder, f"{path}:Mine"))])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr().err
    assert ended.value.code == 1
    assert shown.startswith("asr-unlearn: ")
    assert shown.count("\n") == 1
    assert str(path) in shown
    assert message in shown


def unlearning(folder, method):
    model = folder / "original"
    return ["unlearn", *corpus_of(folder), "--model", model, "--method", method, "--out", "out"]


CONFIGS = [
    ("{", "is no YAML"),
    ("[]", "holds no settings"),
    ("null", "holds no settings"),
    ("", "holds no settings"),
    ("7", "holds no settings"),
    ("seed: 1\nseed: 2", "the key 'seed' is given twice"),
    ("a: 2024-99-99", "is no YAML"),
    ("\x1b: 1", "is no YAML"),
    ("*x", "is no YAML"),
    ("!!python/object/apply:os.system ['true']", "is no YAML"),
    ("[" * 5000, "nested too deep"),
    ("1: 2", "the key 1 is no text"),
    ("? [a]\n: 1", "is no YAML"),
    (b"\xff\xfe", "is not UTF-8"),
]


@pytest.mark.parametrize(("content", "message"), CONFIGS)
def test_a_file_of_flags(content, message, said, tmp_path):
    path = tmp_path / "flags.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    status, line = said(main, "unlearn", "--config", path)
    assert status == 1
    assert line.startswith(f"asr-unlearn: {path}")
    assert message in line


FORGET_LISTS = [
    (b"", "the forget list names no speaker"),
    (b"# nobody\n\n", "the forget list names no speaker"),
    (b"s0\ns0\n", "names s0 more than once"),
    (b"nobody\n", "unknown speaker 'nobody'"),
    (b"\xe9\n", "is not UTF-8"),
    (b"\x1b[31ms0\n", "unknown speaker"),
    ("\u200b\n".encode(), "the forget list names no speaker"),
    (b"s7\n", "occurs only in the development or test set"),
]


@pytest.mark.parametrize(("content", "message"), FORGET_LISTS)
def test_a_forget_list(content, message, said, folder):
    path = folder / "forget.txt"
    path.write_bytes(content)
    manifest = folder / "manifest.jsonl"
    out = folder / "new.json"
    status, line = said(main, "split", "--manifest", manifest, "--out", out, "--forget", path)
    assert status == 1
    assert message in line
    assert not out.exists()


def test_a_name_is_never_printed_raw(said, tmp_path):
    """Escape codes in the name of a file, and line breaks, do not reach the terminal."""
    path = tmp_path / "\x1b[2J\r\n\u202ename.jsonl"
    path.write_text("{")
    status, line = said(
        main, "split", "--manifest", path, "--out", tmp_path / "split.json", "--draw", 1
    )
    assert status == 1
    assert r"\x1b[2J" in line
    assert r"\u202ename.jsonl" in line
    assert line.startswith("asr-unlearn: ")


def test_a_name_that_is_not_utf8(said, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xe9.jsonl"
    with open(path, "w") as file:  # noqa: PTH123 - a name as bytes
        file.write("{")
    status, line = said(
        main, "split", "--manifest", os.fsdecode(path), "--out", tmp_path / "s", "--draw", 1
    )
    assert status == 1
    assert r"\udce9.jsonl, line 1: not JSON" in line
