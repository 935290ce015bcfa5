"""A corpus of the Hub, from a folder of Parquet as the Hub keeps them."""

import pytest
from datasets import Audio, Dataset

from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.runtime.errors import InputError
from data_prep import hub
from tests.support.recordings import record, samples

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for part, speakers in {"train": ("7", "8"), "test": ("9",)}.items():
        files = [record(tmp_path / "raw" / f"{s}-1.flac", seed=int(s)) for s in speakers]
        rows = {
            "audio": [{"bytes": f.read_bytes(), "path": f.name} for f in files],
            "text": [f"SAID BY {s}" for s in speakers],
            "speaker_id": [int(s) for s in speakers],
        }
        data = Dataset.from_dict(rows).cast_column("audio", Audio(decode=False))
        data.to_parquet(folder / f"{part}-00000-of-00001.parquet")
    return folder


def test_all_splits(corpus, tmp_path):
    out = tmp_path / "out" / "m.jsonl"
    assert hub.main(["--data", str(corpus), "--out", str(out), "--strict"]) == 0
    found = sorted(read_manifest(out), key=lambda u: u.id)
    assert [(u.id, u.speaker, u.text, u.subset, u.seconds) for u in found] == [
        ("7-1", "7", "SAID BY 7", "train", 0.5),
        ("8-1", "8", "SAID BY 8", "train", 0.5),
        ("9-1", "9", "SAID BY 9", "test", 0.5),
    ]
    for utterance in found:
        assert utterance.audio.parent == tmp_path / "out" / "m.audio"
        raw = tmp_path / "raw" / f"{utterance.id}.flac"
        assert utterance.audio.read_bytes() == raw.read_bytes()
        assert len(samples(utterance.audio)) == 8_000


def test_one_split_and_named_columns(corpus, tmp_path):
    (found,) = hub.scan(str(corpus), tmp_path / "audio", splits=["test"], columns={"id": "text"})
    assert (found.id, found.subset) == ("SAID BY 9", "test")
    assert found.audio == tmp_path / "audio" / "SAID BY 9.flac"


def test_what_cannot_be_loaded_is_said_in_one_line(corpus, tmp_path):
    with pytest.raises(
        InputError, match=r"--data .*/nowhere cannot be loaded by datasets: "
    ) as said:
        list(hub.scan(str(tmp_path / "nowhere"), tmp_path))
    assert "\n" not in str(said.value)
    with pytest.raises(InputError, match="no column 'who' for --speaker; there are audio, text"):
        list(hub.scan(str(corpus), tmp_path, columns={"speaker": "who"}))
    with pytest.raises(InputError, match=r"has no split dev; there are train, test"):
        list(hub.scan(str(corpus), tmp_path, splits=["dev"]))


def parquet(folder, name, rows):
    """A split with rows of recording, its name and speaker."""
    data = {
        "audio": [{"bytes": f.read_bytes(), "path": own} for f, own, _ in rows],
        "text": ["HI" for _ in rows],
        "speaker_id": [speaker for *_, speaker in rows],
    }
    folder.mkdir(exist_ok=True)
    made = Dataset.from_dict(data).cast_column("audio", Audio(decode=False))
    made.to_parquet(folder / f"{name}-00000-of-00001.parquet")


def test_recordings_that_are_called_alike_stay_apart(tmp_path):
    raw = [record(tmp_path / f"{n}.wav", seed=n) for n in (1, 2)]
    parquet(tmp_path / "c", "train", [(raw[0], "001.wav", "a"), (raw[1], "001.wav", "b")])
    first, second = hub.scan(str(tmp_path / "c"), tmp_path / "audio")
    assert [(u.id, u.speaker) for u in (first, second)] == [("001", "a"), ("train-0000001", "b")]
    for utterance, own in zip((first, second), raw, strict=True):
        assert utterance.audio.read_bytes() == own.read_bytes()
    kept, left_out = hub.scan(str(tmp_path / "c"), tmp_path / "audio", columns={"id": "text"})
    assert (kept.speaker, left_out.reason) == ("a", "duplicate id")
    assert kept.audio.read_bytes() == raw[0].read_bytes()


def test_a_split_that_is_no_part_is_read_only_if_it_is_named(tmp_path, monkeypatch):
    content = record(tmp_path / "1.wav").read_bytes()

    def split(name):
        rows = {"audio": [{"bytes": content, "path": f"{name}.wav"}], "speaker": ["anna"]}
        return Dataset.from_dict(rows).to_iterable_dataset()

    loaded = {name: split(name) for name in ("validated", "test_clean")}
    monkeypatch.setattr(hub, "_loaded", lambda *_: loaded)
    with pytest.raises(InputError, match=r"validated is neither train, dev nor test; .* --splits"):
        list(hub.scan("corpus", tmp_path / "audio"))
    named = hub.scan("corpus", tmp_path / "audio", splits=["validated", "test_clean"])
    assert {u.id: u.subset for u in named} == {"validated": None, "test_clean": "test"}
