"""A run of any method on the tiny corpus."""

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.methods import METHODS
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.tasks import CTC
from asr_unlearn.models.tasks.compute import FULL
from asr_unlearn.training.trainer import Training


def tiny_training(
    corpus,
    config,
    folder,
    name,
    *,
    make_task=CTC,
    stop=None,
    changes=(),
    known=None,
    protected=(),
    compute=FULL,
    **options,
):
    """A method on a fresh model, a checkpoint after each step."""
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    model, processor = model_from_config(str(config), alphabet_of(data.manifest), seed=0)
    task = make_task(model, processor)
    task.compute = compute
    method = METHODS[name](**options)
    # A base near the model, for methods that need one.
    base = {n: 0.9 * p.detach() for n, p in model.named_parameters()} if method.needs_base else None
    return Training(
        task,
        method,
        {part: data.part(part) for part in method.parts},
        Inputs(task),
        folder,
        seed=1,
        stop=stop,
        checked=data.part("forget"),
        changes=changes,
        known=known,
        base=base,
        protected=protected,
        checkpoint_seconds=0.0,
    )
