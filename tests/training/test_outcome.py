"""How runs end, and the errors that end them."""

import pickle

from asr_unlearn.models.inference import MeanScore
from asr_unlearn.training.outcome import NothingUnlearnedError


def test_an_error_comes_back_from_another_process():
    error = NothingUnlearnedError("nothing was unlearned", MeanScore(0.25, None))
    found = pickle.loads(pickle.dumps(error))
    assert (str(found), found.target) == (str(error), error.target)
