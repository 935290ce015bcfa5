"""The card of a published model: what the Hub reads, what a person reads, and nobody's name."""

import pytest
from huggingface_hub import ModelCard

from asr_unlearn.cli.main import main
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.data.split_file import read_split
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.training.model_card import inherited


@pytest.fixture(scope="module")
def folder(corpus, tiny_config, tmp_path_factory):
    out = tmp_path_factory.mktemp("cards")
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    main(["train", *data, "--model", str(tiny_config), "--out", str(out / "original"),
          "--finetune.epochs", "1"])  # fmt: skip
    card = ModelCard.load(out / "original" / "README.md")
    card.data.license, card.data.base_model = "mit", "somebody/base"
    card.save(out / "original" / "README.md")
    method = ["--method", "gradient_ascent", "--method.epochs", "1", "--stop.rule", "steps"]
    main(["unlearn", *data, "--model", str(out / "original"), "--out", str(out / "forgotten"),
          *method])  # fmt: skip
    return out


def test_the_licence_and_the_base_are_passed_on(folder):
    data = ModelCard.load(folder / "forgotten" / "README.md").data
    assert (data.license, data.base_model) == ("mit", "somebody/base")
    assert data.pipeline_tag == "automatic-speech-recognition"
    assert data.tags == ["asr_unlearn", "machine-unlearning"]
    assert ModelCard.load(folder / "original" / "README.md").data.tags == ["asr_unlearn"]


def test_it_says_how_the_model_was_made_and_names_nobody(folder, corpus):
    text = (folder / "forgotten" / "README.md").read_text()
    run = SavedModel.at(folder / "forgotten").run()
    for said in (run["command"], run["request"], run["stopped"], "gradient\\_ascent",
                 SavedModel.at(folder / "original").weights()["model.safetensors"]):  # fmt: skip
        assert said in text
    utterances = read_manifest(corpus / "manifest.jsonl")
    split = read_split(corpus / "split.json", corpus / "manifest.jsonl", utterances)
    words = set(text.replace("|", " ").replace("`", " ").split())
    forgotten = set(split.forget_speakers)
    assert forgotten
    assert not words & (forgotten | {u.id for u in utterances})
    assert not [u.text for u in utterances if u.text in text]
    assert str(folder) not in text


def test_what_a_source_without_a_readable_card_passes_on(tmp_path):
    assert inherited("openai/whisper-tiny") == {"base_model": "openai/whisper-tiny"}
    assert inherited("recipes/an4/model") == {}
    assert inherited(tmp_path) == {}
    (tmp_path / "README.md").write_text("---\n: [\n---\n")
    assert inherited(tmp_path) == {}
    (tmp_path / "README.md").write_text("no data")
    assert inherited(tmp_path) == {}
