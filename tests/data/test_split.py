"""The split is disjoint, complete and seeded, whatever speakers are forgotten."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import asr_unlearn
from asr_unlearn.data.draws import ids_by
from asr_unlearn.data.duplicates import find_copies
from asr_unlearn.data.forget_list import SplitError, read_names
from asr_unlearn.data.make_split import draw_speakers, make_label_split, make_split
from asr_unlearn.data.manifest import Utterance, write_manifest
from asr_unlearn.data.split import OF_EVERY_SPLIT
from asr_unlearn.data.split_file import read_split, write_split


def utterances(counts: list[int], subset: str = "train", prefix: str = "spk") -> list[Utterance]:
    return [
        Utterance(
            id=f"{prefix}{speaker}-{i}",
            audio=Path(f"{prefix}{speaker}-{i}.wav"),
            speaker=f"{prefix}{speaker}",
            seconds=1.0,
            text="A",
            subset=subset,
        )
        for speaker, count in enumerate(counts)
        for i in range(count)
    ]


@st.composite
def requests(draw):
    counts = draw(st.lists(st.integers(1, 12), min_size=5, max_size=30))
    speakers = [f"spk{i}" for i in range(len(counts))]
    forget = draw(
        st.lists(st.sampled_from(speakers), min_size=1, max_size=len(counts) - 4, unique=True)
    )
    own_test = draw(st.booleans())
    corpus = utterances(counts) + (utterances([2, 3], "test", "other") if own_test else [])
    return corpus, forget, draw(st.integers(0, 99))


@given(requests())
def test_parts_are_disjoint_complete_and_by_speaker(request_):
    corpus, forget, seed = request_
    split = make_split(corpus, forget, seed=seed)
    ids = [i for part in OF_EVERY_SPLIT for i in split.parts[part]]
    assert sorted(ids) == sorted(u.id for u in corpus)
    speaker = {u.id: u.speaker for u in corpus}
    speakers = {part: {speaker[i] for i in split.parts[part]} for part in OF_EVERY_SPLIT}
    assert speakers["forget"] == set(forget)
    assert speakers["forget_heldout"] <= set(forget)
    groups = ["forget", "retain", "unseen", "test"]
    for a in groups:
        assert speakers[a], f"{a} is empty"
        for b in groups:
            assert a == b or not speakers[a] & speakers[b]


@given(requests())
def test_same_seed_same_split_in_any_order_of_the_request(request_):
    corpus, forget, seed = request_
    assert make_split(corpus, forget, seed=seed) == make_split(corpus, forget[::-1], seed=seed)


def test_the_tenth_is_held_out():
    split = make_split(utterances([20] * 10), ["spk0", "spk1"], heldout=0.1)
    assert len(split.parts["forget"]) == 36
    assert len(split.parts["forget_heldout"]) == 4


def test_a_corpus_test_set_stays_the_test_set():
    corpus = utterances([3] * 10) + utterances([2] * 3, "test", "other")
    split = make_split(corpus, ["spk0"])
    assert set(split.parts["test"]) == {u.id for u in corpus if u.subset == "test"}


def test_a_corpus_development_set_is_the_unseen_part():
    corpus = utterances([3] * 10) + utterances([2] * 3, "dev", "other")
    split = make_split(corpus, ["spk0"], test=0.2)
    assert set(split.parts["unseen"]) == {u.id for u in corpus if u.subset == "dev"}
    assert split.unseen_speakers == ("other0", "other1", "other2")
    # Two of the nine that are left are drawn for the test.
    assert len(split.parts["test"]) == 6
    assert not set(draw_speakers(corpus, 9, seed=0)) & set(split.unseen_speakers)


def test_names_that_are_no_speakers_are_not_drawn():
    corpus = utterances([1] * 4) + utterances([50], prefix="_noise/")
    assert "_noise/0" not in draw_speakers(corpus, 3, seed=0)


def labelled(counts: list[int], words: list[str], own_sets: bool) -> list[Utterance]:
    """Every speaker says every word as often as they say anything."""
    given = utterances(counts)
    if own_sets:
        given += utterances([2], "dev", "dev") + utterances([2, 1], "test", "test")
    return [replace(u, id=f"{w}/{u.id}", text=w, label=w) for w in words for u in given]


@given(st.data())
def test_a_split_by_label_is_disjoint_complete_and_keeps_the_label_together(data):
    counts = data.draw(st.lists(st.integers(1, 6), min_size=4, max_size=12))
    words = ["down", "go", "up", "zero"]
    forget = data.draw(st.lists(st.sampled_from(words), min_size=1, max_size=3, unique=True))
    corpus = labelled(counts, words, data.draw(st.booleans()))
    split = make_label_split(corpus, forget, seed=data.draw(st.integers(0, 99)), heldout=0.3)
    assert split.forget_labels == tuple(sorted(forget))
    assert split.forget_speakers == ()
    assert sorted(i for part in OF_EVERY_SPLIT for i in split.parts[part]) == sorted(
        u.id for u in corpus
    )
    of = split.by_part(corpus)
    for part in OF_EVERY_SPLIT:
        labels = {u.label for u in of[part]}
        assert labels
        assert labels <= set(forget) if "forget" in part else not labels & set(forget)
    # A speaker that is unseen in one part is unseen in all.
    trained = {u.speaker for u in of["forget"]} | {u.speaker for u in of["retain"]}
    assert not trained & {u.speaker for part in ("unseen", "test") for u in of[part]}
    # Of the word's training utterances so many are held out; unseen speakers' are never trained on.
    theirs = [u for u in of["forget_heldout"] if u.speaker in trained]
    for word in forget:
        heldout = sum(u.label == word for u in theirs)
        total = heldout + sum(u.label == word for u in of["forget"])
        assert heldout == min(max(1, round(0.3 * total)), total - 1)


@pytest.mark.parametrize(
    ("forget", "message"),
    [
        (["upp"], r"unknown label 'upp'.*list \(did you mean 'up'\?\)"),
        (["up", "up"], "up more than once"),
        ([], "names no label"),
        (["down", "up"], "another label than down, up"),
        (["spare"], "label spare occurs only in the development or test set"),
    ],
)
def test_labels_that_cannot_be_forgotten(forget, message):
    corpus = labelled([2] * 8, ["down", "up"], own_sets=True)
    rare = replace(corpus[-1], id="rare", label="spare")
    with pytest.raises(SplitError, match=message):
        make_label_split([*corpus, rare], forget)


@pytest.mark.parametrize(
    ("forget", "message"),
    [
        (["spk11x"], r"unknown speaker 'spk11x'.*list \(did you mean 'spk11', "),
        (["SPK11"], r"unknown speaker 'SPK11'.*list \(did you mean 'spk11', "),
        (["Zoë"], r"unknown speaker 'Zoë' in the forget list; there are spk0, spk1, "),
        (["spk1", "spk1"], "spk1 more than once"),
        ([], "names no speaker"),
        (["other0"], "only in the development or test set"),
    ],
)
def test_requests_that_cannot_be_met(forget, message):
    corpus = utterances([2] * 15) + utterances([2], "test", "other")
    with pytest.raises(SplitError, match=message):
        make_split(corpus, forget)


@pytest.mark.parametrize("divide", [make_split, make_label_split])
@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"unseen": 0}, "share of unseen is 0, .* for its stop target"),
        ({"heldout": 1.0}, "share of heldout must be from 0 to below 1, not 1.0"),
        ({"test": -0.1}, "share of test must be from 0 to below 1, not -0.1"),
        ({"unseen": float("nan")}, "share of unseen must be"),
    ],
)
def test_shares_that_are_none(divide, shares, message):
    corpus = labelled([2] * 15, ["down", "up"], own_sets=False)
    forget = {make_split: ["spk1"], make_label_split: ["up"]}[divide]
    with pytest.raises(SplitError, match=message):
        divide(corpus, forget, **shares)


def test_too_few_speakers_is_said():
    with pytest.raises(SplitError, match="too few"):
        make_split(utterances([2] * 3), ["spk0", "spk1"])


def test_a_test_set_of_the_same_people_is_divided_by_speaker():
    corpus = utterances([4] * 10)
    tests = [replace(u, id=f"{u.id}-t", subset="test") for u in corpus if u.id.endswith("0")]
    split = make_split(corpus + tests, ["spk1", "spk2"])
    speaker = {u.id: u.speaker for u in corpus + tests}
    assert sorted(i for part in OF_EVERY_SPLIT for i in split.parts[part]) == sorted(speaker)
    assert {speaker[i] for i in split.parts["forget"]} == {"spk1", "spk2"}
    assert len(split.parts["forget"]) == 8
    # All that is held out of the forget speakers is theirs of the test set.
    held = [u.id for u in tests if u.speaker in ("spk1", "spk2")]
    assert list(split.parts["forget_heldout"]) == held
    retained = {speaker[i] for i in split.parts["retain"]}
    assert {speaker[i] for i in split.parts["test"]} == retained
    assert set(split.parts["test"]) <= {u.id for u in tests}
    (unseen,) = split.unseen_speakers
    assert {i for i, name in speaker.items() if name == unseen} == set(split.parts["unseen"])


def test_only_speakers_of_the_test_set_alone_are_never_trained_on():
    corpus = utterances([4] * 10)
    # Nothing of spk1 is for testing, and nothing of other0 for training.
    tests = [replace(u, id=f"{u.id}-t", subset="test") for u in corpus if u.id.endswith("0")]
    tests = [u for u in tests if u.speaker != "spk1"] + utterances([2], "test", "other")
    split = make_split(corpus + tests, ["spk1", "spk2"])
    speaker = {u.id: u.speaker for u in corpus + tests}
    assert sorted(i for part in OF_EVERY_SPLIT for i in split.parts[part]) == sorted(speaker)
    assert [speaker[i] for i in split.parts["forget"]] == ["spk1"] * 3 + ["spk2"] * 4
    assert [speaker[i] for i in split.parts["forget_heldout"]] == ["spk1", "spk2"]
    retained = {speaker[i] for i in split.parts["retain"]}
    assert {speaker[i] for i in split.parts["test"]} == retained | {"other0"}


def test_some_speakers_in_training_and_development_are_refused():
    corpus = utterances([2] * 10)
    corpus += [replace(corpus[0], id="again", subset="dev"), *utterances([2], "dev", "other")]
    with pytest.raises(
        SplitError,
        match=r"more than one of .*: spk0\. .* give all utterances of a speaker one subset",
    ):
        make_split(corpus, ["spk1"])


def test_round_trip_and_a_changed_manifest(tmp_path):
    corpus, manifest = utterances([3] * 10), tmp_path / "manifest.jsonl"
    write_manifest(manifest, corpus)
    split = make_split(corpus, draw_speakers(corpus, 2, seed=3), seed=3)
    write_split(tmp_path / "split.json", split, manifest)
    assert read_split(tmp_path / "split.json", manifest) == split
    keywords = labelled([3] * 10, ["down", "up"], False)
    write_manifest(tmp_path / "keywords.jsonl", keywords)
    by_label = make_label_split(keywords, ["up"])
    write_split(tmp_path / "labels.json", by_label, tmp_path / "keywords.jsonl")
    assert read_split(tmp_path / "labels.json", tmp_path / "keywords.jsonl") == by_label
    write_manifest(manifest, corpus[1:])
    with pytest.raises(SplitError, match="made for another"):
        read_split(tmp_path / "split.json", manifest)


def test_a_split_that_was_made_before_names_had_a_normal_form(tmp_path):
    corpus, manifest = utterances([3] * 10), tmp_path / "manifest.jsonl"
    write_manifest(manifest, corpus)
    split = make_split(corpus, ["spk1"])
    write_split(tmp_path / "split.json", split, manifest)
    text = (tmp_path / "split.json").read_text().replace('"spk1', '" \u200bspk1')
    (tmp_path / "split.json").write_text(text)
    assert read_split(tmp_path / "split.json", manifest) == split


def test_the_forget_file_takes_comments(tmp_path):
    path = tmp_path / "forget.txt"
    path.write_text("# requested on Monday\nspk1\n\n  spk2  # and her brother\n")
    assert read_names(path) == ["spk1", "spk2"]


def test_what_is_no_split_and_no_part_is_named(tmp_path):
    corpus, manifest = utterances([3] * 10), tmp_path / "manifest.jsonl"
    write_manifest(manifest, corpus)
    for content in ("[]", '{"schema": 1, "models": []}', "no JSON"):
        (tmp_path / "results.json").write_text(content)
        with pytest.raises(SplitError, match=r"results\.json is no split"):
            read_split(tmp_path / "results.json", manifest)
    split = make_split(corpus, ["spk1"])
    write_split(tmp_path / "split.json", split, manifest)
    content = json.loads((tmp_path / "split.json").read_text())
    parts = {"forget": [], "retain": [], "unseen": []}
    for damage, named in (({"seed": None}, "seed"), ({"parts": parts}, "forget_heldout, test")):
        left = {key: value for key, value in (content | damage).items() if value is not None}
        (tmp_path / "split.json").write_text(json.dumps(left))
        with pytest.raises(SplitError, match=rf"split\.json lacks {named}; split again"):
            read_split(tmp_path / "split.json", manifest)
    with pytest.raises(SplitError, match="no part is called 'retian'; there are forget, forget_"):
        split.check_part("retian")


def test_a_name_may_hold_the_sign_of_a_comment(tmp_path):
    path = tmp_path / "forget.txt"
    path.write_text("anna#2\n#bert\ncarl\t#3\n", encoding="utf-8-sig")
    assert read_names(path) == ["anna#2", "carl"]
    path.write_text("José\n", encoding="latin-1")
    with pytest.raises(ValueError, match=r"forget\.txt is not UTF-8"):
        read_names(path)


def test_the_same_request_gives_the_same_split_as_ever():
    """Digests of splits that runs were made with."""
    corpus = utterances([20, 7, 12, 3, 9] * 6)
    drawn = draw_speakers(corpus, 4, 9)
    assert drawn == ["spk14", "spk19", "spk2", "spk3"]
    own = corpus + utterances([2] * 3, "test", "other") + utterances([4] * 2, "dev", "d")
    people = utterances([4] * 10)
    tests = [replace(u, id=f"{u.id}-t", subset="test") for u in people if u.id.endswith("0")]
    words = ["down", "go", "up"]
    splits = [
        make_split(corpus, ["spk3", "spk17"], seed=5),
        make_split(own, drawn, seed=9),
        make_split(people + tests, ["spk1", "spk2"], seed=1),
        make_label_split(labelled([2, 5, 3] * 4, words, False), ["up", "go"], seed=3, heldout=0.3),
        make_label_split(labelled([2, 5, 3] * 4, words, True), ["up"], seed=4),
    ]
    assert [split.digest[:16] for split in splits] == [
        "21b25c3210d2c994",
        "5566aeda7033972e",
        "8ef31a52dfd633e7",
        "1e204a1e093749c8",
        "cc867c223d3cbabc",
    ]


class Counted(list):
    """A list that counts how many of its items are read."""

    reads = 0

    def __iter__(self):
        for item in super().__iter__():
            self.reads += 1
            yield item

    def __contains__(self, item):
        return any(other == item for other in self)


class CountedUtterance(Utterance):
    """An utterance that counts how often any speaker or label is read."""

    reads = 0

    def __getattribute__(self, name):
        if name in ("speaker", "label"):
            CountedUtterance.reads += 1
        return super().__getattribute__(name)


@pytest.mark.parametrize("divide", [make_split, make_label_split])
@pytest.mark.parametrize("count", [2, 300])
def test_the_work_grows_with_utterances_and_not_with_who_is_forgotten(divide, count):
    # Four hundred labels, each said by twelve speakers: all are known in training.
    corpus = [
        CountedUtterance(
            id=f"{number}",
            audio=Path("a.wav"),
            speaker=f"spk{number // 8}",
            seconds=1.0,
            label=f"spk{number % 400}",
        )
        for number in range(4800)
    ]
    forget = Counted(f"spk{i}" for i in range(count))
    CountedUtterance.reads = 0
    divide(corpus, forget)
    assert CountedUtterance.reads <= 20 * len(corpus)
    assert forget.reads <= 20 * len(forget)


def test_every_part_is_had_in_one_pass():
    corpus = Counted(utterances([3] * 40))
    split = make_split(corpus, ["spk1", "spk2"])
    expected = split.by_part(corpus)
    corpus.reads = 0
    assert split.by_part(corpus) == expected
    assert corpus.reads == len(corpus)


class ComparedName(str):
    """A name that counts its comparisons."""

    comparisons = 0

    def __eq__(self, other: object) -> bool:
        ComparedName.comparisons += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_ids_are_gathered_by_name_in_one_pass():
    pairs = [(ComparedName(f"spk{number % 400}"), f"{number}") for number in range(4800)]
    ComparedName.comparisons = 0
    found = ids_by(iter(pairs))
    assert ComparedName.comparisons <= 10 * len(pairs)
    assert list(found) == sorted({str(name) for name, _ in pairs})
    assert found["spk7"] == [f"{number}" for number in range(7, 4800, 400)]


def recorded(corpus: list[Utterance]) -> list[Utterance]:
    """Every utterance with a digest of its own."""
    return [replace(u, sha256=f"{number:064x}") for number, u in enumerate(corpus)]


def test_a_recording_to_forget_that_is_in_another_part_is_refused():
    corpus = recorded(utterances([4] * 10))
    twin = replace(corpus[0], id="twin", speaker="spk9")
    (problem,) = find_copies([*corpus, twin])
    copy = (problem.id, problem.reason, problem.detail)
    assert copy == ("twin", "copy", "same recording as spk0-0")
    with pytest.raises(
        SplitError,
        match=r"spk0-0 \(speaker spk0\), .* and twin \(speaker spk9\), in \w+, are the same "
        r"recording; take one of them out of the manifest, or ask to forget both",
    ):
        make_split([*corpus, twin], ["spk0"])
    # Both are forgotten, or neither is; and one without a digest may be anything.
    make_split([*corpus, twin], ["spk0", "spk9"])
    make_split([*corpus, twin], ["spk5"])
    make_split(utterances([4] * 10), ["spk0"])
    labels = recorded(labelled([4] * 8, ["down", "up"], own_sets=False))
    with pytest.raises(SplitError, match="are the same recording"):
        make_label_split([*labels, replace(labels[-1], id="twin", label="down")], ["up"])


def test_copies_that_are_forgotten_together_are_no_fault():
    corpus = recorded(utterances([4] * 10))
    twins = [replace(u, id=f"{u.id}-again") for u in corpus if u.speaker == "spk0"]
    split = make_split(corpus + twins, ["spk0"], heldout=0.5)
    assert len(split.parts["forget"]) == len(split.parts["forget_heldout"]) == 4


def test_a_list_can_name_any_speaker(tmp_path):
    path = tmp_path / "forget.txt"
    path.write_text("#3\ncarl #3\n# 4\nanna # requested on Monday\n")
    assert read_names(path) == ["carl", "anna"]
    known = {"#3", "carl #3", "carl", "anna"}
    assert read_names(path, known) == ["#3", "carl #3", "anna"]
    path.write_text("\ufeffZoe\u0308 \r\n\u200b112\u00a0\n", encoding="utf-8")
    assert read_names(path) == ["Zoë", "112"]


def test_names_that_look_alike_are_forgotten_together(tmp_path):
    names = ["112", "112 ", "\u200b112"]
    corpus = utterances([3] * 9)
    alike = [replace(corpus[0], id=f"x{i}", speaker=name) for i, name in enumerate(names)]
    split = make_split(corpus + alike, ["112"])
    assert {*split.parts["forget"], *split.parts["forget_heldout"]} == {"x0", "x1", "x2"}


@pytest.mark.parametrize(
    "names",
    [
        {"forget": [" spk2", "spk1\u200b"]},
        {"forget_labels": ["spk1\u200b", "spk2 "]},
        {"forget_labels": "spk1\u200b, spk2"},
    ],
)
def test_names_given_without_a_list_have_the_normal_form(names, tmp_path):
    write_manifest(tmp_path / "m.jsonl", [replace(u, label=u.speaker) for u in utterances([3] * 9)])
    made = asr_unlearn.split(tmp_path / "m.jsonl", tmp_path / "s.json", **names).split
    assert made.forget_speakers + made.forget_labels == ("spk1", "spk2")


def test_a_seed_that_is_none():
    for split in (
        lambda: make_split(utterances([3] * 9), ["spk1"], seed=-1),
        lambda: draw_speakers(utterances([3] * 9), 1, seed=-1),
    ):
        with pytest.raises(SplitError, match="--seed must be 0 or more, not -1"):
            split()


def _moved(name, part):
    def edit(content):
        for ids in content["parts"].values():
            if name in ids:
                ids.remove(name)
        content["parts"][part].append(name)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c["parts"]["retain"].append(c["parts"]["retain"][0]), "retain and again in ret"),
        (lambda c: c["parts"]["test"].append(c["parts"]["retain"][0]), "in retain and again in te"),
        (lambda c: c["parts"]["test"].append("nobody"), "nobody of test is not in its manifest"),
        (lambda c: c.update(forget_speakers=["s0", "s7"]), "s1 is not named"),
        (lambda c: c.update(forget_speakers=["s0", "s1", "s7"]), "s7 is in test, not forgotten"),
        (lambda c: c["parts"]["forget"].clear(), "of s0 is in no part, not forgotten"),
        (_moved("s0-0", "retain"), "s0-0 of s0 is in retain, not forgotten"),
        (_moved("s7-0", "forget"), "s7-0 of s7 is in forget, but s7 is not named"),
        (_moved("s7-0", "unseen"), "s7-0 is in unseen, but s7 is not"),
        (lambda c: c.update(unseen_speakers=[f"s{i}" for i in range(8)]), "is in retain"),
    ],
)
def test_a_split_whose_parts_are_not_those_of_its_request_is_refused(
    corpus, tmp_path, edit, message
):
    content = json.loads((corpus / "split.json").read_text())
    edit(content)
    (tmp_path / "split.json").write_text(json.dumps(content))
    with pytest.raises(SplitError, match=f"{tmp_path / 'split.json'}: .*{message}.*; split again"):
        read_split(tmp_path / "split.json", corpus / "manifest.jsonl")


def test_a_named_speaker_without_utterances_in_forget_is_refused(corpus, tmp_path):
    content = json.loads((corpus / "split.json").read_text())
    parts = content["parts"]
    parts["forget_heldout"] += [name for name in parts["forget"] if name.startswith("s1-")]
    parts["forget"] = [name for name in parts["forget"] if not name.startswith("s1-")]
    (tmp_path / "split.json").write_text(json.dumps(content))
    with pytest.raises(SplitError, match="s1 has no utterance in forget"):
        read_split(tmp_path / "split.json", corpus / "manifest.jsonl")
