"""ECAPA-TDNN (Desplanques et al., arXiv 2005.07143): SpeechBrain's modules in transformers' form.

Importing this module registers it with `AutoModelForAudioClassification`.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForAudioClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from asr_unlearn.data.batching import is_own
from asr_unlearn.models.fbank import fbank_frames, make_fbank
from asr_unlearn.runtime.extras import need_extra


class EcapaConfig(PreTrainedConfig):
    """The size of an ECAPA-TDNN; by default that of `speechbrain/spkrec-ecapa-voxceleb`.

    `channels`, `kernel_sizes` and `dilations` have an entry for the first convolution, one for
    each SE-Res2Net block, and one for the convolution that gathers the blocks' outputs.
    """

    model_type = "ecapa-tdnn"

    def __init__(
        self,
        n_mels: int = 80,
        channels: Sequence[int] = (1024, 1024, 1024, 1024, 3072),
        kernel_sizes: Sequence[int] = (5, 3, 3, 3, 1),
        dilations: Sequence[int] = (1, 2, 3, 4, 1),
        attention_channels: int = 128,
        lin_neurons: int = 192,
        res2net_scale: int = 8,
        se_channels: int = 128,
        dropout: float = 0.0,
        logit_scale: float = 30.0,
        **settings: Any,
    ) -> None:
        self.n_mels = n_mels
        self.channels = list(channels)
        self.kernel_sizes = list(kernel_sizes)
        self.dilations = list(dilations)
        self.attention_channels = attention_channels
        self.lin_neurons = lin_neurons
        self.res2net_scale = res2net_scale
        self.se_channels = se_channels
        self.dropout = dropout
        self.logit_scale = logit_scale
        super().__init__(**settings)

    def embedding(self) -> dict[str, Any]:
        """The arguments of SpeechBrain's `ECAPA_TDNN`."""
        names = ["channels", "kernel_sizes", "dilations", "attention_channels", "lin_neurons"]
        names += ["res2net_scale", "se_channels", "dropout"]
        return {"input_size": self.n_mels} | {name: getattr(self, name) for name in names}

    @property
    def reach(self) -> int:
        """Frames on either side that the widest convolution covers."""
        sizes = zip(self.kernel_sizes, self.dilations, strict=True)
        return max(dilation * (kernel - 1) // 2 for kernel, dilation in sizes)


class CosineClassifier(nn.Module):
    """Logits s·cos(embedding, class), as in AAM-softmax (arXiv 1906.07317) with margin 0.

    SpeechBrain's recipe trains with a margin, which is left out: training and unlearning have the
    same loss, cross-entropy (NormFace, arXiv 1704.06369).
    """

    def __init__(self, inputs: int, outputs: int, scale: float) -> None:
        super().__init__()
        self.out_features, self.scale = outputs, scale
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.xavier_uniform_(self.weight)

    def forward(self, embedding: Float[Tensor, "B C"]) -> Float[Tensor, "B V"]:
        return self.scale * F.linear(F.normalize(embedding), F.normalize(self.weight))


class EcapaForAudioClassification(PreTrainedModel):
    """SpeechBrain's log-mel features, its `ECAPA_TDNN`, and a class for each speaker.

    Features and embeddings are those of SpeechBrain's `EncoderClassifier` for single utterances, in
    padded batches too. SpeechBrain's squeeze-and-excitation and pooling leave padding out, but its
    convolutions extend only the longest utterance by its mirror image, and shorter ones by their
    padding. Here every utterance is extended by its own mirror image.

    Batch norm in training mode mixes the utterances of a batch, and counts padding: train on crops
    of one length. In eval mode utterances do not affect each other.
    """

    config_class = EcapaConfig
    base_model_prefix = "ecapa"
    main_input_name = "input_values"

    def __init__(self, config: EcapaConfig) -> None:
        need_extra("speaker", "ECAPA-TDNN")
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
        from speechbrain.nnet.CNN import Conv1d

        super().__init__(config)
        self.ecapa = ECAPA_TDNN(**config.embedding())
        classes = len(config.id2label or ())
        self.classifier = CosineClassifier(config.lin_neurons, classes, config.logit_scale)
        self._frames: Int[Tensor, " B"] | None = None
        for module in self.ecapa.modules():
            if isinstance(module, Conv1d) and module.kernel_size > 1:
                module.register_forward_pre_hook(self._continued)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv1d | nn.BatchNorm1d | CosineClassifier):
            module.reset_parameters()

    @cached_property
    def _fbank(self) -> Any:
        return make_fbank(self.config.n_mels)

    @torch.no_grad()
    def features(
        self, waves: Float[Tensor, "B S"], frames: Int[Tensor, " B"]
    ) -> Float[Tensor, "B T M"]:
        """Log-mel energies [dB] every 10 ms, minus their mean over each utterance."""
        energies: Tensor = self._fbank(waves.float())
        own = is_own(energies.shape[1], frames)[:, :, None]
        mean = (energies * own).sum(1, keepdim=True) / frames[:, None, None]
        return (energies - mean).to(self.dtype)

    def embeddings(
        self, waves: Float[Tensor, "B S"], samples: Int[Tensor, " B"]
    ) -> Float[Tensor, "B C"]:
        """The speaker embedding of each wave; `samples` are the true lengths."""
        frames = fbank_frames(samples)
        features = self.features(waves, frames)
        embeddings: Tensor
        if bool((frames == features.shape[1]).all()):
            embeddings = self.ecapa(features)
            return embeddings[:, 0]
        # The longest utterance needs room for its extension too.
        features = F.pad(features, (0, 0, 0, self.config.reach))
        # SpeechBrain multiplies relative lengths out again and compares frame < length: half a
        # frame keeps rounding from adding a frame.
        lengths = (frames - 0.5) / features.shape[1]
        self._frames = frames
        try:
            embeddings = self.ecapa(features, lengths)
        finally:
            self._frames = None
        return embeddings[:, 0]

    def _continued(self, conv: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        """The input of a convolution, each utterance extended by its mirror image.

        SpeechBrain's blocks do not pass the utterances' lengths to their convolutions.
        """
        return inputs if self._frames is None else (mirrored(inputs[0], self._frames),)

    def forward(
        self,
        input_values: Float[Tensor, "B S"],
        attention_mask: Int[Tensor, "B _"] | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        """Logits of the classes, with the embedding as the only hidden state."""
        length = input_values.shape[1]
        samples = input_values.new_full((len(input_values),), length, dtype=torch.long)
        if attention_mask is not None:
            samples = attention_mask.sum(-1)
        embedding = self.embeddings(input_values, samples)
        return SequenceClassifierOutput(
            logits=self.classifier(embedding), hidden_states=(embedding,)
        )


def mirrored(x: Float[Tensor, "B C T"], frames: Int[Tensor, " B"]) -> Float[Tensor, "B C T"]:
    """x with each utterance extended by its mirror image about its last frame.

    The image's last value fills the rest, which no convolution reaches.
    """
    place = torch.arange(x.shape[-1], device=x.device)
    image = (2 * (frames[:, None] - 1) - place).clamp(min=0)
    place = torch.where(place < frames[:, None], place, image)
    return x.gather(2, place[:, None].expand_as(x))


AutoConfig.register(EcapaConfig.model_type, EcapaConfig)
AutoModelForAudioClassification.register(EcapaConfig, EcapaForAudioClassification)
