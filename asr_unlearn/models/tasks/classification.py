"""Classification of keywords or speakers: one label for a whole utterance."""

import re
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from asr_unlearn.data.batching import Batch
from asr_unlearn.data.labels import label_of
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.front_ends.choice import front_end_for
from asr_unlearn.models.front_ends.ecapa_features import FbankFrontEnd
from asr_unlearn.models.tasks.confidence import ScoredBatch, certainty
from asr_unlearn.models.tasks.task import Task, check_labels, layers_of
from asr_unlearn.runtime.errors import InputError


class Classification(Task):
    """A classifier and its feature extractor: what `AutoModelForAudioClassification` loads.

    wav2vec2, HuBERT, WavLM and similar models, Whisper's encoder, the audio spectrogram
    transformer, and ECAPA-TDNN. The prediction is the name of the likeliest class, and the error
    rate is one minus accuracy.
    """

    one_label = True

    def __init__(
        self, model: PreTrainedModel, processor: Any, device: torch.device | None = None
    ) -> None:
        extractor = getattr(processor, "feature_extractor", processor)
        super().__init__(model, processor, front_end_for(model, extractor), device)

    def target(self, utterance: Utterance) -> Int[Tensor, " labels"]:
        """The index of the utterance's class, [1].

        Raises:
            InputError: the model has no such class, or no output for it.
        """
        classes: Any = self.model.config.label2id
        label = label_of(utterance)
        if label not in classes:
            nameless = all(re.fullmatch(r"LABEL_\d+", name) for name in classes)
            hint = "; set id2label and label2id in its config to the speakers" if nameless else ""
            raise InputError(
                f"utterance {utterance.id}: the model has no class {label!r}; "
                f"its {len(classes)} are {', '.join(sorted(classes)[:10])} …{hint}"
            )
        # Some configs have the numbers as texts.
        number = int(classes[label])
        outputs = len(output_layer(self.model).weight)
        check_labels(utterance, [number], outputs, source="label2id")
        return torch.tensor([number])

    def written_reference(self, utterance: Utterance) -> str:
        return label_of(utterance)

    def logits(self, batch: Batch) -> Float[Tensor, "B V"]:
        """Unnormalised log-probabilities of the classes."""
        logits: Tensor = self.output(batch).logits
        return logits

    def losses_from_logits(self, logits: Float[Tensor, "B V"], batch: Batch) -> Float[Tensor, " B"]:
        """Cross-entropy of each utterance."""
        return F.cross_entropy(logits.float(), batch.targets[:, 0], reduction="none")

    def distributions_from_logits(
        self, logits: Float[Tensor, "B V"], batch: Batch
    ) -> tuple[Float[Tensor, "B 1 V"], Bool[Tensor, "B 1"]]:
        """Log-probabilities of the classes; there is one true frame."""
        log_probabilities = logits.float().log_softmax(-1)[:, None]
        return log_probabilities, torch.ones_like(log_probabilities[:, :, 0], dtype=torch.bool)

    def fits(self, target: Int[Tensor, " labels"], samples: int) -> bool:
        """An utterance of any length can have any label."""
        return True

    def _of(self, model: PreTrainedModel) -> "Classification":
        return Classification(model, self.processor)

    def layers(self) -> list[nn.Module]:
        """The transformer's layers, the projection of its states and the classifier.

        For ECAPA-TDNN its blocks, their pooling, the embedding and the classifier.
        """
        model: Any = self.model
        backbone: Any = model.base_model
        if isinstance(self.front_end, FbankFrontEnd):
            pooling = nn.ModuleList([backbone.mfa, backbone.asp, backbone.asp_bn])
            return [*backbone.blocks, pooling, backbone.fc, model.classifier]
        # The spectrogram transformer has no projection.
        heads = [name for name in ("projector", "classifier") if hasattr(model, name)]
        return layers_of(self.model, *heads)

    def embeddings(self, batch: Batch) -> Float[Tensor, "B C"]:
        """The input of the last layer: an ECAPA-TDNN's embedding, else the pooled projection."""
        given: list[Tensor] = []
        head = output_layer(self.model)
        listening = head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        try:
            self.logits(batch)
        finally:
            listening.remove()
        return given[0]

    def score(self, batch: Batch) -> ScoredBatch:
        """Losses, the names of the likeliest classes, and certainty."""
        logits = self.logits(batch)
        names: Any = self.model.config.id2label
        predictions = [names[i] for i in logits.argmax(-1).tolist()]
        sure = certainty(*self.distributions_from_logits(logits, batch))
        return ScoredBatch(self.losses_from_logits(logits, batch), predictions, sure)


def output_layer(model: PreTrainedModel) -> Any:
    """The layer that gives the logits; some classifiers have a norm before it."""
    head: Any = getattr(model, "classifier")  # noqa: B009
    return getattr(head, "dense", head)
