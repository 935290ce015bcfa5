"""VoxCeleb1's layout: who is trained on, tried and set aside, and where texts come from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_unlearn.data.make_split import make_split
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.metrics.verification import Trial, read_trials
from asr_unlearn.models.loading import model_from_config, save_model
from data_prep import voxceleb1
from data_prep.transcripts import characters, read_transcripts, transcribed

SPEAKERS = ("id10001", "id10002", "id10003")
VIDEOS = ("a_x", "b-y", "c")


@pytest.fixture
def vox(tmp_path: Path) -> Path:
    """Three people, three videos each, two recordings a video."""
    folder, rng = tmp_path / "vox1", np.random.default_rng(0)
    for speaker in SPEAKERS:
        for video in VIDEOS:
            for number in (1, 2):
                path = folder / "wav" / speaker / video / f"{number:05d}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, 0.1 * rng.standard_normal(4000), 16_000)
    return folder


def paths() -> list[str]:
    return [f"{s}/{v}/{n:05d}.wav" for s in SPEAKERS for v in VIDEOS for n in (1, 2)]


def list_identification(folder: Path) -> None:
    part = {"a_x": 1, "b-y": 2, "c": 3}
    lines = [f"{part[path.split('/')[1]]} {path}\n" for path in paths()]
    (folder / "iden_split.txt").write_text("".join([*lines, "1 id19999/zz/00001.wav\n"]))


def test_the_list_says_who_is_trained_on_and_validation_is_left_out(vox: Path) -> None:
    list_identification(vox)
    found = list(voxceleb1.scan(vox))
    assert [u.subset for u in found] == ["train", "train", "test", "test"] * 3
    assert found[0].id == "id10001-a_x-00001"
    assert found[0].audio == vox / "wav" / "id10001" / "a_x" / "00001.wav"
    assert {u.speaker for u in found} == set(SPEAKERS)
    assert all(u.text is None and u.label is None for u in found)


def test_without_a_list_the_last_video_is_for_testing(vox: Path) -> None:
    by_video = {u.id.split("-", 1)[1][:-6]: u.subset for u in voxceleb1.scan(vox)}
    assert by_video == {"a_x": "train", "b-y": "train", "c": "test"}


def test_without_a_list_who_has_one_video_is_trained_on(vox: Path) -> None:
    for video in VIDEOS[1:]:
        shutil.rmtree(vox / "wav" / SPEAKERS[1] / video)
    found = list(voxceleb1.scan(vox))
    assert {u.subset for u in found if u.speaker == SPEAKERS[1]} == {"train"}
    assert {u.speaker for u in found if u.subset == "test"} == {SPEAKERS[0], SPEAKERS[2]}
    split = make_split(found, [SPEAKERS[1]])
    assert len(split.parts["forget"]) == len(split.parts["forget_heldout"]) == 1


@pytest.mark.parametrize("place", ["", "vox1_dev_wav", "vox1_dev_wav/wav"])
def test_recordings_are_found_where_the_archives_put_them(vox: Path, place: str) -> None:
    if place:
        (vox / place).parent.mkdir(exist_ok=True, parents=True)
        (vox / "wav").rename(vox / place)
    else:
        vox = vox / "wav"
    assert len(voxceleb1.find_recordings(vox)) == 18


def test_people_of_the_verification_list_are_set_aside(vox: Path, tmp_path: Path) -> None:
    list_identification(vox)
    lines = ["1 id10003/a_x/00001.wav id10003/c/00002.wav", "0 id10003/c/00001.wav id19/x/1.wav"]
    (vox / "veri_test.txt").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out" / "manifest.jsonl"
    assert voxceleb1.main(["--data", str(vox), "--out", str(out)]) == 0
    manifest = read_manifest(out)
    assert {u.subset for u in manifest if u.speaker == "id10003"} == {"dev"}
    trials = [Trial(True, "id10003-a_x-00001", "id10003-c-00002")]
    assert read_trials(out.with_name("trials.txt")) == trials
    split = make_split(manifest, ["id10001"])
    assert split.unseen_speakers == ("id10003",)
    assert len(split.parts["unseen"]) == 6
    assert split.parts["forget_heldout"] == ("id10001-c-00001", "id10001-c-00002")
    assert split.parts["test"] == ("id10002-c-00001", "id10002-c-00002")


def test_trials_that_cannot_be_written_are_an_error_before_work(
    vox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trials.txt").mkdir()
    out = tmp_path / "manifest.jsonl"
    assert voxceleb1.main(["--data", str(vox), "--out", str(out)]) == 2
    assert "trials.txt is a folder" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("iden_split.txt", "4 id10001/a/00001.wav\n", "iden_split.txt, line 1: expected"),
        ("veri_test.txt", "\n1 id10001/a/00001.wav\n", "veri_test.txt, line 2: expected"),
        ("vox1_meta.csv", "VoxCeleb1 ID\tx\nid10001\ty\n", "lacks id10002, id10003"),
    ],
)
def test_bad_lists_are_named(
    vox: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, complaint: str
) -> None:
    # Lists may also lie above the recordings.
    (vox / name).write_text(content)
    out = vox / "out" / "manifest.jsonl"
    assert voxceleb1.main(["--data", str(vox / "wav"), "--out", str(out)]) == 2
    assert complaint in capsys.readouterr().err
    assert not out.exists()


def test_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no recordings id10001/VIDEO"):
        list(voxceleb1.scan(tmp_path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.tsv", "wav/id10001/a_x/00001.wav\tHello, wörld-wide!\nid10002-c-00002\tit’s 5\n"),
        ("t.csv", 'path,text\nid10001/a_x/00001,"Hello, wörld-wide!"\nid10002-c-00002,it\'s 5\n'),
        (
            "t.jsonl",
            '{"audio": "id10001/a_x/00001.wav", "text": "Hello, wörld-wide!"}\n\n'
            '{"id": "id10002-c-00002", "transcript": "it\'s 5"}\n',
        ),
    ],
)
def test_texts_from_a_file(vox: Path, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    out = tmp_path / "out" / "manifest.jsonl"
    flags = ["--data", str(vox), "--out", str(out), "--transcripts", str(tmp_path / name)]
    assert voxceleb1.main(flags) == 0
    texts = {u.id: u.text for u in read_manifest(out)}
    # The wave is too short for the CTC frames of a longer text, which `validate` says by name.
    problems = json.loads(out.with_suffix(".problems.json").read_text())["problems"]
    reasons = {p["id"]: p["reason"] for p in problems}
    assert texts == {"id10002-c-00002": "IT'S 5"}
    assert reasons.pop("id10001-a_x-00001") == "transcript too long"
    assert set(reasons.values()) == {"empty transcript"}
    assert len(reasons) == 16


@pytest.mark.parametrize(
    ("name", "line"),
    [("t.tsv", "a\tb\tc\n"), ("t.jsonl", '{"text": "a"}\n'), ("t.jsonl", "[1]\n")],
)
def test_bad_texts_are_named(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / name).write_text(line)
    with pytest.raises(ValueError, match="line 1: "):
        read_transcripts(tmp_path / name)


def test_spelling_is_that_of_a_character_recogniser() -> None:
    assert characters("  Ça va -- l’été, No. 5!\n") == "CA VA L'ETE NO 5"


def test_texts_by_a_recogniser_are_kept(vox: Path, tmp_path: Path, tiny_config: Path) -> None:
    model, processor = model_from_config(str(tiny_config), "ABC", seed=0)
    model.lm_head.weight.data.normal_(std=20.0)
    save_model(model, processor, tmp_path / "model")
    found = list(voxceleb1.scan(vox))[:4]
    folder = tmp_path / "transcripts"
    found_texts = list(transcribed(iter(found), str(tmp_path / "model"), folder))
    assert any(u.text for u in found_texts)
    (memory,) = folder.iterdir()
    lines = memory.read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == [u.text for u in found_texts]
    # Killed while it wrote the third, with another text in the first to know it again by.
    memory.write_text(
        lines[0].replace('"text": "', '"text": "KEPT ') + f"\n{lines[1]}\n" + lines[2][:9]
    )
    again = list(transcribed(iter(found), str(tmp_path / "model"), folder))
    assert again[0].text == f"KEPT {found_texts[0].text}".strip()
    assert again[1:] == found_texts[1:]
    assert len(memory.read_text().splitlines()) == 4
