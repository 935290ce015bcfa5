"""Tokenizers of a few subwords, as the families beyond wav2vec2's kin have them on the Hub."""

import json

import sentencepiece
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import Unigram
from transformers import (
    LasrTokenizer,
    ParakeetTokenizer,
    PreTrainedTokenizerFast,
    Speech2TextTokenizer,
)

# "▁" begins a word; each letter is a piece of its own too, so that every text can be written.
PIECES = ["▁", "A", "B", "C", "D", "▁A", "▁B", "AB", "▁DA", "CAD"]
SCORES = {piece: -1.0 / len(piece) for piece in PIECES}


def pieces(marks):
    return [*((mark, 0.0) for mark in marks), *SCORES.items()]


def unigram(marks, unknown):
    """A tokenizer of the marks and the pieces, as SentencePiece's are converted."""
    tokenizer = Tokenizer(Unigram(pieces(marks), unk_id=marks.index(unknown)))
    space = {"replacement": "▁", "prepend_scheme": "always"}
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(**space)
    tokenizer.decoder = decoders.Metaspace(**space)
    return tokenizer


def parakeet():
    """Parakeet's and Granite's: the blank is the token of padding."""
    inner = unigram(["<pad>", "<unk>"], "<unk>")
    return ParakeetTokenizer(tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>")


def lasr():
    return LasrTokenizer(vocab=pieces(["<pad>", "</s>", "<unk>"]), extra_ids=0)


def omniasr():
    """OmniASR's: the blank is the token 0, and padding the one after it."""
    inner = unigram(["<s>", "<pad>", "</s>", "<unk>"], "<unk>")
    marks = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return ParakeetTokenizer(tokenizer_object=inner, **marks)


def encoder_decoder():
    """Moonshine's and, converted, Speech2Text's: start, padding, end and unknown."""
    inner = unigram(["<s>", "<pad>", "</s>", "<unk>"], "<unk>")
    marks = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, **marks)


def speech_to_text(folder):
    """Speech2Text's own: a SentencePiece model, and a vocabulary with numbers of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["ab ba", "a cab", "bad cab", "dab a"] * 4),
        model_prefix=str(folder / "pieces"),
        vocab_size=11,
        model_type="unigram",
        minloglevel=2,
    )
    trained = sentencepiece.SentencePieceProcessor(model_file=str(folder / "pieces.model"))
    own = [trained.id_to_piece(i) for i in range(3, len(trained))]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *own]
    vocabulary = folder / "vocabulary.json"
    vocabulary.write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    return Speech2TextTokenizer(
        str(vocabulary), str(folder / "pieces.model"), do_lower_case=True, do_upper_case=True
    )
