"""The split of a later deletion request, for a model that has been unlearned already."""

from collections.abc import Sequence
from dataclasses import replace

from asr_unlearn.data.draws import generator, hold_out, ids_by
from asr_unlearn.data.duplicates import check_copies
from asr_unlearn.data.forget_list import SplitError, check_known
from asr_unlearn.data.make_split import check_shares
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import Split


def later_split(
    earlier: Split,
    utterances: Sequence[Utterance],
    forget: Sequence[str],
    *,
    heldout: float = 0.1,
) -> Split:
    """Divide a corpus for a request that comes after another one.

    The speakers to forget leave `retain`. Those of the earlier requests are the part "forgotten",
    which is evaluated and no more: neither trained on nor counted as unseen. Their held-out
    utterances are in no part. All other utterances stay where they are.

    Args:
        earlier: the split of the request before.
        utterances: of the manifest.
        forget: speakers of its part `retain`.
        heldout: share of each one's utterances that is kept from training.

    Raises:
        SplitError: the earlier request was for labels; a speaker is unknown, repeated, forgotten
            already or never trained on; nobody is left to retain; a recording to forget is in
            another part under another id; or an impossible share.
    """
    check_shares(heldout=heldout)
    if earlier.forget_labels:
        raise SplitError("a request after one for labels cannot be split off; split anew")
    part_of = {name: part for part, ids in earlier.parts.items() for name in ids}
    retained = [u for u in utterances if part_of.get(u.id) == "retain"]
    gone = {*earlier.forget_speakers, *earlier.forgotten_speakers}
    if again := sorted(gone.intersection(forget)):
        raise SplitError(f"speaker {again[0]} is in an earlier request; name the new ones alone")
    others = {u.speaker for u in utterances} - {u.speaker for u in retained}
    check_known("speaker", forget, {u.speaker for u in retained}, others)
    wanted = set(forget)
    # The corpus' own test set may have their utterances.
    tested = [u for u in utterances if part_of.get(u.id) == "test" and u.speaker in wanted]
    spared = {u.speaker for u in tested}
    by_speaker = ids_by((u.speaker, u.id) for u in retained if u.speaker in wanted)
    shares = [(ids, 0.0 if s in spared else heldout) for s, ids in by_speaker.items()]
    held = hold_out(shares, generator(earlier.seed, 5 + len(earlier.forgotten_speakers)))
    retain = [u.id for u in retained if u.speaker not in wanted]
    if not retain:
        raise SplitError("nobody would be left to retain")
    tests = {u.id for u in tested}
    parts = {
        "forget": held["forget"],
        "forget_heldout": [*held["forget_heldout"], *sorted(tests)],
        "retain": retain,
        "unseen": earlier.parts["unseen"],
        "test": [name for name in earlier.parts["test"] if name not in tests],
        "forgotten": [*earlier.parts.get("forgotten", ()), *earlier.parts["forget"]],
    }
    split = replace(
        earlier,
        forget_speakers=tuple(sorted(forget)),
        forgotten_speakers=tuple(sorted(gone)),
        parts={part: tuple(ids) for part, ids in parts.items()},
        salt="",
    )
    check_copies(split.by_part(utterances))
    return split
