"""Corpora of any size pass the reader's checks, and each work on them is measured."""

import json

import pytest

from asr_unlearn.data.audio import SAMPLE_RATE, load_audio
from asr_unlearn.data.manifest import read_manifest
from benchmarks import scale, scale_work
from benchmarks.scale_corpus import MANIFEST, seconds_of, write_corpus


@pytest.mark.filterwarnings("ignore")
def test_every_work_is_measured_on_every_size(tmp_path, monkeypatch, capsys):
    measured, apart = [], scale.measure

    def noted(work, folder):
        measured.append((work, len(read_manifest(folder / MANIFEST))))
        # One in a process of its own, as each takes seconds to start.
        found = (apart if len(measured) == 1 else scale_work.figures_of)(work, folder)
        checked = [u.sha256 for u in read_manifest(folder / MANIFEST)]
        assert (None not in checked) == (measured[-1][1] in own)
        assert (folder / scale_work.MODEL / "run.json").is_file() == (work == "train")
        return found

    own = (48, 72)
    monkeypatch.setattr(scale, "measure", noted)
    monkeypatch.setattr(scale_work, "STEPS", 1)
    flags = f"--lines 60 120 --hours 0.2 0.3 --folder {tmp_path} --json {tmp_path / 'f.json'}"
    monkeypatch.setattr("sys.argv", ["scale", *flags.split()])
    scale.main()

    expected = [(work, lines) for lines in (60, 120) for work in ("read", "split", "plan", "train")]
    expected += [(work, lines) for lines in own for work in ("prepare", "split", "train")]
    assert measured == expected
    found = json.loads((tmp_path / "f.json").read_text())
    assert [(one["work"], one["lines"]) for one in found] == expected
    assert all(one["seconds"] > 0 and one["peak_bytes"] > one["bytes"] >= 0 for one in found)
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + len(expected) / 2
    assert any(row.startswith("| train | 48 / 72 | 48 / 72 | ") for row in rows)
    assert [path.name for path in tmp_path.iterdir()] == ["f.json"]


def test_recordings_have_their_length_and_nothing_in_common(tmp_path):
    utterances = read_manifest(write_corpus(tmp_path / "corpus", lines=40, recordings=12))
    assert len({u.id for u in utterances}) == 40
    paths = sorted({u.audio for u in utterances})
    assert len({path.read_bytes() for path in paths}) == 12
    for number, path in enumerate(paths):
        assert len(load_audio(path)) == SAMPLE_RATE * seconds_of(number)


def test_ratios_are_those_of_a_line():
    small = {"work": "read", "lines": 100, "recordings": 10, "seconds": 1.0, "cpu_seconds": 1.0,
             "bytes": 1000}  # fmt: skip
    large = small | {"lines": 1000, "seconds": 30.0, "cpu_seconds": 20.0, "bytes": 1000}
    (row,) = scale.table([large, small]).splitlines()[2:]
    assert row == (
        "| read | 100 / 1,000 | 10 / 10 | 1.0 / 30.0 | 10000.0 / 20000.0 | 2.00 | 0 / 0 "
        "| 10 / 1 | 0.10 |"
    )
