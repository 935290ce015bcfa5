"""A training that is killed on its way."""

import pytest


class KilledError(Exception):
    pass


def run_until_killed(run, at):
    """Run until it is killed after step `at`; a run that ends before that fails the test."""
    step = run._step

    def dying(bar):
        if run.progress.step == at:
            raise KilledError
        step(bar)

    run._step = dying
    with pytest.raises(KilledError):
        run()
