"""What is wrong with the arguments of a command is said in one line, before any work is done."""

import shlex

import pytest

from asr_unlearn.cli.main import main
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.evaluation import evaluate
from asr_unlearn.models.loading import model_from_config, save_model
from asr_unlearn.training import finetune
from data_prep import check

# The command; its exit status; how its message begins after the name of the program.
# C is the folder of the corpus, K of a config, T the folder for what is made, with `file`,
# `empty/` and a model `original/` in it. DATA is --manifest and --split.
SPLIT = "split --manifest C/manifest.jsonl --out T/s.json"
TRAIN = "train DATA --model K --out T/m"
UNLEARN = "unlearn DATA --model T/original --out T/m"
TUNE = "tune DATA --model T/original --out T/j"
EVALUATE = "evaluate DATA --models original --out T/r.json"
BAD = [
    ("split --manifest C --draw 1 --out T/s.json", 1, "C is a folder; give the file"),
    (
        "split --manifest C/none.jsonl --draw 1 --out T/s.json",
        1,
        "C/none.jsonl: No such file or directory",
    ),
    ("split --manifest C/none.jsonl --out T", 1, "--out T is a folder; give a file"),
    ("split --manifest C/none.jsonl --out T/file/s.json", 1, "--out T/file/s.json: T/file is a f"),
    (f"{SPLIT} --draw 1 --seed -1", 2, "seed: Not of type Seed: -1 does not conform"),
    (
        f"{SPLIT} --draw 1 --heldout 1.5",
        1,
        "the share of heldout must be from 0 to below 1, not 1.5",
    ),
    (
        f"{SPLIT} --draw 1 --unseen .nan",
        1,
        "the share of unseen must be from 0 to below 1, not nan",
    ),
    (f"{SPLIT} --draw 1 --test -1", 1, "the share of test must be from 0 to below 1, not -1.0"),
    (f"{SPLIT} --forget T", 1, "T is a folder; give the file"),
    (f"{SPLIT} --forget T/none.txt", 1, "T/none.txt: No such file or directory; check the path"),
    (SPLIT, 1, "who is to be forgotten? Give --forget FILE, --forget_labels, or --draw N"),
    (f"{SPLIT} --forget null", 1, "who is to be forgotten? Give --forget FILE"),
    (f"{SPLIT} --forget_labels null", 1, "who is to be forgotten? Give --forget FILE"),
    (f"{SPLIT} --forget ''", 1, "--forget"),
    (f"{SPLIT} --forget ' '", 1, "--forget"),
    (f"{SPLIT} --forget T/blank", 1, "the forget list names no speaker"),
    (f"{SPLIT} --forget_labels ''", 1, "--forget_labels"),
    (f"{SPLIT} --forget_labels=", 1, "--forget_labels"),
    (f"{SPLIT} --forget_labels ,", 1, "the forget list names no label"),
    (f"{SPLIT} --draw 1 --forget_labels ''", 1, "--forget_labels and --draw: one request"),
    (f"{SPLIT} --draw 1 --forget T/none.txt", 1, "--forget and --draw: one request at a time"),
    (f"{SPLIT} --draw 0", 1, "who is to be forgotten? Give --forget FILE"),
    ("train DATA --model K --out T/file", 1, "--out T/file is a file; give a folder"),
    ("train DATA --model K --out T/file/m", 1, "--out T/file/m: T/file is a file; give a path"),
    ("train --manifest C/manifest.jsonl --split C --model K --out T/m", 1, "C is a folder; give"),
    ("train --split C/split.json --model K", 2, "the following arguments are required: --manifes"),
    ("train DATA --model T/no/where --out T/m", 1, "there is no model folder T/no/where; in T/no"),
    (f"{TRAIN} --parts nosuch", 1, "no part is called 'nosuch'; there are forget, forget_heldout"),
    (f"{TRAIN} --parts ''", 1, "--parts is empty: name some of forget, forget_heldout, retain"),
    (f"{TRAIN} --parts retain,retain", 1, "--parts retain,retain names retain 2 times; name it"),
    (f"{TRAIN} --seed -1", 2, "seed: Not of type Seed: -1 does not conform"),
    (f"{TRAIN} --seed 4294967296", 2, "seed: Not of type Seed: 4294967296"),
    (f"{TRAIN} --finetune.epochs 0", 1, "finetune: epochs must be above 0, not 0.0"),
    (f"{TRAIN} --finetune.nosuch 1", 2, "unrecognized arguments: --finetune.nosuch 1"),
    (
        f"{TRAIN} --finetune.epohcs 1",
        2,
        "unrecognized arguments: --finetune.epohcs 1 (did you mean '--finetune.epochs'",
    ),
    (f"{TRAIN} --finetune.epochs x", 2, "finetune.epochs: expected float, got x"),
    (f"{TRAIN} --speeds [0]", 1, "speeds=[0.0]: name some, each between 0.5 and 2"),
    (f"{TRAIN} --crop_seconds -1", 1, "--crop_seconds -1: give enough for the model, or 0"),
    (f"{TRAIN} --task nosuch", 2, "task: Does not validate against any of the Uni"),
    (f"{TRAIN} --token_noise -1", 1, "token_noise=-1.0 is not between 0 and 1"),
    (f"{TRAIN} --device tpu", 2, "device: expected one of "),
    (f"{TRAIN} --nosuch 1", 2, "unrecognized arguments: --nosuch 1 (did you mean"),
    ("unlearn DATA --model T/original --out T/file", 1, "--out T/file is a file; give a folder"),
    ("unlearn DATA --model T/original --out T/original", 1, "--out T/original is read by this"),
    (f"{UNLEARN} --method nosuch", 1, "unknown method 'nosuch'; there are attention_smoothing"),
    (f"{UNLEARN} --method T/none.py:X", 1, "method 'T/none.py:X': there is no file T/none.py"),
    (f"{UNLEARN} --seed -1", 2, "seed: Not of type Seed: -1 does not conform"),
    (f"{UNLEARN} --stop.rule nosuch", 2, "stop.rule: expected one of "),
    (
        f"{UNLEARN} --stop.reference_model T/none",
        1,
        "--stop.reference_model: there is no model folder T/none",
    ),
    (f"{UNLEARN} --method.power 2", 1, "orthograd_tau: power must be from 0 to below 1, not 2.0"),
    (f"{TUNE} --trials 0", 2, "trials: Not of type PositiveInt: 0 does not conform"),
    (f"{TUNE} --method.nosuch 1", 1, "orthograd_tau has no option 'nosuch'"),
    (f"{TUNE} --method nosuch", 1, "unknown method 'nosuch'; there are attention_smoothing"),
    ("tune DATA --model T/original --out T", 1, "--out T is a folder; give a file"),
    (
        "tune DATA --model T/original --out T/file",
        1,
        "--out T/file is a file that this command has",
    ),
    ("evaluate DATA --models original --out T", 1, "--out T is a folder; give a file"),
    ("evaluate DATA --models none --out T/r.json", 1, "--models none: no such folder in T; there"),
    ("evaluate DATA --models '' --out T/r.json", 1, "--models names none of original"),
    ("evaluate DATA --models empty --out T/r.json", 1, "cannot load a model from 'T/empty': give"),
    ("evaluate DATA --models original,original --out T/r.json", 1, "2 models are called original"),
    (f"{EVALUATE} --beams 0", 2, "beams: Not of type PositiveInt: 0 does not conform"),
    (f"{EVALUATE} --beams 4", 1, "--beams 4: only models with a decoder are searched"),
    (f"{EVALUATE} --method_files m.py:M", 1, "--method_files m.py:M: only attacks that unlearn"),
    (
        f"{EVALUATE} --informed 2 --method_files T/none.py:M",
        1,
        "--method_files T/none.py:M: there is no such file",
    ),
    (f"{EVALUATE} --sign T/none.pem", 1, "--sign T/none.pem: No such file or directory; give"),
    (f"{EVALUATE} --informed -1", 2, "informed: Not of type NonNegativeInt: -1 does"),
    (f"{EVALUATE} --shadows 3", 1, "--shadows 3: give an even number, so that every speaker is"),
    (f"{EVALUATE} --shadows 2", 1, "shadow models are trained as the original was, but T/origina"),
    (f"{EVALUATE} --workers -1", 2, "workers: Not of type NonNegativeInt: -1 does"),
    (f"{EVALUATE} --judge T/none", 1, "judge T/none: it has no manifest.jsonl and split.json"),
    (f"{EVALUATE} --retrained none", 1, "there is no model folder T/none; in T there are original"),
    ("report --results T", 1, "T: Is a directory; give a file"),
    ("report --results T/none.json", 1, "T/none.json: no such file; run the evaluation first"),
    ("report --results T/file", 1, "T/file: not JSON (Expecting ',' delimiter: line 2"),
    ("report --results T/file --audio x", 2, "audio: expected bool, got x"),
    ("verify --model T/none", 1, "T/none/deletion_record.json does not exist: `asr-unlearn evalu"),
    ("purge", 2, "the following arguments are required: OUT; "),
    ("purge --out T", 2, "unrecognized arguments: --out (did you mean '--json', '--debug'?)"),
    ("methods --nosuch 1", 2, "unrecognized arguments: --nosuch 1; asr-unlearn methods --help"),
    ("nosuch", 2, "argument subcommand: invalid choice: 'nosuch' (choose from 'split', 'train'"),
    ("", 2, "no command; there are split, train, unlearn, tune, evaluate, report, verify, "),
]


