"""Runs and studies with differential privacy: settings, folders, pages, and attacks on them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairlora.errors import InputError
from fairlora.metrics.tables import without_minus_zero
from fairlora.objectives import OBJECTIVES
from fairlora.study import RunFolder, parse_spec
from fairlora.study.engines.jobs import Job
from fairlora.study.engines.packs import packs
from fairlora.study.report.figures import epsilons
from fairlora.study.report.measures import Run
from fairlora.study.report.page import page_of, study_parts
from fairlora.study.report.results import ArmResult, Results
from fairlora.study.report.summary import comparison_page, run_page
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.folder import cell_name, identity
from fairlora.study.runs.precision import Precision
from fairlora.study.runs.prepare import prepare
from fairlora.study.spec.expand import compared_arms, expand
from fairlora.study.spec.study import parse_study

pytest.importorskip("opacus")

Make = Callable[..., dict[str, Any]]
PROMISE = {"epsilon": 8, "delta": 1e-4, "accountant": "rdp"}


@pytest.fixture(scope="module")
def private(settings: Make, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished LoRA run with differential privacy (never to write in)."""
    folder = RunFolder(tmp_path_factory.mktemp("private") / "run")
    training = {"batch_size": 16, "gradient_accumulation": 2, "predict_train": "all"}
    spec = parse_spec(settings(adapter={"kind": "lora", "rank": 2}, dp=PROMISE, training=training))
    assert run_cell(prepare(spec), folder)
    return folder


def test_a_private_run_says_what_it_promised_and_whom_it_cost(private: RunFolder) -> None:
    record = private.metrics()["dp"]
    assert record["steps"] == 3
    assert record["expected_rows"] == 32
    assert record["sample_rate"] == pytest.approx(32 / 96)
    assert 7.9 < record["epsilon_spent"] <= record["epsilon"] == 8
    from fairlora.training.dp_budget import epsilon_of

    again = epsilon_of(record["noise_multiplier"], 32 / 96, 3, 1e-4, "rdp")
    assert record["epsilon_spent"] == pytest.approx(again)
    cost = record["by_group"]
    assert set(cost) == {"skin_tone", "renderer"}
    tones = cost["skin_tone"].values()
    assert sum(one["rows"] for one in tones) == 96
    assert sum(one["rows_a_step"] for one in tones) == pytest.approx(32)
    assert sum(one["drawn"] for one in tones) == cost["renderer"]["noto"]["drawn"]
    assert 0 <= cost["renderer"]["noto"]["clipped_share"] <= 1
    assert 0 < cost["renderer"]["noto"]["kept"] <= 1
    page = run_page(Run(private, private.spec(), private.metrics()))
    text = json.dumps(page)
    assert "Whom privacy costs, by skin_tone" in text
    assert "epsilon 8 at delta 0.0001" in text
    assert "Whoever knows it can take the noise away" in text


def test_a_broken_record_of_a_promise_is_one_line(private: RunFolder, tmp_path: Path) -> None:
    content = json.loads((private.path / "metrics.json").read_text())
    del content["dp"]["noise_multiplier"]
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"metrics\.json.*noise_multiplier"):
        RunFolder(tmp_path).metrics()


def test_the_adapter_is_trained_saved_plainly_and_the_base_is_untouched(
    private: RunFolder, settings: Make, tiny_vit: Path
) -> None:
    from peft import PeftModel
    from safetensors.torch import load_file

    from fairlora.models import load_classifier
    from fairlora.predictions import read_predictions

    saved = load_file(private.path / "adapter" / "adapter_model.safetensors")
    second = [value for key, value in saved.items() if "lora_B" in key]
    assert second  # which begins as zeros
    assert all(float(value.abs().max()) > 0 for value in second)
    assert not any("_module" in key for key in saved)
    base = load_classifier(str(tiny_vit), ("female", "male"), kind="image")
    before = {key: value.clone() for key, value in base.model.state_dict().items()}
    loaded: Any = PeftModel.from_pretrained(base.model, str(private.path / "adapter"))
    kept = dict(loaded.named_parameters())
    for key, value in before.items():
        if "classifier" not in key:
            own = [v for name, v in kept.items() if name.endswith(key)] or [
                v for name, v in kept.items() if name.replace(".base_layer", "").endswith(key)
            ]
            assert torch.equal(own[0], value), key
    table = read_predictions(private.predictions).select("test")
    examples = prepare(private.spec()).examples.part("test")
    from fairlora.training import ImageCollator, ImageDataset

    rows = ImageDataset(examples, base.preprocessing)
    pixels = ImageCollator(base.preprocessing)([rows[k] for k in range(8)])["pixel_values"]
    with torch.no_grad():
        logits = loaded.eval()(pixel_values=pixels, **base.forward_arguments).logits
    probs = dict(zip(map(str, table.ids), np.asarray(table.probs), strict=True))
    own_probs = np.stack([probs[str(one)] for one in examples.ids[:8]])
    assert np.allclose(logits.softmax(1).numpy(), own_probs, atol=1e-5)


