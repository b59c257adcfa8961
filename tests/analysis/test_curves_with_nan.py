"""A reward that is no number leaves a gap in its curve, and the others stay."""

import json
from types import SimpleNamespace

from domain_tokens.analysis.report.plots import stage_panels
from domain_tokens.runs.records import MetricsRow


def test_a_nan_hides_no_other_reward() -> None:
    lines = ('{"step": 1, "reward": 0.5}', '{"step": 2, "reward": NaN}', '{"step": 3, "reward": 0.7}')
    log = [MetricsRow.parse(json.loads(line), "a log") for line in lines]
    run = SimpleNamespace(stages={"grpo_final": SimpleNamespace(log=log)})
    condition = SimpleNamespace(seeds={0: run}, first_run=run)
    assert list(stage_panels([condition], ["grpo_final"], "reward")) == [("grpo_final", [[{1: 0.5, 3: 0.7}]])]
    assert not list(stage_panels([condition], ["grpo_final"], "loss"))
