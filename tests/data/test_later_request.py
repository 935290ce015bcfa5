"""The split of a later request: who leaves retain, and what stays where it was."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.data.forget_list import SplitError
from asr_unlearn.data.later_request import later_split
from asr_unlearn.data.make_split import make_label_split, make_split
from asr_unlearn.data.manifest import Utterance, write_manifest
from asr_unlearn.data.split import PARTS, Split
from asr_unlearn.data.split_file import read_split, write_split


def utterances(speakers, count=6):
    return [
        Utterance(
            id=f"{s}-{i}",
            audio=Path("x"),
            speaker=f"{s}",
            seconds=1.0,
            text="A",
            label="up" if i else "down",
        )
        for s in range(speakers)
        for i in range(count)
    ]


@given(st.integers(0, 5), st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_requests_one_after_the_other_share_nothing_and_lose_nobody(seed, sizes):
    given_all = utterances(20)
    names = iter([str(n) for n in range(20)])
    split = make_split(given_all, list(itertools.islice(names, 2)), seed=seed, unseen=0.1)
    before = [split]
    retained = sorted({u.speaker for u in split.by_part(given_all)["retain"]}, key=int)
    asked = iter(retained)
    for size in sizes:
        split = later_split(split, given_all, list(itertools.islice(asked, size)))
        before.append(split)
    placed = [name for ids in split.parts.values() for name in ids]
    assert len(placed) == len(set(placed))
    for part in ("unseen", "test"):
        assert split.parts[part] == before[0].parts[part]
    earlier = [name for old in before[:-1] for name in old.parts["forget"]]
    assert list(split.parts["forgotten"]) == earlier
    assert {u.speaker for u in split.by_part(given_all)["forgotten"]} == set(
        split.forgotten_speakers
    )
    spoken = {u.speaker for u in split.by_part(given_all)["forget"]}
    assert spoken == set(split.forget_speakers)
    # What was held out of an earlier request is in no part.
    held = {name for old in before[:-1] for name in old.parts["forget_heldout"]}
    assert {u.id for u in given_all} - set(placed) == held


def test_a_later_split_is_read_as_it_was_written(tmp_path):
    manifest = tmp_path / "manifest.jsonl"
    write_manifest(manifest, given_all := utterances(12))
    first = write_split(tmp_path / "1.json", make_split(given_all, ["0", "1"]), manifest)
    assert read_split(tmp_path / "1.json", manifest) == first
    assert "forgotten" not in (tmp_path / "1.json").read_text()
    retained = sorted({u.speaker for u in first.by_part(given_all)["retain"]})
    later = write_split(tmp_path / "2.json", later_split(first, given_all, retained[:2]), manifest)
    read = read_split(tmp_path / "2.json", manifest)
    assert read == later
    assert read.digest == later.digest != first.digest
    assert later.salt != first.salt
    text = (tmp_path / "2.json").read_text()
    moved = text.replace('"forgotten_speakers": [', '"forgotten_speakers": ["5", ')
    (tmp_path / "3.json").write_text(moved)
    with pytest.raises(SplitError, match="of 5 is in"):
        read_split(tmp_path / "3.json", manifest)


def test_the_digest_of_a_first_request_is_that_of_earlier_versions():
    ids = [("1",), (), ("2",), ("3",), ("4",)]
    split = Split(3, ("a",), ("b",), dict(zip(PARTS, ids, strict=False)), salt="x")
    expected = "68710cded7a5b894b9eb56ae4a0902dd7dfb246562de9c1a24e00d80904fa61c"
    assert split.digest == expected
    assert replace(split, forgotten_speakers=("c",)).digest != expected


def test_utterances_of_the_test_set_go_with_their_speaker():
    given_all = [
        replace(u, subset="test" if u.id.endswith("5") else "train") for u in utterances(12)
    ]
    first = make_split(given_all, ["0"], unseen=0.1)
    name = next(u.speaker for u in first.by_part(given_all)["retain"])
    later = later_split(first, given_all, [name])
    assert later.parts["forget_heldout"] == (f"{name}-5",)
    assert set(later.parts["test"]) == set(first.parts["test"]) - {f"{name}-5"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0"], "speaker 0 is in an earlier request"),
        (["nobody"], "unknown speaker 'nobody'"),
        (["{unseen}"], "occurs only in the development or test set"),
        (["{retained}", "{retained}"], "twice|more than once|repeated"),
        (["{all}"], "nobody would be left to retain"),
    ],
)
def test_what_cannot_be_asked_for(names, message):
    given_all = utterances(12)
    first = make_split(given_all, ["0", "1"])
    retained = sorted({u.speaker for u in first.by_part(given_all)["retain"]})
    asked = [n.format(unseen=first.unseen_speakers[0], retained=retained[0], all="") for n in names]
    with pytest.raises(SplitError, match=message):
        later_split(first, given_all, asked if asked != [""] else retained)


def test_a_request_after_labels_is_refused():
    given_all = utterances(12)
    first = make_label_split(given_all, ["up"])
    with pytest.raises(SplitError, match="after one for labels"):
        later_split(first, given_all, ["3"])
