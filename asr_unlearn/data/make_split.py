"""Draw the parts of a corpus for a deletion request, by speaker or by label."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from asr_unlearn.data.draws import draw_parts, generator, hold_out, ids_by
from asr_unlearn.data.duplicates import check_copies
from asr_unlearn.data.forget_list import SplitError, check_known
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import OF_EVERY_SPLIT, Split

# The corpus' own sets that are never trained on, and the parts they become.
HELD_OUT_SETS = {"dev": "unseen", "test": "test"}


def draw_speakers(utterances: Sequence[Utterance], count: int, seed: int) -> list[str]:
    """Draw a forget list of `count` training speakers.

    Names that begin with "_" are no speakers, for instance the noise of Speech Commands.
    """
    speakers = sorted({u.speaker for u in utterances if u.subset not in HELD_OUT_SETS})
    speakers = [name for name in speakers if not name.startswith("_")]
    if count >= len(speakers):
        raise SplitError(f"cannot forget {count} of {len(speakers)} training speakers")
    chosen = generator(seed, 1).choice(len(speakers), size=count, replace=False)
    return sorted(speakers[i] for i in chosen)


def make_split(
    utterances: Sequence[Utterance],
    forget: Sequence[str],
    *,
    seed: int = 0,
    heldout: float = 0.1,
    unseen: float = 0.1,
    test: float = 0.1,
) -> Split:
    """Divide the corpus for a request to forget the speakers `forget`.

    The corpus' own test set may have other speakers than its training set, or other utterances of
    the same speakers, as in speaker identification. Then the test utterances of the forget speakers
    are their held-out part.

    Args:
        heldout: share of each forget speaker's utterances that is kept from training.
        unseen: share of the other training speakers that is kept from training; not used when
            the corpus has a development set of its own (utterances with the subset "dev").
        test: the same for the test part, and the subset "test".

    Raises:
        SplitError: an unknown or repeated speaker, one that has no training utterances, or so
            few speakers that a part would be empty; a recording to forget that is in another
            part under another id; or an impossible share or seed.
    """
    check_shares(heldout=heldout, unseen=unseen, test=test)
    rng = generator(seed, 0)
    train = [u for u in utterances if u.subset not in HELD_OUT_SETS]
    set_aside = {u.speaker for u in utterances if u.subset in HELD_OUT_SETS}
    check_known("speaker", forget, {u.speaker for u in train}, set_aside)
    wanted = set(forget)
    spared = _tests_of_the_same_people(utterances)
    others = [u for u in utterances if u.id not in spared]
    away = _held_out_speakers(others, wanted, unseen, 0.0 if spared else test, rng)
    tested = {u.speaker for u in utterances if u.id in spared}
    by_speaker = ids_by((u.speaker, u.id) for u in train if u.speaker in wanted)
    shares = [(ids, 0.0 if s in tested else heldout) for s, ids in by_speaker.items()]
    parts = {
        **hold_out(shares, rng),
        "retain": [u.id for u in train if u.speaker not in wanted and u.speaker not in away],
        "unseen": [u.id for u in utterances if away.get(u.speaker) == "unseen"],
        "test": [u.id for u in utterances if away.get(u.speaker) == "test"],
    }
    for utterance in utterances:
        if utterance.id in spared and utterance.speaker not in away:
            part = "forget_heldout" if utterance.speaker in wanted else "test"
            parts[part].append(utterance.id)
    split = Split(
        seed=seed,
        forget_speakers=tuple(sorted(forget)),
        unseen_speakers=_unseen(away),
        parts={part: tuple(parts[part]) for part in OF_EVERY_SPLIT},
    )
    check_copies(split.by_part(utterances))
    return split


def check_shares(**shares: float) -> None:
    """Raises SplitError, naming the part, for a share that is impossible."""
    for part, share in shares.items():
        if not 0 <= share < 1:
            raise SplitError(f"the share of {part} must be from 0 to below 1, not {share}")


def _tests_of_the_same_people(utterances: Sequence[Utterance]) -> set[str]:
    """Utterances of the corpus' own test set whose speakers are in the training set too."""
    train = {u.speaker for u in utterances if u.subset not in HELD_OUT_SETS}
    return {u.id for u in utterances if u.subset == "test" and u.speaker in train}


def make_label_split(
    utterances: Sequence[Utterance],
    forget: Sequence[str],
    *,
    seed: int = 0,
    heldout: float = 0.1,
    unseen: float = 0.1,
    test: float = 0.1,
) -> Split:
    """Divide the corpus for a request to forget the labels `forget`, such as a keyword.

    `heldout` is the share of the training utterances with each label that is kept from training;
    the speakers of `unseen` and `test` are chosen as in `make_split`.

    Raises:
        SplitError: an unknown or repeated label, one or all without training utterances, or too
            few speakers; a recording to forget that is in another part under another id; or an
            impossible share or seed.
    """
    check_shares(heldout=heldout, unseen=unseen, test=test)
    rng = generator(seed, 0)
    away = _held_out_speakers(utterances, set(), unseen, test, rng)
    train = [u for u in utterances if u.speaker not in away]
    set_aside = {u.label for u in utterances if u.label and u.speaker in away}
    check_known("label", forget, {u.label for u in train if u.label}, set_aside)
    wanted = set(forget)
    by_label = ids_by((u.label, u.id) for u in train if u.label and u.label in wanted)
    others = [u for u in utterances if u.label not in wanted]
    parts = {
        **hold_out([(ids, heldout) for ids in by_label.values()], rng),
        "retain": [u.id for u in others if u.speaker not in away],
        "unseen": [u.id for u in others if away.get(u.speaker) == "unseen"],
        "test": [u.id for u in others if away.get(u.speaker) == "test"],
    }
    if not parts["retain"]:
        raise SplitError(f"no training utterance has another label than {', '.join(forget)}")
    parts["forget_heldout"] += [u.id for u in utterances if u.label in wanted and u.speaker in away]
    split = Split(
        seed=seed,
        forget_speakers=(),
        unseen_speakers=_unseen(away),
        parts={part: tuple(parts[part]) for part in OF_EVERY_SPLIT},
        forget_labels=tuple(sorted(forget)),
    )
    check_copies(split.by_part(utterances))
    return split


def _held_out_speakers(
    utterances: Sequence[Utterance],
    trained: Collection[str],
    unseen: float,
    test: float,
    rng: np.random.Generator,
) -> dict[str, str]:
    """The part of every speaker who is never trained on: the corpus' own sets, else a draw.

    Speakers in `trained` are not drawn.
    """
    own = {u.speaker: HELD_OUT_SETS[u.subset] for u in utterances if u.subset in HELD_OUT_SETS}
    train = {u.speaker for u in utterances if u.subset not in HELD_OUT_SETS}
    mixed = {
        u.speaker for u in utterances if HELD_OUT_SETS.get(u.subset or "") != own.get(u.speaker)
    }
    if mixed:
        raise SplitError(
            "speakers in more than one of the training, development and test sets: "
            f"{', '.join(sorted(mixed)[:5])}. Unseen and test speakers must be speakers that the "
            "model is never trained on: give all utterances of a speaker one subset in the "
            'manifest, or none, and the parts "unseen" and "test" are drawn'
        )
    wanted = {"unseen": unseen, "test": test}
    shares = {part: share for part, share in wanted.items() if part not in own.values()}
    return own | draw_parts(sorted(train - set(trained)), shares, rng)


def _unseen(away: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(speaker for speaker, part in away.items() if part == "unseen"))
