"""Tables of Common Voice, NeMo and SpeechBrain as they are, and anyone's with named columns."""

import json

import numpy as np
import pytest

from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.runtime.errors import InputError
from data_prep import table
from data_prep.segments import Segments, file_for
from tests.support.recordings import RATE, record, samples


def manifest(source, tmp_path, *flags):
    out = tmp_path / "out" / "manifest.jsonl"
    assert table.main(["--data", str(source), "--out", str(out), "--strict", *flags]) == 0
    return read_manifest(out)


def scanned(source, tmp_path, **options):
    return list(table.scan(source, Segments(tmp_path / "out" / "manifest.jsonl"), **options))


def test_common_voice(tmp_path):
    corpus = tmp_path / "en"
    columns = ("client_id", "path", "sentence_id", "sentence", "up_votes", "locale", "segment")
    for number, part in enumerate(("train", "dev", "test")):
        record(corpus / "clips" / f"c{number}.mp3", seed=number)
        row = (f"voice{number}", f"c{number}.mp3", "x", 'He said "no.', "2", "sv-SE", "")
        lines = "\n".join("\t".join(line) for line in (columns, row))
        (corpus / f"{part}.tsv").write_text(lines + "\n")
    # Beside the three are others, which hold the same clips.
    (corpus / "validated.tsv").write_text("\t".join(columns) + "\n")
    found = manifest(corpus, tmp_path)
    assert [(u.id, u.speaker, u.subset, u.text) for u in found] == [
        ("c1", "voice1", "dev", 'He said "no.'),
        ("c2", "voice2", "test", 'He said "no.'),
        ("c0", "voice0", "train", 'He said "no.'),
    ]
    assert {u.language for u in found} == {"sv"}