def test_the_same_settings_give_the_same_weights_and_secret_draws_do_not(
    private: RunFolder, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    def weights(folder: RunFolder) -> dict[str, Any]:
        return dict(load_file(folder.path / "adapter" / "adapter_model.safetensors"))

    own, spec = weights(private), private.spec()
    again = RunFolder(tmp_path / "again")
    run_cell(prepare(spec), again)
    assert all(torch.equal(value, own[key]) for key, value in weights(again).items())
    assert spec.dp is not None
    secret = spec.model_copy(update={"dp": spec.dp.model_copy(update={"draws": "secret"})})
    other = RunFolder(tmp_path / "secret")
    run_cell(prepare(secret), other)
    assert not all(torch.equal(value, own[key]) for key, value in weights(other).items())
    assert other.metrics()["dp"]["draws"] == "secret"
    assert not any("take the noise away" in note for note in other.metrics()["notes"])


def test_a_causal_model_is_trained_with_a_promise_and_packed_texts_are_refused(
    tmp_path: Path,
) -> None:
    from safetensors.torch import load_file

    from fairlora.data.tiny import write_tiny
    from fairlora.models.tiny_language import write_tiny_language_model

    model = write_tiny_language_model("meta-llama/Llama-2-7b-hf", tmp_path / "llama")
    training = {"max_steps": 2, "batch_size": 4, "select": "last", "learning_rate": 0.01}
    settings = {
        "data": {"name": "plain-text", **write_tiny("plain-text", tmp_path / "texts", rows=60)},
        "model": {"id": str(model), "max_length": 64},
        "adapter": {"kind": "lora", "rank": 2},
        "training": {**training, "pack": False, "gradient_accumulation": 2},
        "dp": PROMISE,
    }
    folder = RunFolder(tmp_path / "run")
    run_cell(prepare(parse_spec(settings)), folder)
    record = folder.metrics()["dp"]
    assert record["steps"] == 2
    assert record["expected_rows"] == 8
    (groups,) = record["by_group"].values()
    assert sum(one["rows"] for one in groups.values()) == folder.metrics()["rows"]["train"]
    saved = load_file(folder.path / "adapter" / "adapter_model.safetensors")
    assert all(float(v.abs().max()) > 0 for k, v in saved.items() if "lora_B" in k)
    text = json.dumps(comparison_page([Run(folder, folder.spec(), folder.metrics())], title="x"))
    assert "epsilon 8 at delta 0.0001" in text
    assert "Differential privacy" in text
    yelp = {"name": "yelp-md-gender", **write_tiny("yelp-md-gender", tmp_path / "yelp", rows=60)}
    settings |= {"data": yelp, "training": {**training, "pack": True}}
    with pytest.raises(InputError, match=r"training\.pack: a text may be in two blocks"):
        prepare(parse_spec(settings))


def test_the_promise_is_part_of_the_identity_and_of_the_name(settings: Make) -> None:
    plain = parse_spec(settings())
    specs = [plain, *(parse_spec(settings(dp={**PROMISE, "epsilon": e})) for e in (8, 2))]
    specs.append(parse_spec(settings(dp={**PROMISE, "clip": 0.5})))
    known = [identity(spec, "data", "model") for spec in specs]
    assert len(set(known)) == 4
    assert "-eps8-" in cell_name(specs[1], known[1])
    assert "eps" not in cell_name(plain, known[0])
    assert parse_spec(parse_spec(settings(dp=PROMISE)).model_dump(mode="json")).dp == specs[1].dp


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "erm"])
def test_no_objective_but_plain_training_is_trained_with_dp(settings: Make, name: str) -> None:
    with pytest.raises(InputError, match="only erm can be trained with dp"):
        parse_spec(settings(dp=PROMISE, objective={"name": name}))


