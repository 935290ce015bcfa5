"""Every code block of the documentation: commands are parsed by their programs, Python is run."""

import argparse
import importlib
import re
import shutil
from pathlib import Path

import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from asr_unlearn import Stop, unlearn
from asr_unlearn.cli import commands as subcommands
from asr_unlearn.cli import main, prepare
from asr_unlearn.cli.recipe import read_recipe
from asr_unlearn.cli.run_recipe import check, make_plan, parser
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.forget_list import read_names
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.models.processors import character_processor
from tests.support.pages import DOCS, ROOT, block_of, blocks, commands
from tests.support.tiny_model import tiny_options

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
PAGES += [*sorted((ROOT / "recipes").glob("*/*.md")), ROOT / "benchmarks" / "README.md"]
# Each has a test below that runs or reads its blocks.
LANGUAGES = {"bash", "python", "json", "text"}


def understand_recipe(words, monkeypatch):
    """Parse a recipe's flags, and every command that follows from them."""
    folder = ROOT / Path(words[0]).parent
    recipe = read_recipe(folder / "recipe.yaml")
    given = parser(recipe, folder).parse_args(words[1:])
    # No name of the Hub can be asked what kind of model it is of.
    task = "seq2seq" if "whisper" in (given.model or "") + str(given.preset) else None
    kind = task or recipe.finetune.get("task") or "ctc"
    monkeypatch.setattr("asr_unlearn.cli.run_recipe.read_config", lambda _: None)
    monkeypatch.setattr("asr_unlearn.cli.run_recipe.task_of", lambda _: kind)
    for command in make_plan(recipe, folder, given).commands():
        check(command)


class ParsedError(Exception):
    """Raised in place of the work that would follow."""


def understand_preparation(words, monkeypatch):
    """Parse the flags of a module of data_prep, benchmarks or CTranslate2."""
    parse = argparse.ArgumentParser.parse_args

    def parsed(self, arguments=None, namespace=None):
        raise ParsedError(parse(self, arguments, namespace))

    with monkeypatch.context() as patched:
        patched.setattr(argparse.ArgumentParser, "parse_args", parsed)
        patched.setattr("sys.argv", words)
        patched.setattr("asr_unlearn.runtime.program.run_program", lambda _, work, **__: work())
        with pytest.raises(ParsedError):
            importlib.import_module(words[0]).main()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_is_understood(page, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(block_of("extending.md", "class Mine"))
    monkeypatch.chdir(tmp_path)
    for words in commands(page):
        if "asr_unlearn" in words:
            rest = words[words.index("asr_unlearn") + 1 :]
            assert subcommands.load(rest[0]).in_several_processes
        elif words[:2] == ["asr-unlearn", prepare.NAME]:
            understand_preparation([f"data_prep.{words[2]}", *words[3:]], monkeypatch)
        elif words[0] == "asr-unlearn":
            main.understood(words[1:])
        elif words[0].endswith("run.sh"):
            understand_recipe(words, monkeypatch)
        elif words[:2] == ["python", "-m"]:
            understand_preparation(words[2:], monkeypatch)
        elif words[0] == "ct2-transformers-converter":
            understand_preparation(["ctranslate2.converters.transformers", *words[1:]], monkeypatch)
        elif words[0] == "make":
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
        else:
            assert words[0] == "openssl" or words[:2] == ["pip", "install"], words


def test_no_block_is_of_another_language():
    found = {
        language for page in PAGES for language in re.findall(r"^```(\w+)$", page.read_text(), re.M)
    }
    assert found == LANGUAGES
    assert commands(PAGES[0])


def test_the_readme_fits_on_two_screens():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110


def test_links_between_pages_lead_somewhere():
    links = [
        (page, target)
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    ]
    assert len(links) > 30
    assert [(page, target) for page, target in links if not (page.parent / target).exists()] == []


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"[\w-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert listed == {page.name for page in DOCS.rglob("*.md")}


def test_every_block_but_commands_has_a_test():
    found = [
        (page.name, language)
        for page in PAGES
        for language in sorted(LANGUAGES - {"bash"})
        for _ in blocks(page, language)
    ]
    assert sorted(found) == [
        ("data.md", "json"),
        ("data.md", "text"),
        ("extending.md", "python"),
        # Those in test_conversion.py.
        ("models.md", "python"),
        ("models.md", "python"),
        ("python-api.md", "python"),
        ("python-api.md", "python"),
        ("python-api.md", "python"),
    ]


def test_the_manifest_and_the_forget_list_are_read(tmp_path):
    (manifest,) = blocks(DOCS / "data.md", "json")
    (tmp_path / "manifest.jsonl").write_text(manifest)
    utterances = read_manifest(tmp_path / "manifest.jsonl")
    assert [(u.speaker, u.subset) for u in utterances] == [("anna", "train"), ("bert", "dev")]
    (listed,) = blocks(DOCS / "data.md", "text")
    (tmp_path / "speakers.txt").write_text(listed)
    assert read_names(tmp_path / "speakers.txt") == ["anna", "carl"]


@pytest.fixture
def tiny(corpus):
    """A model, its processor, and the parts of a small corpus, by the names that the pages use."""
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    processor = character_processor(alphabet_of(data.manifest), attention_mask=True)
    size = {"vocab_size": len(processor.tokenizer), "pad_token_id": 0}
    torch.manual_seed(0)
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**tiny_options() | size, feat_extract_norm="layer"))
    parts = {part: data.part(part) for part in ("forget", "retain", "unseen")}
    return {"model": model, "processor": processor, **parts}


def test_functions_on_folders(corpus, tiny_config, tmp_path, monkeypatch):
    shutil.copytree(corpus, tmp_path, dirs_exist_ok=True)
    shutil.copytree(tiny_config, tmp_path / "tiny")
    (tmp_path / "speakers.txt").write_text("s0\ns1\n")
    monkeypatch.chdir(tmp_path)
    exec(block_of("python-api.md", "verify("), {})
    assert (tmp_path / "out" / "report.html").is_file()


def test_unlearning_in_python(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A model that was never trained has nothing to forget by the usual stop rule.
    by_steps = {"stop": Stop(rule="steps"), "epochs": 1}
    monkeypatch.setattr(
        "asr_unlearn.unlearn", lambda *given, **named: unlearn(*given, **named, **by_steps)
    )
    exec(block_of("python-api.md", "found.model.save_pretrained"), tiny)
    assert tiny["found"].steps > 0
    saved = Wav2Vec2ForCTC.from_pretrained(tmp_path / "forgotten").state_dict()
    for name, tensor in tiny["model"].state_dict().items():
        assert torch.equal(saved[name], tensor), name


def test_a_method_by_its_name(tiny):
    exec(block_of("python-api.md", "model, processor, forget=forget, retain=retain, method"), tiny)
    assert tiny["found"].steps > 0


def test_a_method_of_ones_own(tiny, tmp_path):
    (tmp_path / "mine.py").write_text(block_of("extending.md", "class Mine"))
    before = {name: tensor.clone() for name, tensor in tiny["model"].state_dict().items()}
    method = {"method": f"{tmp_path / 'mine.py'}:Mine", "power": 1.0, "epochs": 1}
    found = unlearn(**tiny, **method, stop=Stop(rule="steps"))
    assert found.steps > 0
    assert any(not torch.equal(t, before[n]) for n, t in found.model.state_dict().items())
