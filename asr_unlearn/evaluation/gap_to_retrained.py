"""How far a model is from the one that was retrained without the forget speakers."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.evaluation.error_rates import paired
from asr_unlearn.evaluation.predictions import Row, divergence
from asr_unlearn.evaluation.results import ORIGINAL, RETRAINED
from asr_unlearn.metrics.divergence import earth_mover, kolmogorov_smirnov
from asr_unlearn.metrics.gum import gum
from asr_unlearn.models.saved_model import SavedModel

DIVERGENCE_PARTS = ("forget", "test")


def divergence_from_retrained(
    retrained: SavedModel,
    model: SavedModel,
    rows: Mapping[str, Sequence[Row]],
    corpus: Corpus,
    *,
    device: torch.device,
) -> dict[str, float]:
    """Return the distances between the two models' losses and between their distributions.

    Args:
        rows: rows of the two models, under the keys "retrained" and "model".

    Returns:
        "emd_forget_loss", the earth mover's distance of the forget losses in nats;
        "ks_forget_loss" and "ks_p", the statistic and p of the Kolmogorov-Smirnov test on them; and
        "kl_forget" and "kl_test", KL(retrained ‖ model) in nats: mean over frames or tokens, then
        over utterances. The KLs are absent where the two models cannot be compared, the others
        where they have no forget utterance in common, as where the retrained one lacks the class.
    """
    evaluated = {row["part"] for row in rows["model"]}
    parts = {part: corpus.part(part) for part in DIVERGENCE_PARTS if part in evaluated}
    return _of_losses(rows) | _mean_divergence(retrained, model, parts, device)


def _of_losses(rows: Mapping[str, Sequence[Row]]) -> dict[str, float]:
    """Distances of the forget losses of the utterances that both models have."""
    pairs = paired(rows["model"], rows["retrained"], "forget")
    if not pairs:
        return {}
    losses, expected = ([row["loss"] for row in each] for each in zip(*pairs, strict=True))
    speakers = [own["speaker"] for own, _ in pairs]
    statistic, p = kolmogorov_smirnov(losses, expected, speakers)
    distance = earth_mover(losses, expected)
    return {"emd_forget_loss": distance, "ks_forget_loss": statistic, "ks_p": p}


def add_gum(entries: Sequence[dict[str, Any]]) -> None:
    """Give each unlearned model's gap to the retrained model of its seed the metric GUM.

    It is left out where the original or the retrained model is lacking, or what it is made of.
    """
    of = {(entry["name"], entry["seed"]): entry for entry in entries}
    for entry in entries:
        seed = entry["seed"]
        original, retrained = of.get((ORIGINAL, seed)), of.get((RETRAINED, seed))
        if "unlearn_seconds" not in entry or original is None or retrained is None:
            continue
        aucs = [e.get("membership", {}).get("loss_auc") for e in (entry, original, retrained)]
        right = [_right_on_test(e) for e in (entry, retrained)]
        if None in (*aucs, *right, retrained.get("seconds")):
            continue
        found = gum(
            right=right[0],
            right_retrained=right[1],
            auc=aucs[0],
            auc_original=aucs[1],
            auc_retrained=aucs[2],
            seconds=entry["unlearn_seconds"],
            seconds_retrained=retrained["seconds"],
        )
        if found is not None:
            entry["gap_to_retrained"]["gum"] = found


def _right_on_test(entry: Mapping[str, Any]) -> Any:
    """1 − WER on the part test, or the accuracy; None without that part."""
    if "wer" in entry:
        wrong = entry["wer"].get("test")
        return None if wrong is None else 1 - wrong
    return entry["accuracy"].get("test")


def _mean_divergence(
    retrained: SavedModel,
    model: SavedModel,
    parts: Mapping[str, Sequence[Utterance]],
    device: torch.device,
) -> dict[str, float]:
    """KL(retrained ‖ model) by part; empty where the models cannot be compared."""
    each = divergence(retrained, model, [u for us in parts.values() for u in us], device=device)
    if each is None:
        return {}
    return {
        # Rounding may put what is zero below it. A NaN stays one, which results.json refuses.
        f"kl_{part}": max(sum(each[u.id] for u in utterances) / len(utterances), 0.0)
        for part, utterances in parts.items()
        if utterances
    }
