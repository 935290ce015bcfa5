"""What tells how well a task is done: the word error rate of transcripts, the accuracy of classes.

Chosen once, from the `task` that results.json names; tables, plots and words ask the quantity.
"""

from dataclasses import dataclass

from asr_unlearn.evaluation.results import Results


@dataclass(frozen=True, slots=True)
class Quantity:
    """A share that every part has; that of wrong words can pass 1.

    Attributes:
        key: where a model of results.json has it.
        name: inside a sentence.
        title: in full.
        is_error: whether less of it is better.
        said: what a model does with the forget speakers; takes the figure.
        checked: the error beside the loss that the stop rule looks at.
    """

    key: str
    name: str
    title: str
    is_error: bool
    said: str
    checked: str

    @property
    def heading(self) -> str:
        return self.name[0].upper() + self.name[1:]

    def of_errors(self, share: float) -> float:
        """The figure of a group, from the share of its words or classes that is wrong."""
        return share if self.is_error else 1 - share

    def harm(self, gap: float) -> float:
        """A difference turned so that more is always worse."""
        return gap if self.is_error else -gap


WER = Quantity("wer", "WER", "Word error rate", True, "has a WER of {} on them", "CER")
ACCURACY = Quantity(
    "accuracy", "accuracy", "Accuracy", False, "gets {} of their utterances right", "error rate"
)
OF_TASK = {"ctc": WER, "seq2seq": WER, "classification": ACCURACY}


def quantity(results: Results) -> Quantity:
    """That of the results' task; results that name none are of transcripts."""
    return OF_TASK[results.record.get("task", "ctc")]
