"""A published model goes to the Hub with its card, and without its records."""

import pytest
from huggingface_hub import HfApi

from asr_unlearn.cli.main import main
from asr_unlearn.models import hub as models_hub
from asr_unlearn.models.hub import check_push, push
from asr_unlearn.runtime.errors import InputError
from tests.support.hub import hub


@pytest.fixture
def there(monkeypatch):
    """A Hub that huggingface_hub talks to, with a token of this test."""
    with hub() as (kept, address):
        monkeypatch.setattr(models_hub, "HfApi", lambda: HfApi(endpoint=address, token="hf_x"))
        monkeypatch.setattr(models_hub, "get_token", lambda: "hf_x")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield kept


def test_a_model_and_its_card_are_sent(there, corpus, tiny_config, tmp_path):
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    out = tmp_path / "original"
    argv = ["train", *data, "--model", str(tiny_config), "--finetune.epochs", "1"]
    main([*argv, "--out", str(out), "--push_to_hub", "me/original"])
    argv = ["unlearn", *data, "--model", str(out), "--method", "gradient_ascent"]
    argv += ["--stop.rule", "steps", "--method.epochs", "1", "--out", str(tmp_path / "forgotten")]
    main([*argv, "--push_to_hub", "me/forgotten"])
    assert there.repositories.keys() == {"me/original", "me/forgotten"}
    for asked in there.repositories.values():
        # By the version of huggingface_hub.
        assert asked.get("private") is True or asked.get("visibility") == "private"
    assert there.tokens == {"Bearer hf_x"}
    for name, folder in (("me/original", out), ("me/forgotten", tmp_path / "forgotten")):
        sent = {file: content for (where, file), content in there.files.items() if where == name}
        assert {"model.safetensors", "config.json", "README.md", "vocab.json"} <= sent.keys()
        assert not sent.keys() & {"run.json", "metrics.jsonl", "deletion_record.json"}
        assert all((folder / file).read_bytes() == content for file, content in sent.items())


def test_a_refusal_names_the_remedy_and_keeps_the_model(there, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    there.refuses = True
    with pytest.raises(InputError, match=f"{tmp_path} is complete, but was not sent .*hf upload"):
        push(tmp_path, "me/model")
    assert (tmp_path / "config.json").is_file()


def test_a_hub_out_of_reach_is_named(monkeypatch, tmp_path):
    api = HfApi(endpoint="http://127.0.0.1:9", token="hf_x")
    monkeypatch.setattr(models_hub, "HfApi", lambda: api)
    with pytest.raises(InputError, match="was not sent to the Hub"):
        push(tmp_path, "me/model")


def test_names_and_tokens_are_checked_before_work_begins(monkeypatch, corpus, tmp_path):
    monkeypatch.setattr(models_hub, "get_token", lambda: None)
    with pytest.raises(InputError, match="no token of the Hub is known; log in by"):
        check_push("me/model")
    with pytest.raises(InputError, match="--push_to_hub a/b/c"):
        check_push("a/b/c")
    check_push(None)
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    argv = ["train", *data, "--model", "x", "--out", str(tmp_path / "x")]
    with pytest.raises(InputError, match="no token of the Hub"):
        main([*argv, "--push_to_hub", "me/model"])
