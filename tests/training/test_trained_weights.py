"""Which weights unlearning changes, as a run records them."""

from asr_unlearn.models.adapters import Lora
from asr_unlearn.training.trained_weights import TrainedWeights
from tests.support import whisper_task


def test_a_run_records_what_it_changes(tmp_path):
    for weights in (
        TrainedWeights(),
        TrainedWeights(front_end=True),
        TrainedWeights(encoder=False),
        TrainedWeights(front_end=False, encoder=False, lora=Lora(r=2, dropout=0.1)),
    ):
        task = whisper_task.build(tmp_path)
        weights.choose(task, seed=0)
        assert TrainedWeights.of(weights.recorded(task)) == weights


def test_new_adapters_are_drawn_from_the_seed(tmp_path):
    def drawn(seed):
        task = whisper_task.build(tmp_path)
        TrainedWeights(lora=Lora(r=2)).choose(task, seed)
        return next(p for n, p in task.model.named_parameters() if "lora_A" in n)

    assert (drawn(0) == drawn(0)).all()
    assert (drawn(0) != drawn(1)).any()
