"""The corpus that a command reads, checked against its output."""

from dataclasses import replace
from pathlib import Path

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.replaced import check_recordings
from asr_unlearn.runtime.cache import cache_folder
from asr_unlearn.runtime.outputs import check_apart


def read_corpus(manifest: Path | str, split: Path | str, out: Path) -> Corpus:
    """Return the corpus, with the digests of its recordings and the cache of the output `out`.

    Raises:
        InputError: a file that cannot be used, `out` holds a recording, or a recording was
            replaced since the manifest was made.
    """
    cache = cache_folder(out)
    corpus = Corpus.read(Path(manifest), Path(split), cache)
    if out.is_dir():
        # Folders, of which there are few: a file that may be replaced is no recording.
        check_apart(out, {utterance.audio.parent for utterance in corpus.manifest})
    return replace(corpus, manifest=check_recordings(corpus.manifest, corpus.recordings))
