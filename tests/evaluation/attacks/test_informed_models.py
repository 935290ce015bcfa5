"""Models of the informed attack: whom they forget, and that they are unlearned alike."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.make_split import make_split
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.evaluation.attacks import informed
from asr_unlearn.evaluation.attacks.informed import other_request, unlearning_of, unlearnings
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.training.outcome import NothingUnlearnedError
from tests.support.attacked_models import run_of


def test_attackers_do_to_others_what_was_done(data, evaluated):
    options = run_of(data.cache / "forgotten")["options"]
    assert options["method"] == "neggrad_plus"
    assert options["alpha"] == 0.8
    for number in range(2):
        folder = data.cache / "informed" / "forgotten" / str(number)
        assert run_of(folder)["options"] == options
        rows = [json.loads(x) for x in (folder / "utterances.jsonl").read_text().splitlines()]
        request = other_request(data, number)
        assert {r["speaker"] for r in rows if r["part"] == "forget"} == set(
            request.split.forget_speakers
        )
        assert {r["part"] for r in rows} == {"forget", "unseen"}


def test_attackers_get_every_option_that_a_run_records(data, evaluated, monkeypatch, tmp_path):
    given = {}
    monkeypatch.setattr(informed, "unlearn_model", lambda *_, **options: given.update(options))
    forgotten = SavedModel("forgotten", 0, data.cache / "forgotten")
    found = unlearning_of(forgotten, data, device=torch.device("cpu"))
    recorded = {"spelling": "upper", "protect_earlier": False, "window": 5.0}
    options = {**found.run["options"], **recorded}
    (model,) = unlearnings(replace(found, run={**found.run, "options": options}), tmp_path, 1)
    model.make()
    assert {name: getattr(given["setup"], name) for name in recorded} == recorded


def test_a_model_of_which_nothing_is_to_be_unlearned_stays_as_it_is(
    data, evaluated, monkeypatch, tmp_path, caplog
):
    def refuse(*_, **__):
        raise NothingUnlearnedError("nothing was unlearned", MeanScore(0.25, None))

    monkeypatch.setattr(informed, "unlearn_model", refuse)
    forgotten = SavedModel("forgotten", 0, data.cache / "forgotten")
    given = unlearning_of(forgotten, data, device=torch.device("cpu"))
    (model,) = unlearnings(given, tmp_path, 1)
    model()
    assert "informed 0 is left as it is: nothing was unlearned" in caplog.text
    assert model.is_done()
    original = SavedModel.at(data.cache / "original")
    assert SavedModel.at(model.out).weights() == original.weights()
    assert {o.target for o in model.known().forgotten} == {0.25}


def test_requests_of_others_are_disjoint_and_leave_true_ones_alone(data):
    every = data.split
    requests = [other_request(data, number).split for number in range(3)]
    for request in requests:
        assert len(request.forget_speakers) == 2
        assert not set(request.forget_speakers) & {*every.forget_speakers, *every.unseen_speakers}
        assert request.parts["unseen"] == every.parts["unseen"]
        assert sorted(request.parts["forget"] + request.parts["retain"]) == sorted(
            every.parts["retain"]
        )
        assert not request.parts["test"]
    assert requests == [other_request(data, number).split for number in range(3)]


def test_no_two_requests_share_a_speaker_while_there_are_others(shared_data, tmp_path):
    from data_prep import an4

    an4.main(["--data", str(shared_data / "an4"), "--out", str(tmp_path / "manifest.jsonl")])
    manifest = read_manifest(tmp_path / "manifest.jsonl")
    split = make_split(manifest, ["fash", "mjhp"], seed=0)
    real = Corpus(manifest, split, tmp_path)
    speakers = [s for k in range(20) for s in other_request(real, k).split.forget_speakers]
    assert len(set(speakers)) == 40


def test_too_few_others_are_an_error(data):
    forget = ["s0", "s1", "s2"]
    retained = {u.speaker for u in data.manifest} - {*forget, "s7"}
    assert len(retained) == 4
    split = make_split(data.manifest, forget, seed=0, unseen=0.3)
    with pytest.raises(ValueError, match="an informed attack forgets 3 other speakers, but only"):
        other_request(Corpus(data.manifest, split, data.cache), 0)


def test_a_method_file_that_a_run_names_is_not_run(data, evaluated, tmp_path):
    folder = tmp_path / "forgotten"
    shutil.copytree(data.cache / "forgotten", folder)
    run = run_of(folder)
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    run["options"]["method"] = f"{evil}:Evil"
    (folder / "run.json").write_text(json.dumps(run))

    def attackers(**given):
        model = SavedModel.at(folder)
        own = unlearning_of(model, data, device=torch.device("cpu"), **given)
        return unlearnings(own, tmp_path / "informed", 1)

    for named in ((), ("orthograd",), (f"{evil}:Other",), ("other.py:Evil",)):
        with pytest.raises(ValueError, match=r"forgotten/run\.json names a method in a file.*Evil"):
            attackers(method_files=named)
    assert not (tmp_path / "ran").exists()
    (own,) = attackers(method_files=("my/own/evil.py:Evil",))
    assert own.method == "my/own/evil.py:Evil"
    # Models that another algorithm unlearned are not those of the file as it is now.
    (own,) = attackers(method_files=(f"{evil}:Evil",))
    before = own.made_from()
    evil.write_text("pass")
    assert own.made_from() != before
    del run["options"]["method"]
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(ValueError, match=r"forgotten/run\.json names no method to attack by"):
        attackers()
