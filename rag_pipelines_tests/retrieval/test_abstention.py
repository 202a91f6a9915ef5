"""A confidence by hand, calibrations that do not fit, and a small index that says what it does not answer."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rag_pipelines.config.calibration import Calibration, Setting
from rag_pipelines.config.retrieval import AbstentionConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.types import Principal
from rag_pipelines.retrieval.abstention import Abstainer, Evidence, confidence
from rag_pipelines.retrieval.result import SearchResult
from rag_pipelines.service.app import create_app
from rag_pipelines_tests.project import STAFF, Parts, Project, scratch_folder

SETTING = Setting(signs=1, mode="hybrid", model="m1", terms="t1", reranker=None)
HELD_OUT = {
    "answerable": 1,
    "unanswerable": 1,
    "auroc": 1.0,
    "accuracy": 1.0,
    "answered_wrongly": 0,
    "abstained_wrongly": 0,
}
BOARD = Principal("bo", "acme", ("board",))


def calibration(**values: Any) -> Calibration:
    given = {
        "index": "knowledge",
        "suite": "s",
        "suite_hash": "0" * 64,
        "made_at": "2026-11-23T00:00:00+00:00",
        "setting": SETTING,
        "group": None,
        "fitted": 2,
        "intercept": -1.0,
        "signs": {
            "near": {"mean": 0.5, "deviation": 0.1, "weight": 2.0, "auroc": 0.7},
            "rare": {"mean": 1.0, "deviation": 2.0, "weight": 0.5, "auroc": 0.6},
        },
        "threshold": 0.6,
        "held_out": HELD_OUT,
    }
    return Calibration.model_validate({**given, **values})


def stored(folder: Path, made: Calibration) -> Abstainer:
    (folder / "made.json").write_text(made.model_dump_json(), encoding="utf-8")
    return Abstainer(AbstentionConfig(calibration="made.json"), folder)


def test_the_confidence_is_the_logistic_function_of_the_standardised_signs() -> None:
    # -1 + 2 * (0.6 - 0.5) / 0.1 + 0.5 * (3 - 1) / 2 = 1.5
    assert confidence(calibration(), {"near": 0.6, "rare": 3.0}) == pytest.approx(1 / (1 + math.exp(-1.5)))
    assert confidence(calibration(), {"near": -900.0, "rare": 0.0}) == pytest.approx(0.0)
    assert confidence(calibration(), {}) == 0.0


def test_answers_from_the_threshold_on_and_the_yaml_s_comes_first(tmp_path: Path) -> None:
    high, low = Evidence(SETTING, {"near": 0.6, "rare": 1.0}), Evidence(SETTING, {"near": 0.5, "rare": 1.0})
    abstainer = stored(tmp_path, calibration())
    found = [abstainer.judge("knowledge", one) for one in (high, low)]
    assert [one.answerable for one in found if one is not None] == [True, False]
    assert [round(one.confidence, 3) for one in found if one is not None] == [0.731, 0.269]
    own = Abstainer(AbstentionConfig(calibration="made.json", threshold=0.2), tmp_path)
    judged = own.judge("knowledge", low)
    assert judged is not None
    assert judged.answerable


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"model": "m2"}, "model 'm2' instead of 'm1'"),
        ({"signs": 2}, "signs 2 instead of 1"),
        ({"mode": "dense"}, "mode 'dense' instead of 'hybrid'"),
        ({"reranker": "r"}, "reranker 'r' instead of None"),
    ],
)
def test_a_calibration_of_another_setting_is_refused_once_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changed: dict[str, Any], told: str
) -> None:
    abstainer = stored(tmp_path, calibration())
    other = Evidence(SETTING.model_copy(update=changed), {"near": 1.0, "rare": 1.0})
    with caplog.at_level(logging.WARNING):
        assert abstainer.judge("knowledge", other) is None
        assert abstainer.judge("knowledge", other) is None
    (record,) = caplog.records
    assert told in record.getMessage()
    assert "rag-pipelines calibrate" in record.getMessage()


def test_a_sign_that_is_not_there_any_more_is_not_taken_for_zero(tmp_path: Path) -> None:
    assert stored(tmp_path, calibration()).judge("knowledge", Evidence(SETTING, {"near": 1.0})) is None


def test_files_that_are_not_there_or_not_calibrations_are_named(tmp_path: Path) -> None:
    found = Evidence(SETTING, {"near": 1.0, "rare": 1.0})
    absent = Abstainer(AbstentionConfig(calibration="configs/none.json"), tmp_path)
    with pytest.raises(ConfigError, match=r"none\.json, which is not there; `rag-pipelines calibrate"):
        absent.judge("knowledge", found)
    (tmp_path / "made.json").write_text('{"index": "knowledge"}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"made\.json.*threshold"):
        Abstainer(AbstentionConfig(calibration="made.json"), tmp_path).judge("knowledge", found)


@pytest.fixture(scope="module")
def judging(parts: Parts) -> Iterator[Project]:
    """Pages for the staff and one for the board, judged by the share of the question's terms in the best sentence."""
    with scratch_folder() as folder:
        project = Project(folder / "project", parts=parts)
        project.source("board", acl=["group:board"])
        project.write("leave.md", "Everyone has thirty days of paid leave a year. Seven days move over.\n")
        project.write("travel.md", "Book trains before flights. Hotels cost at most 140 euros a night.\n")
        project.write("pump.md", "Error ERR_4217 means that the inlet valve is blocked.\n")
        project.write("salaries.md", "The bonus of the directors is four salaries.\n", "board")
        project.sync()
        with project.searchers() as searchers:
            setting = searchers.get("knowledge").evidence("leave", STAFF).setting
        sign = {"mean": 0.5, "deviation": 0.1, "weight": 1.0, "auroc": 0.7}
        made = calibration(setting=setting, intercept=0.0, threshold=0.5, signs={"terms_in_sentence": sign})
        path = project.root / "configs" / "calibrations" / "knowledge.json"
        path.parent.mkdir()
        path.write_text(made.model_dump_json(), encoding="utf-8")
        abstention = {"calibration": "configs/calibrations/knowledge.json"}
        project.index("knowledge", retrieval={"abstention": abstention})
        yield project


