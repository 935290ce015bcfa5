"""The forgetting target follows how hard the forget speakers are to recognise."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.data.audio import load_audio
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import MeanScore, UtteranceLoss
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.difficulty import (
    BOUNDS,
    POWER,
    SPREAD,
    difficulty,
    shrunk_difficulty,
)
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.stop_target import OriginalScores, forgetting_target, target_interval
from asr_unlearn.training.unlearn import PARTS_USED
from asr_unlearn.training.unlearning_data import UnlearningData
from tests.support.tiny_training import tiny_task


def losses_of(**by_speaker: list[float]) -> list[UtteranceLoss]:
    return [
        UtteranceLoss(Utterance(id=f"{name}{i}", audio=Path("a"), speaker=name, seconds=1.0), loss)
        for name, own in by_speaker.items()
        for i, loss in enumerate(own)
    ]


def test_a_power_of_the_ratio_of_the_mean_losses():
    assert difficulty(
        losses_of(a=[0.2, 0.0]), losses_of(b=[0.04, 0.06], c=[0.05])
    ) == pytest.approx((0.1 / 0.05) ** POWER)


def test_how_many_utterances_of_a_speaker_are_measured_does_not_matter():
    """A sample of the retain set has one of each speaker, and most are recognised without error."""
    one_each = losses_of(**{f"s{i}": [0.8 if i % 10 == 0 else 0.0] for i in range(50)})
    assert difficulty(losses_of(a=[0.8, *[0.0] * 9]), one_each) == pytest.approx(1)


def test_a_few_speakers_do_not_decide_alone():
    assert difficulty(losses_of(a=[9.0]), losses_of(b=[0.01])) == BOUNDS[1]
    assert difficulty(losses_of(a=[0.0]), losses_of(b=[0.01])) == BOUNDS[0]
    assert difficulty(losses_of(a=[1.0]), losses_of(b=[0.0])) == BOUNDS[1]


@given(st.lists(st.floats(0.01, 1.0), min_size=1), st.floats(0.1, 10.0))
def test_the_scale_of_the_loss_does_not_matter(losses, scale):
    forget, retain = losses_of(a=losses), losses_of(b=[0.1, 0.2], c=[0.3])
    scaled = [losses_of(**{n: [scale * x.loss for x in group]}) for n, group in
              (("a", forget), ("b", retain[:2]), ("c", retain[2:]))]  # fmt: skip
    expected = difficulty(forget, retain)
    assert difficulty(scaled[0], scaled[1] + scaled[2]) == pytest.approx(expected)


def test_a_ratio_that_hangs_on_one_utterance_counts_little():
    forget = losses_of(a=[0.04, 0.05] * 50)
    steady, lucky = (losses_of(b=own) for own in ([0.19, 0.2, 0.21] * 17, [0.0] * 49 + [10.0]))
    raw = difficulty(forget, steady)
    assert raw == pytest.approx(difficulty(forget, lucky), rel=0.01)
    assert shrunk_difficulty(forget, steady) == pytest.approx(raw, rel=0.02)
    assert raw < shrunk_difficulty(forget, lucky)
    # The variance of the mean of one large loss among n is its square.
    assert shrunk_difficulty(forget, lucky) == pytest.approx(
        difficulty(forget, lucky) ** (SPREAD**2 / (SPREAD**2 + POWER**2)), rel=0.01
    )
    assert shrunk_difficulty(losses_of(a=[0.5]), steady) == 1
    assert shrunk_difficulty(losses_of(a=[0.0, 0.0]), steady) == 1


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="forget speakers and others"):
        difficulty([], losses_of(b=[0.1]))


def test_an_error_rate_does_not_rise_above_all():
    assert forgetting_target(MeanScore(0.5, 0.8), 1.5) == MeanScore(0.75, 1.0)


def test_the_interval_is_over_speakers():
    """Of three means 0.1, 0.2 and 0.6: far, but by their spread, whatever the utterances."""
    unseen = losses_of(a=[0.1] * 4, b=[0.2] * 4, c=[0.6] * 4)
    reach = 4.302653 * np.std([0.1, 0.2, 0.6], ddof=1) / 3**0.5 / 0.3
    expected = 0.6 * np.exp(-reach), 0.6 * np.exp(reach)
    assert target_interval(unseen, 2.0) == pytest.approx(expected)
    assert target_interval(unseen[:8], 2.0) is None


def test_an_utterance_with_an_infinite_loss_is_named(corpus, tiny_config):
    data, task = tiny_task(corpus, tiny_config)
    one = data.part("unseen")[0]
    inputs = Inputs(task, load=lambda u: load_audio(u.audio)[: 1_200 if u is one else None])
    parts = UnlearningData.of(task, {part: data.part(part) for part in PARTS_USED})
    with pytest.raises(InputError, match=rf"the original's loss of {one.id} is not finite: "):
        OriginalScores.of(inputs, parts, Stop(), target=True)