@pytest.mark.parametrize("name", ["manifest.json", "manifest.jsonl"])
def test_nemo(name, tmp_path):
    record(tmp_path / "data" / "long.wav", seconds=2.0, seed=1)
    record(tmp_path / "data" / "short.wav", seconds=0.5, seed=2)
    rows = [
        {
            "audio_filepath": "long.wav",
            "offset": 0.5,
            "duration": 0.75,
            "text": "a b",
            "speaker": 7,
        },
        {"audio_filepath": "short.wav", "offset": 0, "duration": 0.5, "text": "c", "speaker": 8},
    ]
    source = tmp_path / "data" / name
    source.write_text("\n".join(map(json.dumps, rows)))
    cut, whole = manifest(source, tmp_path)
    assert (cut.id, cut.speaker, cut.text, cut.seconds) == ("long-0000500", "7", "a b", 0.75)
    expected = samples(tmp_path / "data" / "long.wav")[RATE // 2 : RATE // 2 + 3 * RATE // 4]
    np.testing.assert_array_equal(samples(cut.audio), expected)
    assert cut.audio == tmp_path / "out" / "manifest.audio" / "long-0000500.flac"
    assert whole.audio == tmp_path / "data" / "short.wav"
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted(
        ["long.wav", "short.wav", name]
    )


def test_speechbrain(tmp_path):
    record(tmp_path / "data" / "s1" / "a.flac")
    (tmp_path / "train.csv").write_text(
        "ID, duration, wav, spk_id, wrd\nu1, 0.5, {data_root}/s1/a.flac, s1, HELLO WORLD\n"
    )
    (found,) = manifest(tmp_path / "train.csv", tmp_path, "--set", f"data_root={tmp_path / 'data'}")
    assert (found.id, found.speaker, found.text) == ("u1", "s1", "HELLO WORLD")
    assert found.subset == "train"
    with pytest.raises(InputError, match=r"line 2: give the placeholder in '\{data_root\}/s1/a"):
        scanned(tmp_path / "train.csv", tmp_path)
    row = {"wav": "{data_root}/s1/a.flac", "spk_id": "s1", "words": "HELLO WORLD", "length": 0.5}
    (tmp_path / "all.json").write_text(json.dumps({"u1": row}))
    (same,) = scanned(
        tmp_path / "all.json", tmp_path, variables={"data_root": str(tmp_path / "data")}
    )
    assert (same.id, same.speaker, same.text) == (found.id, found.speaker, found.text)
    assert same.audio == found.audio


def test_columns_are_named_where_their_names_are_unusual(tmp_path):
    record(tmp_path / "sound" / "x" / "1.wav")
    source = tmp_path / "mine.csv"
    source.write_text('who,said,where\nanna,"one, two",x/1.wav\n')
    given = ["--audio", "where", "--speaker", "who", "--text", "said"]
    (found,) = manifest(source, tmp_path, *given, "--folder", str(tmp_path / "sound"))
    assert (found.id, found.speaker, found.text, found.subset) == ("x/1", "anna", "one, two", None)
    with pytest.raises(InputError, match=r"no column for the audio .* --audio, one of who, said"):
        scanned(source, tmp_path)
    with pytest.raises(InputError, match="no column 'nobody' for --speaker; there are who, said"):
        scanned(source, tmp_path, columns={"speaker": "nobody"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "audio,speaker\na.wav\n", "line 2: not as many columns"),
        ("t.csv", "audio,speaker\na.wav,\n", "line 2: no speaker"),
        ("t.csv", "audio,speaker\n,anna\n", "line 2: no recording"),
        ("t.csv", 'audio,speaker\n"a.wav,anna\n', "t.csv, line 1: unexpected end of data"),
        ("t.csv", "audio,speaker,start,end\na.wav,anna,soon,1\n", "'soon' is no number of seconds"),
        ("t.csv", "audio,speaker,start\na.wav,anna,1\n", "none says where they end"),
        (
            "t.csv",
            "audio,speaker,split\na.wav,anna,extra\n",
            "the subset 'extra' is neither",
        ),
        ("t.jsonl", '{"audio": "a.wav"}\n7\n', "line 2: no JSON object"),
        ("t.json", "[1]", "no objects"),
        ("t.json", '{"a": 1', "line 1: no JSON object"),
    ],
)
def test_a_bad_line_is_named(name, content, message, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        scanned(tmp_path / name, tmp_path)


def test_a_folder_must_tell_its_tables_apart(tmp_path):
    with pytest.raises(InputError, match="no train, dev or test table; give one"):
        scanned(tmp_path, tmp_path)
    for name in ("train.csv", "train.tsv"):
        (tmp_path / name).write_text("audio\tspeaker\n")
    with pytest.raises(InputError, match=r"has train\.csv, train\.tsv; give one table"):
        scanned(tmp_path, tmp_path)
    with pytest.raises(InputError, match="no such table or folder"):
        scanned(tmp_path / "nowhere", tmp_path)


def test_a_part_beyond_the_end_is_refused_and_an_unreadable_recording_is_left_to_the_check(
    tmp_path,
):
    record(tmp_path / "a.wav")
    segments = Segments(tmp_path / "m.jsonl")
    with pytest.raises(InputError, match=r"begins at 3 s, and .* has 0.5 s"):
        segments.cut(tmp_path / "a.wav", "u", 3.0, None)
    (tmp_path / "b.wav").write_text("no audio")
    for name in ("b.wav", "gone.wav"):
        assert segments.cut(tmp_path / name, "u", 1.0, 2.0) == tmp_path / name
    assert segments.cut(tmp_path / "a.wav", "u", 0.0, 0.495) == tmp_path / "a.wav"
    assert not segments.folder.exists()


def test_names_that_differ_have_files_that_differ(tmp_path):
    names = ("a/b", "a_b", "a%2Fb", "a%b")
    assert len({file_for(tmp_path, name, ".flac") for name in names}) == len(names)
    assert all(file_for(tmp_path, name, ".flac").parent == tmp_path for name in names)


def test_parts_end_where_the_table_says(tmp_path):
    record(tmp_path / "x.wav", seconds=3.0)
    source = tmp_path / "t.csv"
    source.write_text("audio,speaker,start,end\nx.wav,anna,0,1\nx.wav,anna,1,2.5\n")
    found = manifest(source, tmp_path)
    assert [(u.id, u.seconds) for u in found] == [("x-0000000", 1.0), ("x-0001000", 1.5)]


def test_the_first_of_two_parts_with_one_id_keeps_its_recording(tmp_path):
    for name, seed in (("x", 1), ("y", 2)):
        record(tmp_path / f"{name}.wav", seconds=2.0, seed=seed)
    source = tmp_path / "t.csv"
    rows = "u1,x.wav,s1,0.5,0.5\nu1,y.wav,s2,0.5,0.5\n"
    source.write_text(f"id,audio,speaker,start,duration\n{rows}")
    first, second = scanned(source, tmp_path)
    assert (first.speaker, second.reason) == ("s1", "duplicate id")
    expected = samples(tmp_path / "x.wav")[RATE // 2 : RATE]
    np.testing.assert_array_equal(samples(first.audio), expected)


def test_subsets_by_what_their_names_begin_with(tmp_path):
    rows = {"train-clean-100": "train", "TEST_other": "test", "dev.2": "dev", "validation": "dev"}
    source = tmp_path / "t.csv"
    lines = [f"{number}.wav,anna,{name}" for number, name in enumerate(rows)]
    source.write_text("\n".join(["audio,speaker,subset", *lines]))
    assert [u.subset for u in scanned(source, tmp_path)] == list(rows.values())


def test_a_headerless_recording_is_not_cut(tmp_path):
    (tmp_path / "x.raw").write_bytes(bytes(64_000))
    source = tmp_path / "t.csv"
    source.write_text("audio,speaker,start,duration\nx.raw,anna,0.5,0.5\n")
    (problem,) = scanned(source, tmp_path)
    assert "has no header: convert it to WAV" in problem.detail
