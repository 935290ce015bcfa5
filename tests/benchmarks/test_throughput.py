"""The comparison with transformers: both sides do the same work on the same utterances."""

import json

import pytest

from asr_unlearn.data.manifest import read_manifest
from benchmarks import throughput, throughput_sides

UTTERANCES = 10


@pytest.mark.filterwarnings("ignore")
def test_both_sides_process_the_same_utterances(corpus, tiny_config, tmp_path, monkeypatch, capsys):
    figures, measured = tmp_path / "figures.json", []
    apart = throughput.measure

    def noted(comparison, side):
        measured.append((comparison.work, side))
        if measured[-1] == ("transcribe", "ours"):
            found = apart(comparison, side)
        else:
            # In this process, as each new one takes seconds to start.
            found = throughput_sides.figures_of(
                *(comparison.work, side, comparison.model),
                *(comparison.manifest, comparison.epochs),
            )
        ids = {u.id for u in read_manifest(comparison.manifest)}
        assert len(ids) == UTTERANCES
        assert found["processed"] == dict.fromkeys(ids, 2 if comparison.work == "train" else 1)
        return found

    monkeypatch.setattr(throughput, "measure", noted)
    flags = f"--manifest {corpus / 'manifest.jsonl'} --config {tiny_config} --json {figures}"
    flags += f" --models ctc --utterances {UTTERANCES} --repeats 1 --epochs 2"
    monkeypatch.setattr("sys.argv", ["throughput", *flags.split()])
    throughput.main()

    found = json.loads(figures.read_text())
    assert [one["work"] for one in found] == ["train", "transcribe"]
    assert measured == [(work, side) for work in throughput.WORK for side in throughput.SIDES]
    for one in found:
        assert one["utterances"] == UTTERANCES
        rates = [one[side]["utterances_per_second"] for side in ("ours", "theirs")]
        assert min(rates) > 0
        assert one["ratio"] == pytest.approx(rates[0] / rates[1])
        assert all(one[side]["peak_bytes"] > 0 for side in ("ours", "theirs"))
    assert "| transcripts | ctc |" in capsys.readouterr().out


def test_a_side_that_leaves_out_an_utterance_is_refused(corpus, monkeypatch):
    manifest = corpus / "manifest.jsonl"
    ids = [u.id for u in read_manifest(manifest)]

    def lacking(_, side):
        processed = ids if side == "ours" else ids[1:]
        return {"utterances_per_second": 1.0, "processed": dict.fromkeys(processed, 1)}

    monkeypatch.setattr(throughput, "measure", lacking)
    comparison = throughput.Comparison("transcribe", "ctc", "folder", manifest, 1)
    with pytest.raises(RuntimeError, match="theirs did not process every utterance 1 times"):
        throughput.compare(comparison, 1)
