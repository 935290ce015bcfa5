"""The rate of a task: word error rate of transcripts, accuracy of classes."""

from dataclasses import dataclass

from asr_unlearn.evaluation.results import Results


@dataclass(frozen=True, slots=True)
class Quantity:
    """A rate that is measured on every part, as a fraction; a word error rate can pass 1.

    Attributes:
        key: in results.json.
        name: inside a sentence.
        title: in full.
        is_error: whether lower is better.
        checked: the error that the stopping rule checks beside the loss.
    """

    key: str
    name: str
    title: str
    is_error: bool
    checked: str

    @property
    def heading(self) -> str:
        return self.name[0].upper() + self.name[1:]

    def of_errors(self, share: float) -> float:
        """The rate of a group, from the share of its words or utterances that is wrong."""
        return share if self.is_error else 1 - share

    def harm(self, gap: float) -> float:
        """A difference with the sign that makes more worse."""
        return gap if self.is_error else -gap


WER = Quantity("wer", "WER", "Word error rate", True, "CER")
ACCURACY = Quantity("accuracy", "accuracy", "Accuracy", False, "error rate")
OF_TASK = {"ctc": WER, "seq2seq": WER, "classification": ACCURACY}


def quantity(results: Results) -> Quantity:
    """The rate of the results' task; results that name no task hold transcripts."""
    return OF_TASK[results.record.get("task", "ctc")]
