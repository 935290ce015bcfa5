"""The data and the runs: split, left-out utterances, versions, options."""

import json
from collections.abc import Mapping

from asr_unlearn.data.split import PARTS
from asr_unlearn.evaluation.results import Results
from asr_unlearn.reporting import formats
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.table import Cell, Row, Table


def split(results: Results) -> Table:
    parts = results.record["split"]["parts"]
    rows = tuple(
        Row(
            formats.PART_NAMES[part],
            (
                Cell(formats.count(parts[part]["utterances"]), "", parts[part]["utterances"]),
                Cell(formats.duration(parts[part]["seconds"]), "", parts[part]["seconds"]),
                Cell(formats.count(parts[part]["speakers"]), "", parts[part]["speakers"]),
            ),
        )
        for part in PARTS
        if part in parts
    )
    if results.record["split"].get("forget_labels"):
        caption = (
            "Forget: training utterances of the classes to be forgotten; held-out: utterances of "
            "these classes that were not trained on; retain: training utterances of all other "
            "classes; unseen and test: utterances of other classes that were not trained on."
        )
    else:
        caption = (
            "Forget: training utterances of the speakers to be forgotten; held-out: their "
            "utterances that were not trained on; retain: training utterances of all other "
            "speakers; unseen: speakers that were not trained on; test: "
            f"{_tested(parts.get('test', {}))}."
        )
    if "forgotten" in parts:
        caption += " Earlier: training utterances of the speakers of earlier requests."
    return Table(
        "Split",
        ("Part", "Utterances", "Speech", "Speakers"),
        rows,
        caption,
    )


def _tested(part: Mapping[str, int]) -> str:
    """Who is in the part test: for a corpus of speaker identification, those who are retained."""
    if not part.get("retain_speakers"):
        return "speakers that were not trained on"
    if part["retain_speakers"] == part["speakers"]:
        return "utterances of the retain speakers that were not trained on"
    return (
        "utterances that were not trained on, "
        f"of {part['retain_speakers']} retain speakers and of others"
    )


def left_out(results: Results) -> Table | None:
    """Reasons for which utterances were left out; None where results.json has none."""
    data = results.record.get("data")
    if not data:
        return None
    reasons = sorted(data["left_out"].items(), key=lambda item: -item[1])
    rows = tuple(
        Row(reason, (Cell(formats.count(number), "", number),)) for reason, number in reasons
    )
    caption = (
        f"{formats.count(data['checked'])} utterances checked, {formats.count(data['kept'])} kept."
    )
    if not rows:
        caption += " None was left out."
    return Table("Left-out utterances", ("Reason", "Utterances"), rows, caption)


def versions(results: Results) -> Table:
    rows = tuple(
        Row(name, (Cell(version),)) for name, version in results.record["versions"].items()
    )
    return Table("Versions", ("Software", "Version"), rows)


def options(found: Comparison) -> Table | None:
    """Options of every model, once for all seeds that share them.

    The path of the original is left out where each seed has its own.
    """
    rows = []
    for entry in found.entries:
        given = [model.record["options"] for model in entry.models if model.record.get("options")]
        shared = len({_plain(options.get("model")) for options in given}) == 1
        texts = dict.fromkeys(
            ", ".join(
                f"{name} = {_plain(value)}"
                for name, value in options.items()
                if shared or name != "model"
            )
            for options in given
        )
        rows += [Row(entry.name, (Cell(text),)) for text in texts]
    if not rows:
        return None
    return Table("Options", ("Model", "Options"), tuple(rows), of_models=True)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
