"""Every figure that the report shows: its heading, its place in results.json, and its format.

Tables, figures, the terminal table and the README's table all choose from these columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from asr_unlearn.data.split import PARTS
from asr_unlearn.reporting import formats
from asr_unlearn.reporting.comparison import Comparison, Keys
from asr_unlearn.reporting.formats import Form
from asr_unlearn.reporting.quantity import Quantity


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures.

    Attributes:
        heading: above the column.
        keys: path of the figure in results.json.
        form: format of the figure.
        gap: format of its difference from the retrained model's, for figures whose target that is.
        chance: value of a random guess, for figures that have one.
    """

    heading: str
    keys: Keys
    form: Form
    gap: Form | None = None
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class Attack:
    """A membership inference attack: its key in results.json and its name."""

    key: str
    name: str

    @property
    def auc(self) -> Keys:
        return "membership", f"{self.key}_auc"

    def true_positives(self, rate: str) -> Keys:
        """True positive rate at a low false positive rate: "1" or "0_1" percent."""
        return "membership", f"{self.key}_tpr_at_{rate}_percent_fpr"


INFORMED = Attack("informed", "informed")
# From the least to the most that the attack has at hand.
ATTACKS = (
    Attack("loss", "loss"),
    Attack("neighbours", "neighbours"),
    Attack("classifier", "classifier"),
    INFORMED,
    Attack("lira", "LiRA"),
    Attack("rmia", "RMIA"),
    Attack("ulira", "U-LiRA"),
)
# False positive rates, as results.json and as tables write them.
FALSE_POSITIVES = (("1", "1%"), ("0_1", "0.1%"))


def by_part(
    metric: str, heading: str, form: Form, gap: Form, parts: Sequence[str] = PARTS
) -> list[Column]:
    return [
        Column(f"{heading} {formats.PART_NAMES[part]}", (metric, part), form, gap) for part in parts
    ]


def rates(rate: Quantity, parts: Sequence[str] = PARTS) -> list[Column]:
    return by_part(rate.key, rate.heading, formats.percent, formats.points, parts)


def losses(*parts: str) -> list[Column]:
    return by_part("loss", "Loss", formats.number, formats.difference, parts or PARTS)


CER = by_part("cer", "CER", formats.percent, formats.points)
RAW_WER = by_part("raw_wer", "WER", formats.percent, formats.points)
NORMALISED_WER = by_part("normalised_wer", "WER", formats.percent, formats.points)
AUC = [
    Column(f"AUC {attack.name}", attack.auc, formats.number, formats.difference, chance=0.5)
    for attack in ATTACKS
]
ATTACK_SIZES = [
    Column("Pairs", ("membership", "pairs"), formats.count),
    Column("AUC lengths", ("membership", "length_auc"), formats.number),
    Column("Informed by", ("membership", "informed_models"), formats.count),
    Column("Shadow models", ("membership", "shadow_models"), formats.count),
]
TRUE_POSITIVES = [
    Column(
        f"{attack.name[0].upper() + attack.name[1:]}, {text}",
        attack.true_positives(rate),
        formats.percent,
        formats.points,
    )
    for attack in ATTACKS
    for rate, text in FALSE_POSITIVES
]

SPEAKER_MEMBERSHIP = [
    column
    for attack in ATTACKS
    for column in (
        Column(
            f"AUC {attack.name}",
            ("speaker_membership", f"{attack.key}_auc"),
            formats.number,
            formats.difference,
            chance=0.5,
        ),
        Column(f"p {attack.name}", ("speaker_membership", f"{attack.key}_p"), formats.probability),
    )
]
SPEAKER_MEMBERSHIP_SIZES = [
    Column("Forgotten", ("speaker_membership", "members"), formats.count),
    Column("Unseen", ("speaker_membership", "others"), formats.count),
]


