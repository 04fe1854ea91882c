"""Attacks in a study: shadow models as cells, both designs, tables, verdicts and the page."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlora.errors import InputError
from fairlora.models import write_tiny_model
from fairlora.predictions import read_predictions
from fairlora.privacy.attacks import ATTACKS
from fairlora.study.engines.inline import InlineEngine
from fairlora.study.report.from_disk import report_study
from fairlora.study.runs.accept import accept
from fairlora.study.runs.folder import result_settings
from fairlora.study.runs.plan import plan_study
from fairlora.study.runs.prepare import prepare
from fairlora.study.runs.runner import Outcome, StudyRunner
from fairlora.study.runs.shadow_models import attacked_runs
from fairlora.study.spec.expand import expand
from fairlora.study.spec.run import parse_spec
from fairlora.study.spec.study import StudySpec, parse_study

VIT = "google/vit-base-patch16-224-in21k"


def privacy_study(model: Path, **privacy: Any) -> StudySpec:
    return parse_study(
        {
            "name": "leak",
            "data": {"name": "people-emoji", "groups": ["skin_tone"], "renderers": ["noto"]},
            "models": {"id": str(model), "label": "tiny"},
            "methods": ["lora", "full"],
            "seeds": 1,
            "training": {"max_steps": 2, "learning_rate": 1e-3},
            "audit": {"positive": "male", "min_group": 2},
            "compare": {"bootstrap": 200},
            "privacy": {"permutations": 20, "bootstrap": 200, "fprs": [0.1, 0.01], **privacy},
            "report": {"figures": ["groups"], "formats": ["svg"]},
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(VIT, tmp_path_factory.mktemp("models") / "tiny")


Ran = tuple[StudySpec, Path, Outcome]


@pytest.fixture(scope="module")
def papers(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    study = privacy_study(model, shadows=3, queries=["flip"])
    root = tmp_path_factory.mktemp("papers") / "leak"
    return study, root, StudyRunner(study, root, InlineEngine()).run()


@pytest.fixture(scope="module")
def crossed(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    attacks = ["lira-online-fixed", "quantile", "rmia", "loss"]
    study = privacy_study(model, design="crossed", shadows=5, attacks=attacks)
    root = tmp_path_factory.mktemp("crossed") / "leak"
    return study, root, StudyRunner(study, root, InlineEngine()).run()


def test_papers_runs_its_shadow_models_once(papers: Ran) -> None:
    study, root, outcome = papers
    assert outcome.reasons == {}
    assert outcome.ran == 2 + 2 * 3
    plan = plan_study(study, root)
    assert (plan.cells, plan.done) == (8, 8)
    assert {row.method: row.cells for row in plan.rows} == {
        "LoRA": 1,
        "full": 1,
        "shadows: LoRA": 3,
        "shadows: full": 3,
    }
    assert StudyRunner(study, root, InlineEngine()).run().ran == 0


def test_papers_tables_hold_the_targets_under_every_model(papers: Ran) -> None:
    lora = papers[2].attacked[0]
    assert lora.target is not None
    own = read_predictions(lora.target.folder.predictions)
    split = dict(zip(own.ids.tolist(), own.split.tolist(), strict=True))
    targets = []
    for cell in lora.models:
        for path in (cell.folder.predictions, cell.folder.query("flip")):
            table = read_predictions(path)
            assert set(table.ids.tolist()) == set(split)
            assert table.margin is not None
            assert table.loss is not None
            targets.append(set(table.ids[table.split == "target"].tolist()))
    assert all(found == targets[0] for found in targets)
    members = [one for one in targets[0] if split[one] == "train"]
    others = [one for one in targets[0] if split[one] == "test"]
    assert len(members) + len(others) == len(targets[0])
    trained = sum(s == "train" for s in split.values())
    assert len(members) == pytest.approx(0.125 * trained, rel=0.2)
    tested = sum(s == "test" for s in split.values())
    assert len(others) == pytest.approx(0.5 * tested, rel=0.2)


def test_the_mirror_image_is_another_query(papers: Ran) -> None:
    folder = papers[2].attacked[0].models[0].folder
    plain, flip = read_predictions(folder.predictions), read_predictions(folder.query("flip"))
    assert plain.ids.tolist() == flip.ids.tolist()
    assert plain.margin is not None
    assert flip.margin is not None
    assert np.abs(plain.margin - flip.margin).max() > 0


@pytest.mark.parametrize("kind", ["papers", "crossed"])
def test_the_report_has_attacks_groups_and_verdicts(
    kind: str, request: pytest.FixtureRequest
) -> None:
    study, root, outcome = request.getfixturevalue(kind)
    page = report_study(study, root, outcome)
    text = page.read_text(encoding="utf-8")
    assert study.privacy is not None
    for name in study.privacy.names:
        assert ATTACKS[name].title in text
    assert "Who tells less: all rows (LoRA and full)" in text
    tables = {path.name for path in (page.parent / "tables").glob("*.csv")}
    assert "membership-inference.csv" in tables
    assert any("by-skin-tone-thresholds-of-each-group" in name for name in tables)
    figures = {path.name for path in (page.parent / "figures").glob("*.svg")}
    assert "membership-inference-roc.svg" in figures
    assert {f"membership-inference-every-attack-{name}.svg" for name in ("lora", "full")} <= figures
    lead = json.loads((page.parent / "report.json").read_text(encoding="utf-8"))["lead"]
    assert re.search(r"LoRA: The attack .* has an AUC of .* full: The attack ", lead)
    kept = json.loads((page.parent / "privacy" / "lora.json").read_text(encoding="utf-8"))
    assert kept["settings"]["clusters"]  # families of emoji
    assert (page.parent / "privacy" / "lora.html").is_file()
    from_disk = report_study(study, root, again=True)
    assert from_disk.read_text(encoding="utf-8") == text


def test_crossed_attacks_every_model_with_all_rows(crossed: Ran) -> None:
    study, root, outcome = crossed
    assert outcome.reasons == {}
    assert outcome.ran == 2 + 2 * 6
    found = outcome.attacked[0]
    assert found.target is None
    splits = []
    for cell in found.models:
        table = read_predictions(cell.folder.predictions)
        splits.append(table.split[np.argsort(table.ids)])
    grid = np.stack(splits, axis=1)
    pool = ~(grid == "validation").any(axis=1)
    assert ((grid[pool] == "train").sum(axis=1) == 3).all()
    page = report_study(study, root, outcome)
    kept = json.loads((page.parent / "privacy" / "full.json").read_text(encoding="utf-8"))
    assert kept["n"] == 6 * int(pool.sum())
    assert kept["members"] == 3 * int(pool.sum())


def test_arms_of_one_shadow_method_share_the_shadow_models(model: Path, tmp_path: Path) -> None:
    study = privacy_study(model, shadows=3, shadow_method="LoRA")
    plan = plan_study(study, tmp_path / "leak")
    assert plan.cells == 2 + 3


def test_what_a_design_does_not_read_is_not_part_of_its_identity() -> None:
    def settings(**membership: Any) -> Any:
        return result_settings(parse_spec({"data": {"membership": membership}}))

    papers = settings(design="papers", model=1)
    assert papers == settings(design="papers", model=1, rows=50)
    assert papers != settings(design="papers", model=2)
    assert papers != settings(design="papers", model=1, members=0.2)
    crossed = settings(design="crossed", model=1)
    assert crossed == settings(design="crossed", model=1, members=0.2)
    assert crossed != settings(design="crossed", model=1, rows=50)


def test_more_shadow_models_are_trained_beside_those_that_are_there(model: Path) -> None:
    def settings(shadows: int) -> list[Any]:
        study = privacy_study(model, design="crossed", shadows=shadows)
        runs = attacked_runs(study, expand(study))
        return [result_settings(spec) for one in runs for spec in one.models]

    few, more = settings(5), settings(9)
    assert len(few) == 2 * 6
    assert len(more) == 2 * 10
    assert all(one in more for one in few)


def test_shadow_models_draw_from_seeds_of_their_own() -> None:
    target = parse_spec({"seed": 3})
    shadows = [
        parse_spec({"seed": 3, "data": {"membership": {"design": "papers", "model": k}}})
        for k in range(3)
    ]
    assert target.chance == 3
    assert len({target.chance, *(one.chance for one in shadows)}) == 4


def test_texts_have_no_mirror_image(tmp_path: Path) -> None:
    table = tmp_path / "texts.csv"
    lines = ["text,label,sex", *(f"word {k},{k % 2},{'fm'[k % 4 // 2]}" for k in range(60))]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = {"name": "text-table", "path": str(table), "target": "label", "groups": ["sex"]}
    with pytest.raises(InputError, match="mirror image"):
        prepare(parse_spec({"data": {**data, "text": "text"}, "queries": ["flip"]}))


@pytest.mark.parametrize(
    ("suggests", "said"),
    [
        ({"race": {"x": "male"}}, "audit.suggests.race"),
        ({"skin_tone": {"x": "male"}}, "no such group"),
        ({"skin_tone": {"dark": "man"}}, "no such class"),
    ],
)
def test_suggestions_that_the_data_do_not_have_are_refused_before_training(
    suggests: dict[str, Any], said: str
) -> None:
    data = {"name": "people-emoji", "renderers": ["noto"]}
    with pytest.raises(InputError, match=said):
        prepare(parse_spec({"data": data, "audit": {"suggests": suggests}}))


def test_an_unknown_shadow_method_is_one_line(model: Path, tmp_path: Path) -> None:
    study = privacy_study(model, shadows=3, shadow_method="DoRA")
    with pytest.raises(InputError, match=r"privacy\.shadow_method.*DoRA"):
        plan_study(study, tmp_path / "leak")


def test_unfinished_shadow_models_leave_an_arm_out(model: Path, tmp_path: Path) -> None:
    study = privacy_study(model, shadows=1, attacks=["loss"])
    root = tmp_path / "leak"
    outcome = StudyRunner(study, root, InlineEngine()).run()
    (outcome.attacked[0].models[0].folder.path / "status.json").unlink()
    page = report_study(study, root)
    text = page.read_text(encoding="utf-8")
    assert "1 of 2 models are finished" in text
    assert "Who tells less" not in text


def test_scores_are_made_of_the_predictions_as_they_are(papers: Ran, tmp_path: Path) -> None:
    study, root, _ = papers
    shutil.copytree(root, tmp_path / "leak")
    cells = StudyRunner(study, tmp_path / "leak", InlineEngine()).run().attacked[0]
    scores = report_study(study, tmp_path / "leak").parent / "privacy" / "lora.parquet"
    made, before = scores.stat().st_mtime_ns, pq.read_table(scores)
    report_study(study, tmp_path / "leak", again=True)
    assert scores.stat().st_mtime_ns == made  # nothing that they are made of has changed
    shadow = cells.models[0].folder
    table = pq.read_table(shadow.predictions)
    place = table.schema.get_field_index("margin")
    turned = pa.array(-table.column("margin").to_numpy(), table.schema.field(place).type)
    pq.write_table(table.set_column(place, "margin", turned), shadow.predictions)
    text = report_study(study, tmp_path / "leak").read_text(encoding="utf-8")
    assert "3 of 4 models are finished" in text
    assert "predictions.parquet is not as the run wrote it" in text
    accept(shadow)
    report_study(study, tmp_path / "leak")
    assert not pq.read_table(scores).equals(before)
    scores.write_bytes(scores.read_bytes()[:-10])
    report_study(study, tmp_path / "leak", again=True)
    assert not pq.read_table(scores).equals(before)


@pytest.mark.parametrize(
    ("privacy", "line"),
    [
        ({"design": "crossed", "shadows": 4}, "odd number"),
        ({"attacks": ["lira-online"]}, "design: crossed"),
        ({"shadows": 1}, "lira-offline needs 2 shadow models"),
        ({"design": "crossed", "shadows": 3, "attacks": ["lira-online"]}, "needs 2 shadow models"),
        ({"rows": 100}, "crossed design"),
        ({"attacks": []}, "one or more"),
        ({"shadow": 3}, "privacy.shadow: unknown key"),
        ({"attacks": ["lirra"]}, "privacy.attacks.0"),
    ],
)
def test_bad_sections_are_one_line(privacy: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as error:
        parse_study({"name": "x", "privacy": privacy})
    assert line in str(error.value)
    assert "\n" not in str(error.value)
