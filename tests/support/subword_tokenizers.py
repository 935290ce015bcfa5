"""Tokenizers of a few subwords, as the families beyond wav2vec2's kin have them on the Hub."""

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import Unigram
from transformers import LasrTokenizer, ParakeetTokenizer, PreTrainedTokenizerFast

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
