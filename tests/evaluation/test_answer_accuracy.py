"""The accuracy as a module of Hugging Face `evaluate`, loaded from its folder in a process without a network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # a process that imports `evaluate`; what it computes, the scorer, has fast tests

_COMPUTE = """
import json, socket, sys

def refuse(*arguments):
    raise OSError("no network in this test")

socket.socket.connect = socket.getaddrinfo = refuse
import evaluate

metric = evaluate.load(sys.argv[1])
found = []
for arguments in json.load(sys.stdin):
    try:
        found.append(metric.compute(**arguments))
    except ValueError as error:
        found.append(str(error))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def computed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> list:
    """What the metric computes for three calls, in a process of its own."""
    calls = [
        {
            "predictions": ["6*9=54\n#### 54", "#### 54.0", "It is 54", "#### <MUL_6_9_54>"],
            "references": ["54", "So 6*9=<<6*9=54>>54.\n#### 54", "54", "54"],
        },
        {
            "predictions": ["#### <MUL_6_9>"],
            "references": ["6"],
            "written_by": str(root / "recipes/interventions/mul_bare.yaml"),
        },
        {"predictions": [], "references": []},
        {"predictions": ["#### 5"] * 2, "references": ["5", "#### five"]},
    ]
    caches = tmp_path_factory.mktemp("caches")
    folders = ("HF_HOME", "HF_EVALUATE_CACHE", "HF_MODULES_CACHE", "HF_DATASETS_CACHE")
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    process = subprocess.run(
        [sys.executable, "-c", _COMPUTE, str(root / "src/domain_tokens/evaluation/answers/answer_accuracy")],
        input=json.dumps(calls),
        env=os.environ | offline | {name: str(caches / name) for name in folders},
        cwd=caches,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(process.stdout.splitlines()[-1])


def test_the_module_scores_as_the_evaluation_does(computed: list) -> None:
    assert computed[0] == {
        "accuracy": 0.5,
        "accuracy_original": 0.25,
        "accuracy_strict": 0.25,
        "accuracy_flexible": 0.75,
    }


def test_tokens_of_another_intervention_are_expanded(computed: list) -> None:
    # The token is `6*9`: the first number behind the mark is 6, the last one 9.
    assert computed[1] == {
        "accuracy": 0.0,
        "accuracy_original": 1.0,
        "accuracy_strict": 1.0,
        "accuracy_flexible": 0.0,
    }


def test_no_answers_have_no_accuracy(computed: list) -> None:
    assert "predictions: empty" in computed[2]


def test_a_reference_that_no_answer_can_match_is_refused(computed: list) -> None:
    assert computed[3] == "references: row 1: expected one number, or `#### <number>` at its end, got 'five'"
