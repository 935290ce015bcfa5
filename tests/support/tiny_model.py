"""Models of a few thousand parameters, for tests of everything but accuracy."""


def tiny_options():
    return {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": (8, 8, 8),
        "conv_kernel": (40, 8, 4),
        "conv_stride": (20, 8, 2),
        "num_feat_extract_layers": 3,
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
        "layerdrop": 0.0,
    }


def tiny_whisper_options():
    """An encoder with a window of one second, and weights large enough for transcripts."""
    return {
        "d_model": 16,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "num_mel_bins": 20,
        "max_source_positions": 50,
        "max_target_positions": 24,
        "init_std": 0.8,
    }


def tiny_ecapa_options():
    return {
        "n_mels": 12,
        "channels": [16, 16, 16, 16, 24],
        "attention_channels": 8,
        "lin_neurons": 10,
        "res2net_scale": 4,
        "se_channels": 8,
    }


def tiny_tdnn_options():
    return {"n_mels": 12, "hidden_size": 16, "num_hidden_layers": 2, "kernel_size": 5}