def test_a_question_that_is_answered_gets_its_passages(judging: Project) -> None:
    found = judging.search("How many days of paid leave?", k=1, principal=STAFF)
    assert found.answerable is True
    assert found.confidence is not None
    assert found.confidence > 0.5
    assert [passage.citation.uri for passage in found.passages] == ["leave.md"]
    assert found.as_json()["answerable"] is True


def test_another_gets_none_unless_it_asks_for_them(judging: Project) -> None:
    question = "Who painted the ceiling of the chapel?"
    found = judging.search(question, principal=STAFF)
    assert (found.answerable, found.passages) == (False, ())
    assert json.loads(json.dumps(found.as_json()))["confidence"] < 0.5
    asked = judging.search(question, principal=STAFF, passages_when_unanswerable=True)
    assert asked.answerable is False
    assert asked.confidence == found.confidence
    assert len(asked.passages) == 3


def test_the_service_says_so_too(judging: Project) -> None:
    with judging.workspace() as workspace:
        app = create_app(judging.environment, workspace.configuration)
    body = {"query": "Who painted the ceiling of the chapel?"}
    with TestClient(app, base_url="http://localhost") as client:
        refused = client.post("/v1/indexes/knowledge/search", json=body).json()
        asked = client.post(
            "/v1/indexes/knowledge/search", json={**body, "passages_when_unanswerable": True}
        ).json()
    assert (refused["answerable"], refused["passages"]) == (False, [])
    assert (asked["answerable"], asked["confidence"]) == (False, refused["confidence"])
    assert len(asked["passages"]) == 3


def test_a_confidence_does_not_tell_of_what_the_asker_may_not_read(judging: Project) -> None:
    question = "What is the bonus of the directors?"
    assert judging.search(question, principal=BOARD).answerable is True
    before = judging.search(question, principal=STAFF)
    assert before.answerable is False
    # The same for somebody to whom the page never existed.
    alone = judging.search(question, principal=STAFF, filters={"source": "docs"})
    assert before.confidence == alone.confidence


def test_k_does_not_change_a_confidence(judging: Project) -> None:
    found = [judging.search("paid leave and hotels", k=k, principal=STAFF).confidence for k in (1, 2, 5)]
    assert len(set(found)) == 1


def test_nothing_found_is_not_answered(judging: Project) -> None:
    found = judging.search("leave", principal=Principal("no", "other"))
    assert (found.confidence, found.answerable, found.passages) == (0.0, False, ())


def test_without_abstention_nothing_is_judged(copies: Project) -> None:
    found: SearchResult = copies.search("gate")
    assert (found.confidence, found.answerable) == (None, None)
    assert not {"confidence", "answerable"} & found.as_json().keys()
    assert found.passages
