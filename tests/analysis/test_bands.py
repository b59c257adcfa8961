"""Every figure with a band over seeds says in its legend what the band is, and draws its markers whole."""

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread

from domain_tokens.analysis.compare import assemble
from domain_tokens.analysis.report.figures.condition import draw_condition
from domain_tokens.analysis.report.figures.drawn import draw
from domain_tokens.analysis.report.plots import BAND, STYLE, curves_figure, draw_mean, new_figure, render, styles
from domain_tokens.runs.results import Pair, load_condition, load_training

from .conftest import edit, write_condition

NAMES = ("baseline", "mul_tokens")
HAVE_BANDS = {"training_loss", "validation_loss", "learning_curves", "fact_rows", "grpo"}


def has_band(figure: Figure) -> bool:
    return any(len(axes.collections) > 0 for axes in figure.axes if axes.lines)


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory, no_odds_ratio: None) -> dict[str, Figure]:
    """The plots of two conditions of two seeds, each checkpoint with an accuracy."""
    root = tmp_path_factory.mktemp("bands")
    for side, name in enumerate(NAMES):
        write_condition(root / f"exp_{name}", name, side, (0, 1), num_items=12)
    points = list(root.glob("*/*/eval/checkpoints/*.json"))
    assert len(points) > 4
    for point in points:
        edit(point, lambda value: value["metrics"].update({"gsm8k/accuracy": 0.4}))
    pair = Pair(*(load_condition(root / f"exp_{name}") for name in NAMES))
    return draw(pair, assemble(pair))


@pytest.mark.parametrize("name", sorted(HAVE_BANDS))
def test_the_legend_names_the_band_after_the_conditions(figures: dict[str, Figure], name: str) -> None:
    assert has_band(figures[name])
    assert legend_texts(figures[name]) == [*NAMES, BAND]


def test_a_figure_without_a_band_does_not_speak_of_one(figures: dict[str, Figure]) -> None:
    others = {name: figure for name, figure in figures.items() if name not in HAVE_BANDS}
    assert "accuracy" in others
    assert not any(BAND in legend_texts(figure) for figure in others.values())


@pytest.mark.parametrize("names", [NAMES, NAMES[:1]])
def test_one_seed_has_no_band(names: Sequence[str]) -> None:
    for num_seeds, band in ((1, []), (2, [BAND])):
        sides = [[{1: 3.0 + seed, 2: 2.0 + seed} for seed in range(num_seeds)] for _ in names]
        figure = curves_figure([("training", sides)], None, names)
        assert figure is not None
        assert has_band(figure) == bool(band)
        assert legend_texts(figure) == [*(names if len(names) > 1 else []), *band]


def test_the_plots_of_one_condition_name_it_too(tmp_path) -> None:
    write_condition(tmp_path / "exp_baseline", "baseline", 0, (0, 1), num_items=12)
    drawn = draw_condition(load_training(tmp_path / "exp_baseline"))
    banded = [name for name, figure in drawn.items() if has_band(figure)]
    assert {"loss", "learning_curves"} <= set(banded)
    for name in banded:
        assert legend_texts(drawn[name]) == [BAND], name


def test_axes_of_accuracies_begin_at_0_and_others_do_not(figures: dict[str, Figure]) -> None:
    panels = {axes.get_title(loc="left"): axes for axes in figures["learning_curves"].axes}
    accuracies = [axes for title, axes in panels.items() if "acc" in title]
    others = [axes for title, axes in panels.items() if "bits" in title]
    assert (len(accuracies), len(others)) == (1, 1), list(panels)
    assert all(axes.get_ylim()[0] == 0 for axes in accuracies)
    assert all(axes.get_ylim()[0] > 0 for axes in others)


def pixels(figure: Figure) -> np.ndarray:
    return imread(io.BytesIO(render({"one": figure}, kinds=("png",))["one.png"]))


def test_a_marker_on_the_lower_edge_is_drawn_whole() -> None:
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = new_figure([1.0], 2.0)
        draw_mean(axes, styles(1)[0], [0.0, 1.0], [0.0, 0.0], "o", markersize=12)
        axes.set_xlim(-0.5, 1.5)
        axes.set_ylim(0, 1)
    image = pixels(figure)[..., :3]
    blue = np.abs(image - to_rgb(styles(1)[0].color)).max(axis=2) < 0.1
    edge = round((1 - axes.get_position().y0) * len(image))
    assert blue[edge - 8].any(), "above the axis"
    assert blue[edge + 8].any(), "and below"


def test_no_label_is_cut_at_the_edge_of_the_picture() -> None:
    # The longest label decides where the axes begin; in dots of another size, it began at the edge.
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = new_figure([1.0], 2.0)
        axes.plot([0, 1], [0, 1])
        axes.set_yticks([0, 1], ["rows: x 8", "rows of each problem: x 0.125"])
        axes.tick_params(axis="y", labelsize=7)
    image = pixels(figure)[..., :3].min(axis=2)
    dark = np.flatnonzero((image < 0.9).any(axis=0))
    assert len(dark) > 200
    assert dark[0] >= 4, "dots between the edge and the first word"