@pytest.fixture(scope="module")
def folder(corpus, tiny_config, tmp_path_factory):
    made = tmp_path_factory.mktemp("made")
    (made / "file").write_text('{"a": 1\n')
    (made / "blank").write_text("# nobody\n")
    (made / "empty").mkdir()
    alphabet = alphabet_of(read_manifest(corpus / "manifest.jsonl"))
    save_model(*model_from_config(str(tiny_config), alphabet, 0), made / "original")
    return made


@pytest.fixture
def said(corpus, tiny_config, folder, monkeypatch, capsys):
    """Run a command as a program; its status and message, with short names for folders."""
    # Nothing may have begun by the time it is said.
    monkeypatch.setattr(evaluate, "transcribe", lambda *_, **__: pytest.fail("asked"))
    monkeypatch.setattr(finetune, "RunFolder", lambda *_, **__: pytest.fail("trained"))
    names = {"C/": f"{corpus}/", "K": str(tiny_config), "T/": f"{folder}/", "T": str(folder)}
    names |= {"C": str(corpus)}

    def run(line):
        data = line.replace("DATA", "--manifest C/manifest.jsonl --split C/split.json")
        words = []
        for word in shlex.split(data):
            short = next((n for n in names if word == n or (n[-1:] == "/" and word[:2] == n)), "")
            words.append(names[short] + word[len(short) :] if short else word)
        monkeypatch.setattr("sys.argv", ["asr-unlearn", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr().err
        for short, long in (("T", folder), ("C", corpus), ("K", tiny_config)):
            shown = shown.replace(str(long), short)
        return ended.value.code, shown

    return run


@pytest.mark.parametrize(("line", "status", "message"), BAD)
def test_bad_arguments_are_one_line(line, status, message, said):
    found, shown = said(line)
    program, _, rest = shown.partition(": ")
    assert program in {"asr-unlearn", f"asr-unlearn {line.partition(' ')[0]}"}
    assert rest.startswith(message)
    assert shown.count("\n") == 1
    assert found == status


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max-seconds", "-1"], "argument --max-seconds: '-1': give a number above 0"),
        (["--max-seconds", "long"], "argument --max-seconds: 'long': give a number above 0"),
        (["--out", "."], "--out . is a folder; give a file"),
        (["--config", "none.json"], "none.json: No such file or directory"),
    ],
)
def test_so_are_those_of_preparing_data(flags, message, corpus, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("data_prep.prepare.validate", lambda *_, **__: pytest.fail("validated"))
    argv = [str(corpus / "manifest.jsonl"), "--out", str(tmp_path / "o.jsonl"), *flags]
    try:
        status = check.main(argv)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
