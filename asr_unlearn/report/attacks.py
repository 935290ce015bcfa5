"""The membership attacks of results.json, in the order of what the attacker knows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack: its key in results.json, its name in tables, and by what it tells people apart.

    `means` takes the number of models that the attacker has, which stands at `models`.
    """

    key: str
    name: str
    means: str
    models: str | None = None

    @property
    def auc(self) -> tuple[str, str]:
        return "membership", f"{self.key}_auc"

    def true_positives(self, rate: str) -> tuple[str, str]:
        """Where the share found at few false alarms stands; `rate` is "1" or "0_1" percent."""
        return "membership", f"{self.key}_tpr_at_{rate}_percent_fpr"


INFORMED = Attack(
    "informed",
    "informed",
    "by an informed attacker, who has {} models that forgot others in the same way",
    "informed_models",
)
ATTACKS = (
    Attack("loss", "loss", "by the loss alone"),
    Attack("classifier", "classifier", "by a classifier on loss and confidence"),
    INFORMED,
    Attack("lira", "LiRA", "by LiRA with {} shadow models", "shadow_models"),
    Attack("rmia", "RMIA", "by RMIA with {} shadow models", "shadow_models"),
)
# False alarms at which the share found is reported, as results.json and as a reader writes it.
ALARMS = (("1", "1%"), ("0_1", "0.1%"))
