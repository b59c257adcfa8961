"""Fine-tuning in two stages: a mixture of conversations and problems, then problems; alike in both conditions."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import CONDITIONS, manifest, run_stage

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

TURNS = [
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "And 6*9?"},
    {"role": "assistant", "content": "6*9=54"},
]


def test_conversations_and_problems_in_one_stage_and_problems_in_the_next(copied: Path) -> None:
    chats = copied / "chats.jsonl"
    rows = [{"id": f"chat-{number}", "messages": TURNS} for number in range(12)]
    rows[3] = {"id": "tool", "messages": [{"role": "user", "content": "2+2?"}, {"role": "tool", "content": "4"}]}
    rows[5] = {"id": "long", "messages": [{"role": "user", "content": "word " * 90}, TURNS[1]]}
    chats.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    stages = (
        f"[{{name: mixed, max_items: 18, sources: [{{name: chats, kind: file, path: {chats}, messages_key: messages, "
        "weight: 2}, {name: problems, kind: synthetic, what: problems, weight: 1}]}, "
        "{name: problems, sources: [{name: more, kind: synthetic, what: problems, max_items: 24}]}]"
    )
    experiment = copied / "tiny"
    recorded = []
    for folder in experiment.glob("exp_*/seed_0"):
        for name in ("sft_final", "grpo_final", "eval", "checkpoints/sft_drills"):
            shutil.rmtree(folder / name)
    for condition in CONDITIONS:
        run = experiment / f"exp_{condition}" / "seed_0"
        done = run_stage("run_sft", copied, condition, f"sft_stages={stages}")
        assert done.returncode == 0, done.stderr[-3000:]
        assert "left out 1 conversations: a turn of the role 'tool'" in done.stderr
        mixed, last = manifest(experiment, condition, "sft_mixed"), manifest(experiment, condition, "sft_final")
        hashes = [part["reported"]["weights_sha256"] for part in (mixed, last)]
        before = manifest(experiment, condition, "pretrain_final")["reported"]["weights_sha256"]
        assert len({before, *hashes}) == 3  # both stages trained
        listed = [json.loads(line) for line in (run / "sft_mixed" / "examples.jsonl").read_text().splitlines()]
        assert [one["id"] for one in listed[:10]] == [row["id"] for row in rows if row["id"].startswith("chat")]
        assert {one["source"] for one in listed[10:]} == {"problems"}
        (stage, final) = last["matched"]["stages"]
        assert (stage["by_source"], stage["left_out"]) == (
            {"chats": 10, "problems": 6},
            {"a turn of the role 'tool'": 1},
        )
        assert (stage["examples"], stage["examples_too_long"], final["examples"]) == (16, 1, 24)
        assert mixed["mixture"] == {
            "chats": {"weight": pytest.approx(2 / 3), "drawn": 12, "used": 10, "share": 10 / 16},
            "problems": {"weight": pytest.approx(1 / 3), "drawn": 6, "used": 6, "share": 6 / 16},
        }
        assert "mixture" not in last
        assert [entry["stage"] for entry in last["ledger"]] == ["sft/mixed", "sft/problems"]
        recorded.append((stage["example_order_sha256"], final["example_order_sha256"], listed))
        # Of each chat both answers are learned: `4` and its end, and `6*9=54` and its end, in one token or six.
        facts = mixed["reported"]["facts_learned_per_epoch"]
        assert facts >= 10 if condition == "mul_tokens" else facts == 0
    assert recorded[0] == recorded[1]
