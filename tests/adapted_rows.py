"""Made-up files of self-adaptation with known effects: what a run leaves in `seal/`, without a model.

The drop of an edit is a level of its passage, plus what the edit is worth, plus noise of the inner seed, plus noise of
each half of the questions. The standard deviations are given, so that reliabilities are known.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from domain_tokens.runs.records import Environment, write_record, write_rows
from domain_tokens.seal.records import (
    ARMS,
    POLICY,
    RECORD,
    ROWS,
    SEAL,
    TRAINED,
    UNTRAINED,
    AdaptRow,
    BeforeAfter,
    Measured,
    PolicyRow,
    SealRecord,
)

STEPS, RATES, WEIGHTS, FORMS = (4, 8, 16), (0.001, 0.01), (None, 2, 8), ("passage", "statements", "questions")


@dataclass
class World:
    """What is true of a made-up run.

    Attributes:
        gain: by how much the edits of each arm lower the bits per byte of test passages, beyond 0.1.
        edit_sd: of what edits are worth, within a passage.
        seed_sd: of the noise of an inner seed, the same in both halves.
        half_sd: of the noise of a half with an inner seed.
        by_step: what each inner step above 8 is worth.
        by_round: what each round after the first adds.
    """

    gain: dict[str, float] = field(default_factory=dict)
    edit_sd: float = 0.05
    seed_sd: float = 0.05
    half_sd: float = 0.05
    by_step: float = 0.004
    by_round: float = 0.0
    passages: int = 12
    edits: int = 6
    inner_seeds: int = 5
    rounds: int = 2
    chains: int = 3
    unreadable: float = 0.1


def measured(before: float, drop: float, exact: float | None = 0.1, gain: float = 0.0) -> BeforeAfter:
    after = None if exact is None else min(max(exact + gain, 0.0), 1.0)
    return BeforeAfter(
        before=Measured(bits_per_byte=before, exact=exact), after=Measured(bits_per_byte=before - drop, exact=after)
    )


def one_row(
    passage: str = "adapt/0", edit: int = 0, inner_seed: int = 0, chosen: float = 0.0, scored: float = 0.0, **changes
) -> AdaptRow:
    """Return a row of an edit that was carried out, whose drops are given; its reward is that of the choosing half."""
    values = {
        "condition": "a", "seed": 0, "part": "round", "round": 1, "arm": UNTRAINED, "text": f"edit {edit}",
        "valid": True, "forms": ("passage",), "repeat": 1, "target": "last_layer", "learning_rate": 0.001, "steps": 4,
        "tokens": 1024, "chosen_by": measured(2.0, chosen), "scored_by": measured(2.0, scored), "reward": chosen,
    }  # fmt: skip
    return AdaptRow(**{**values, "passage": passage, "edit": edit, "inner_seed": inner_seed, **changes})


class Maker:
    """Draws the rows of one run."""

    def __init__(self, world: World, condition: str, seed: int) -> None:
        self.world, self.condition, self.seed = world, condition, seed
        self.rng = np.random.default_rng([seed, *condition.encode()])

    def edit(self, part: str, number: int, arm: str, passage: str, edit: int, mean: float, **other) -> list[AdaptRow]:
        """Return the rows of an edit that is worth `mean` on average."""
        rng, world = self.rng, self.world
        shared = {"condition": self.condition, "seed": self.seed, "part": part, "round": number, "arm": arm}
        shared |= {"passage": passage, "edit": edit}
        if part == "round" and rng.random() < world.unreadable:
            return [AdaptRow(**shared, inner_seed=0, text="?", valid=False, problem="no such form", seconds=0.0)]
        rank, rate = WEIGHTS[rng.integers(3)], RATES[rng.integers(2)]
        steps = 8 if part != "round" else STEPS[rng.integers(3)]
        forms = tuple(FORMS[: 1 + rng.integers(3)])
        text = f"train on {', '.join(forms)}; {rank}; {rate:g}; {steps}; {edit}"
        shared |= {"text": text, "valid": True, "forms": forms, "repeat": 1, "steps": steps, "tokens": 256 * steps}
        shared |= {"target": "last_layer" if rank is None else "lora", "rank": rank, "learning_rate": rate}
        worth = mean + rng.normal(0, world.edit_sd) + world.by_step * (steps - 8)
        rows = []
        for inner_seed in range(world.inner_seeds):
            luck = worth + rng.normal(0, world.seed_sd)
            chosen, scored = luck + rng.normal(0, world.half_sd, 2)
            forgetting = 0.002 * steps + rate * (1 if rank is None else rank) + rng.normal(0, 0.005)
            rows.append(
                AdaptRow(
                    **shared,
                    inner_seed=inner_seed,
                    distinct_tokens=200,
                    loss=2.0,
                    chosen_by=measured(2.0, chosen),
                    scored_by=measured(2.1, scored, gain=scored),
                    validation=measured(3.0, -forgetting, exact=None),
                    reward=chosen,
                    seconds=0.5,
                    **other,
                )
            )
        return rows

    def rounds(self) -> tuple[list[AdaptRow], list[PolicyRow]]:
        rows: list[AdaptRow] = []
        policy: list[PolicyRow] = []
        levels = self.rng.normal(0.1, 0.1, self.world.passages)
        for number in range(1, self.world.rounds + 1):
            arm = UNTRAINED if number == 1 else TRAINED
            for index, level in enumerate(levels):
                passage, mean = f"adapt/{index}", level + self.world.by_round * (number - 1)
                edits = [self.edit("round", number, arm, passage, edit, mean) for edit in range(self.world.edits)]
                rows += [row for own in edits for row in own]
                read = [own for own in edits if own[0].valid]
                if read:
                    best = max(read, key=lambda own: float(np.mean([row.reward for row in own])))
                    mean_reward = float(np.mean([row.reward for row in best]))
                    policy.append(
                        PolicyRow(
                            round=number, passage=passage, text=best[0].text, reward=mean_reward, tried=len(read)
                        )
                    )
        return rows, policy

    def test(self) -> list[AdaptRow]:
        levels = self.rng.normal(0.1, 0.1, self.world.passages)
        return [
            row
            for index, level in enumerate(levels)
            for arm in ARMS
            for row in self.edit(
                "test", self.world.rounds, arm, f"test/{index}", 0, level + self.world.gain.get(arm, 0.0)
            )
        ]

    def chain(self) -> list[AdaptRow]:
        rows = []
        for chain in range(self.world.chains):
            for arm in (TRAINED, "passage"):
                for place in range(4):
                    earlier = measured(1.9, -0.03 * place + self.rng.normal(0, 0.01)) if place else None
                    other = {"chain": chain, "place": place, "earlier": earlier}
                    passage = f"test/{4 * chain + place}"
                    rows += self.edit("chain", self.world.rounds, arm, passage, 0, 0.1, **other)
        return rows


def write_adapted(
    folder: Path, world: World | None = None, condition: str = "baseline", seed: int = 0, **settings: object
) -> Path:
    """Write the files of a run into `exp_<condition>/seed_<n>/seal` of an experiment; returns the run's folder."""
    world = world or World()
    maker = Maker(world, condition, seed)
    rows, policy = maker.rounds()
    rows += maker.test() + maker.chain()
    run = folder / f"exp_{condition}" / f"seed_{seed}"
    (run / SEAL).mkdir(parents=True)
    write_rows(run / SEAL / ROWS, rows)
    write_rows(run / SEAL / POLICY, policy)
    record = SealRecord(
        condition=condition,
        seed=seed,
        settings={"policy": "choice", "rounds": world.rounds, **settings},
        model="pretrain_final",
        weights_sha256="w",
        tokenizer_sha256="t",
        validation_sha256="v",
        code_sha256="c",
        environment=Environment(),
        complete=True,
        rows=len(rows),
        wall_time_s=1.0,
    )
    write_record(run / SEAL / RECORD, record)
    return run
