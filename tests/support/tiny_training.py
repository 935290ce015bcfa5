"""A run of any method on the tiny corpus."""

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.methods import METHODS
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.tasks import CTC
from asr_unlearn.models.tasks.compute import FULL
from asr_unlearn.training.preparation import Preparation
from asr_unlearn.training.trainer import Training


def tiny_task(corpus, config, make_task=CTC, compute=FULL):
    """The tiny corpus, and a fresh model of it."""
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    model, processor = model_from_config(str(config), alphabet_of(data.manifest), seed=0)
    task = make_task(model, processor)
    task.compute = compute
    return data, task


def tiny_run(
    data, task, folder, name, *, stop=None, changes=(), known=None, protected=(), **options
):
    """A method on a model, a checkpoint after each step."""
    method, model = METHODS[name](**options), task.model
    # A base near the model, for methods that need one.
    base = {n: 0.9 * p.detach() for n, p in model.named_parameters()} if method.needs_base else {}
    return Training(
        task,
        method,
        {part: data.part(part) for part in method.parts},
        Inputs(task),
        folder,
        seed=1,
        prepared=Preparation(
            stop=stop,
            checked=data.part("forget"),
            known=known or {},
            base=base,
            protected=protected,
        ),
        changes=changes,
        checkpoint_seconds=0.0,
    )


def tiny_training(corpus, config, folder, name, *, make_task=CTC, compute=FULL, **options):
    """A method on a fresh model; the other options are those of `tiny_run` and of the method."""
    return tiny_run(*tiny_task(corpus, config, make_task, compute), folder, name, **options)