UNLEARNED_SHADOWS = [
    Column("AUC U-LiRA", ("membership", "ulira_auc"), formats.number, chance=0.5),
    Column("On the retrained", ("unlearned_shadows", "retrained_auc"), formats.number),
    Column("Most memorised", ("unlearned_shadows", "memorised_auc"), formats.number),
    Column("Of retrained", ("unlearned_shadows", "memorised_retrained_auc"), formats.number),
    Column("Memorised", ("unlearned_shadows", "memorised_utterances"), formats.count),
    Column("KLoM", ("unlearned_shadows", "klom"), formats.number),
    Column("By chance", ("unlearned_shadows", "klom_by_chance"), formats.number),
    Column("Forgetting quality", ("unlearned_shadows", "forgetting_quality"), formats.number),
    Column(
        "Quality by chance", ("unlearned_shadows", "forgetting_quality_by_chance"), formats.number
    ),
    Column("Models", ("unlearned_shadows", "models"), formats.count),
]


def _speaker_id(heading: str, key: str) -> Column:
    return Column(heading, ("speaker_id", key), formats.percent, formats.points)


PROBE = [
    _speaker_id("Probe, forget speakers", "probe_forget"),
    _speaker_id("Probe, retain speakers", "probe_retain"),
]
CHANCE = Column("Chance", ("speaker_id", "chance"), formats.percent)
JUDGE = [
    _speaker_id("Classifier, forget speakers", "judge_forget"),
    _speaker_id("Classifier, retain speakers", "judge_retain"),
    _speaker_id("Classifier, EER", "judge_eer"),
]


def _verification(whose: str, start: str) -> list[Column]:
    similarity = [
        Column(
            f"Similarity {pair}, {whose}",
            ("verification", f"{start}similarity_{pair}"),
            formats.number,
            formats.difference,
        )
        for pair in ("same", "different")
    ]
    keys = ("verification", f"{start}eer")
    return [Column(f"EER, {whose}", keys, formats.percent, formats.points), *similarity]


VERIFICATION = [
    *_verification("unseen speakers", ""),
    *_verification("forget speakers", "forget_"),
]
TRIALS = Column("Trials", ("verification", "trials"), formats.count)

AVERAGE_DIFFERENCE = Column("Avg.D", ("gap_to_retrained", "avg_d"), formats.number)
EMD = Column("EMD", ("divergence", "emd_forget_loss"), formats.number)
KS = [
    Column("KS", ("divergence", "ks_forget_loss"), formats.number),
    Column("KS p", ("divergence", "ks_p"), formats.probability),
]
DIVERGENCES = [
    Column("KL forget", ("divergence", "kl_forget"), formats.number),
    Column("KL test", ("divergence", "kl_test"), formats.number),
]
GUM = Column("GUM", ("gap_to_retrained", "gum"), formats.number)
DISTANCES = [
    AVERAGE_DIFFERENCE,
    Column("ToW", ("gap_to_retrained", "tow"), formats.number),
    GUM,
    EMD,
    *KS,
    *DIVERGENCES,
]
OF_RETRAINING = Column("Of retraining", ("cost", "relative_to_retraining"), formats.times)
PASSES_OF_RETRAINING = Column("Passes", ("cost", "passes_relative_to_retraining"), formats.times)
TIME = replace(OF_RETRAINING, form=formats.percent)  # for sentences
SIZES = [
    Column("Steps", ("steps",), formats.count),
    Column("Peak memory", ("cost", "peak_bytes"), formats.megabytes),
    Column("Parameters", ("parameters",), formats.count),
]


def targets(found: Comparison) -> list[Column]:
    """Figures whose target is the retrained model's own."""
    return [
        *rates(found.rate),
        *losses("forget", "unseen"),
        *AUC,
        *PROBE[:1],
        *JUDGE[:1],
        *(column for column in VERIFICATION if column.keys[1].endswith("eer")),
        *DIVERGENCES,
    ]


def present(columns: Sequence[Column], found: Comparison) -> list[Column]:
    """The columns that any model has a figure for."""
    return [column for column in columns if found.has(*column.keys)]


def defined() -> list[Column]:
    """Every column of this module that has a fixed place in results.json."""
    found = [value for value in globals().values() if isinstance(value, Column)]
    lists = [value for value in globals().values() if isinstance(value, list)]
    return [*found, *(one for each in lists for one in each if isinstance(one, Column))]