@pytest.mark.parametrize(
    ("sections", "found"),
    [
        ({"dp": {"epsilon": 0}}, r"dp\.epsilon"),
        ({"dp": {"epsilon": -1}}, r"dp\.epsilon"),
        ({"dp": {"epsilon": float("inf")}}, r"dp\.epsilon"),
        ({"dp": {}}, r"dp\.epsilon"),
        ({"dp": {"epsilon": 8, "delta": 1}}, r"dp\.delta"),
        ({"dp": {"epsilon": 8, "clip": 0}}, r"dp\.clip"),
        ({"dp": {"epsilon": 8, "noise": 1}}, r"dp\.noise"),
        ({"dp": PROMISE, "objective": {"name": "loss-variance"}}, "losses of the others"),
        ({"dp": PROMISE, "objective": {"name": "group-dro"}}, "losses of all groups"),
        ({"dp": PROMISE, "objective": {"name": "loss-gap"}}, "which group is worst"),
        ({"dp": PROMISE, "objective": {"name": "reweight"}}, "counted from the private rows"),
        ({"dp": PROMISE, "adapter": {"kind": "dora"}}, "dp with adapter dora: .*lora, rslora"),
        ({"dp": PROMISE, "adapter": {"fields": {"use_dora": True}}}, "without use_dora"),
        ({"dp": PROMISE, "adapter": {"kind": "ia3"}}, "dp with adapter ia3"),
        ({"dp": PROMISE, "adapter": {"fields": {"init_lora_weights": "pissa"}}}, "base weights"),
        ({"dp": PROMISE, "training": {"precision": "bfloat16"}}, "above clip"),
        ({"dp": PROMISE, "training": {"until_loss": 0.3}}, "when training ends would tell"),
        ({"dp": PROMISE, "training": {"exact_accumulation": True}}, "in parts of batch_size"),
        ({"dp": PROMISE, "last_layer": {}}, "read again, without noise"),
        ({"dp": PROMISE, "model": {"quantize": "4bit"}}, "quantize"),
    ],
)
def test_what_would_break_a_promise_is_one_line(
    settings: Make, sections: dict[str, Any], found: str
) -> None:
    with pytest.raises(InputError, match=found) as refused:
        parse_spec(settings(**sections))
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_without_opacus_one_line_names_the_extra(
    settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "opacus"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opacus", None)
    with pytest.raises(InputError, match=r"dp: .*pip install 'fairlora\[dp\]', or leave dp out"):
        run_cell(prepare(parse_spec(settings(dp=PROMISE))), RunFolder(tmp_path / "run"))


def test_automatic_precision_is_float32_and_private_runs_train_alone(settings: Make) -> None:
    fast = Precision(used="bfloat16", float32=1.0, bfloat16=9.0)
    private, plain = parse_spec(settings(dp=PROMISE)), parse_spec(settings())
    assert fast.resolve(private).training.precision == "float32"
    assert fast.resolve(plain).training.precision == "bfloat16"
    jobs = [Job(str(k), spec.to_yaml(), str(k)) for k, spec in enumerate([private, private, plain])]
    assert [len(pack) for pack in packs(jobs, 4)] == [1, 1, 1]
    assert [len(pack) for pack in packs([*jobs, jobs[2]], 4)] == [1, 1, 2]


def study(**more: Any) -> Any:
    content = {"methods": ["lora", "full"], "epsilons": ["none", 8, 2], "dp": {"delta": 1e-4}}
    return parse_study({**content, **more})


def test_epsilons_are_an_axis_of_a_study() -> None:
    arms = expand(study())
    names = [arm.name for arm in arms]
    assert len(arms) == 6
    assert "LoRA, rank 8, strength 0, epsilon 2" in "; ".join(n.split(", ", 2)[2] for n in names)
    assert [arm.place["epsilon"] for arm in arms[:3]] == ["none", "8", "2"]
    assert arms[0].spec.dp is None
    dp = arms[2].spec.dp
    assert dp is not None
    assert (dp.epsilon, dp.delta) == (2, 1e-4)
    pairs = compared_arms(arms, "LoRA", "full")
    assert {(a.epsilon, b.epsilon) for a, b in pairs} == {(a.epsilon, a.epsilon) for a in arms[:3]}
    # A method's own epsilon is over the axis; without either a study has no such coordinate.
    own = study(methods=["lora", {"adapter": "full", "dp": {"epsilon": 4}}])
    assert [a.place["epsilon"] for a in expand(own) if a.method == "full"] == ["4"]
    assert "epsilon" not in expand(parse_study({"methods": ["lora"]}))[0].place
    with pytest.raises(InputError, match=r"dp\.epsilon"):
        expand(parse_study({"dp": {"delta": 1e-5}}))
    with pytest.raises(InputError, match="epsilons"):
        study(epsilons=[0])
    with pytest.raises(InputError, match="others"):
        expand(study(strengths=[1.0], methods=["lora"]))


def test_a_plan_says_what_private_runs_do_otherwise() -> None:
    from fairlora.study.runs.plan import _private

    found = study(engine={"kind": "inline", "stack": 4})
    stacked, precision = _private(found, expand(found))
    assert "not stacked" in stacked
    assert "float32" in precision
    alike = study(training={"precision": "float32"})
    assert _private(alike, expand(alike)) == []
    plain = parse_study({"engine": {"kind": "inline", "stack": 4}})
    assert _private(plain, expand(plain)) == []


@pytest.fixture(scope="module")
def results(settings: Make, private: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """LoRA without privacy, at epsilon 8 and at epsilon 2: a study, and its results."""
    data, model = private.spec().data, private.spec().model
    found = study(
        methods=[{"adapter": {"kind": "lora", "rank": 2}}],
        data={**data.model_dump(mode="json")},
        models=model.id,
        seeds=1,
        training={**settings()["training"], "batch_size": 16, "gradient_accumulation": 2},
        dp={"delta": 1e-4, "accountant": "rdp"},
        audit={"positive": "male"},
    )
    root, arms = tmp_path_factory.mktemp("epsilons"), []
    for number, arm in enumerate(expand(found)):
        folder = RunFolder(root / str(number))
        run_cell(prepare(arm.at(0)), folder)
        arms.append(ArmResult(arm, (Run(folder, folder.spec(), folder.metrics()),), planned=1))
    return found, Results(tuple(arms))


def test_a_study_shows_accuracy_and_gaps_against_epsilon_and_whom_it_costs(results: Any) -> None:
    found, done = results
    (setting,) = done.settings()
    names = [member.name for member in setting.members]
    assert names == ["LoRA, epsilon none", "LoRA, epsilon 8", "LoRA, epsilon 2"]
    charts = {chart["title"]: chart for chart in epsilons(setting)}
    accuracy = charts["Accuracy against epsilon"]
    (line,) = accuracy["series"]
    assert [point["x"] for point in line["points"]] == [2.0, 8.0]
    assert accuracy["references"][0]["name"] == "LoRA, epsilon none"
    values = [member.runs[0].audit["overall"]["accuracy"]["value"] for member in setting.members]
    assert [point["y"] for point in line["points"]] == [values[2], values[1]]
    assert accuracy["references"][0]["value"] == values[0]
    groups = charts["Accuracy by skin_tone against epsilon: LoRA"]
    assert [series["name"] for series in groups["series"]] == [
        "epsilon none", "epsilon 8", "epsilon 2"
    ]  # fmt: skip
    by_group = setting.members[2].runs[0].audit["by_group"]["skin_tone"]
    for category, point in zip(groups["categories"], groups["series"][2]["points"], strict=True):
        assert point["y"] == by_group[category["label"]]["accuracy"]["value"]
    assert any(title.startswith("Accuracy gap by skin_tone against epsilon") for title in charts)
    page = page_of(study_parts(found, done), "title", "", {}, [])
    tables = {table["title"]: table for table in page["tables"]}
    promised = tables["Differential privacy"]
    assert [row["cells"][1]["text"] for row in promised["rows"]] == ["8", "2"]
    scarce = tables["Does privacy cost scarce groups more?"]["rows"]
    assert [row["cells"][0]["text"] for row in scarce] == ["LoRA, epsilon 8", "LoRA, epsilon 2"]
    group = scarce[1]["cells"][1]["text"].removeprefix("skin_tone: ")
    rows = setting.members[2].runs[0].metrics["dp"]["by_group"]["skin_tone"]
    assert rows[group]["rows"] == min(numbers["rows"] for numbers in rows.values())
    plain = setting.members[0].runs[0].audit["by_group"]["skin_tone"]
    change = by_group[group]["accuracy"]["value"] - plain[group]["accuracy"]["value"]
    assert scarce[1]["cells"][2]["text"] == without_minus_zero(f"{100 * change:.1f}")
    cost = tables["Whom privacy costs, by skin_tone"]
    shown = cost["rows"][0]["cells"]
    record = setting.members[1].runs[0].metrics["dp"]["by_group"]["skin_tone"][shown[1]["text"]]
    assert shown[2]["text"] == str(record["rows"])
    assert shown[4]["text"] == f"{100 * record['clipped_share']:.1f}"


def test_compared_runs_are_told_apart_by_their_epsilon(results: Any) -> None:
    runs = [run for result in results[1].arms for run in result.runs]
    page = comparison_page(runs, title="x")
    text = json.dumps(page)
    assert "LoRA (epsilon 8)" in text
    assert "LoRA (without privacy)" in text
    # Private against plain, at the same adapter.
    assert page["findings"]


def test_an_attack_sets_its_bound_beside_the_promise(
    private: RunFolder, fairlora: Callable[..., Any]
) -> None:
    done = fairlora("attack", private.path, "--permutations", 20, "--json")
    assert done.code == 0, done.err
    content = json.loads(done.out)
    assert content["settings"]["epsilon"] == 8
    assert content["settings"]["delta"] == 1e-4
    (attack,) = content["attacks"].values()
    bound = attack["overall"]["epsilon"]
    assert 0 <= bound["value"] < 8
    assert attack["by_group"]["skin_tone"]
    page = fairlora("attack", private.path, "--permutations", 20, "--full")
    assert "Empirical epsilon, lower bound" in page.out
