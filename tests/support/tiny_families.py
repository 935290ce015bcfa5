"""Tiny configs of every supported family."""

from copy import deepcopy

from transformers import AutoConfig

from tests.support.tiny_model import (
    tiny_ecapa_options,
    tiny_options,
    tiny_tdnn_options,
    tiny_whisper_options,
)

ENCODER = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
CONFORMER = ENCODER | {"conv_kernel_size": 5, "num_mel_bins": 16, "subsampling_conv_channels": 8}
VOCABULARY = 12
# Of the families beyond wav2vec2's kin, Whisper and our own.
OPTIONS = {
    "wav2vec2-bert": ENCODER
    | {
        "feature_projection_input_dim": 32,
        "conv_depthwise_kernel_size": 5,
        "left_max_position_embeddings": 6,
        "classifier_proj_size": 8,
        "vocab_size": VOCABULARY,
        "pad_token_id": 0,
    },
    "parakeet_ctc": {
        "encoder_config": CONFORMER | {"subsampling_factor": 4},
        "vocab_size": VOCABULARY,
        "pad_token_id": 0,
    },
    "lasr_ctc": {"encoder_config": CONFORMER, "vocab_size": VOCABULARY},
    "granite_speech5_ctc": {
        "encoder_config": ENCODER
        | {
            "conv_kernel_size": 5,
            "num_mel_bins": 16,
            "vocab_size": VOCABULARY,
            # Shorter than the utterances, so that there are several blocks.
            "context_size": 8,
            "max_position_embeddings": 16,
            "subsample_layers": [0],
        },
        "vocab_size": VOCABULARY,
    },
    "omniasr_ctc": {
        "audio_config": ENCODER
        | {
            "conv_dim": (8, 8, 8),
            "conv_kernel": (40, 8, 4),
            "conv_stride": (20, 8, 2),
            "num_conv_pos_embeddings": 4,
            "num_conv_pos_embedding_groups": 2,
        },
        "vocab_size": VOCABULARY,
    },
    "audio-spectrogram-transformer": ENCODER
    | {"max_length": 100, "num_mel_bins": 16, "patch_size": 8},
    "moonshine": {
        "hidden_size": 16,
        "intermediate_size": 32,
        "encoder_num_hidden_layers": 2,
        "decoder_num_hidden_layers": 2,
        "encoder_num_attention_heads": 2,
        "decoder_num_attention_heads": 2,
        "max_position_embeddings": 24,
        "vocab_size": 14,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 0,
    },
    "speech_to_text": {
        "d_model": 16,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "conv_channels": 8,
        "input_feat_per_channel": 16,
        "max_source_positions": 200,
        "max_target_positions": 24,
        "vocab_size": 14,
    },
}


def tiny_family(kind, **changes):
    """The tiny config of a family, with changes to its own settings."""
    return AutoConfig.for_model(kind, **deepcopy(OPTIONS[kind]) | changes)


SIZES = {
    "whisper": tiny_whisper_options,
    "ecapa-tdnn": tiny_ecapa_options,
    "tdnn": tiny_tdnn_options,
}


def tiny_config(kind):
    """The tiny config of any supported family."""
    if kind in OPTIONS:
        return tiny_family(kind)
    sizes = SIZES.get(kind, tiny_options)()
    if kind not in SIZES:
        sizes |= {"classifier_proj_size": 8}
    if kind == "data2vec-audio":
        sizes["conv_pos_kernel_size"] = 7
    if kind.startswith("sew"):
        sizes["squeeze_factor"] = 2
    return AutoConfig.for_model(kind, **sizes)
