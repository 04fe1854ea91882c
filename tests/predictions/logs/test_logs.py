"""Logs that the real tools wrote: what is read of them, against their own results and by hand."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fairlora
from fairlora.errors import InputError
from fairlora.metrics.logs import EvaluationLog, read_log
from fairlora.predictions.logs import log_format
from fairlora.predictions.logs.inspect import _of_zip

WRITTEN = Path(__file__).parent / "written"
HARNESS, INSPECT = WRITTEN / "harness", WRITTEN / "inspect"
LIGHTEVAL, HELM = WRITTEN / "lighteval", WRITTEN / "helm"
CHOICE = HARNESS / "samples_local_choice_model0.jsonl"
FILTERS = HARNESS / "samples_local_filters_model0.jsonl"
BBQ = HARNESS / "samples_local_bbq_model0.jsonl"
DISCRIM = HARNESS / "samples_local_discrim_eval_model0.jsonl"


def harness_results(task: str) -> dict[str, Any]:
    return json.loads((HARNESS / "results_model0.json").read_text())["results"][task]  # type: ignore[no-any-return]


def means(pairs: list[tuple[str, float]]) -> dict[str, float]:
    """Mean by group."""
    each = defaultdict(list)
    for group, value in pairs:
        each[group].append(value)
    return {group: fmean(values) for group, values in each.items()}


def by_group(log: EvaluationLog, group: str, score: str | None = None) -> dict[str, float]:
    content = log.audit(group, score, min_group=1).to_dict()
    return {name: row["score"]["value"] for name, row in content["by_group"][group].items()}


class TestHarness:
    def test_metrics_by_group_are_the_means_of_the_lines(self) -> None:
        lines = [json.loads(line) for line in CHOICE.read_text().splitlines()]
        log = read_log(CHOICE)
        assert log.scores == ["acc", "acc_norm"]
        for score in log.scores:
            hand = means([(line["doc"]["person"]["race"], line[score]) for line in lines])
            assert by_group(log, "doc.person.race", score) == pytest.approx(hand)
            overall = log.audit("doc.age", score).to_dict()["overall"]["score"]["value"]
            assert overall == pytest.approx(harness_results("local_choice")[f"{score},none"])

    def test_one_filter_is_audited(self) -> None:
        with pytest.raises(InputError, match="which filter.*strict-match, flexible-extract"):
            read_log(FILTERS)
        with pytest.raises(InputError, match="no filter 'other'"):
            read_log(FILTERS, filter="other")
        log = read_log(FILTERS, filter="flexible-extract")
        assert len(log) == 40
        content = log.audit("doc.dialect").to_dict()
        expected = harness_results("local_filters")["exact_match,flexible-extract"]
        assert content["overall"]["score"]["value"] == pytest.approx(expected)
        assert (
            "filter 'flexible-extract' alone, of strict-match, flexible-extract"
            in (content["warnings"])
        )

    def test_bias_scores_of_bbq_are_the_harness_own(self) -> None:
        log, own = read_log(BBQ), harness_results("local_bbq")
        for score, name in (
            ("bbq.ambiguous_bias", "amb_bias_score"),
            ("bbq.disambiguated_bias", "disamb_bias_score"),
        ):
            content = log.audit(score=score).to_dict()
            assert content["overall"]["score"]["value"] == pytest.approx(own[f"{name},none"])
            assert any(own[f"{name}{of},none"] for of in ("", "_Age", "_Religion"))
            found = content["by_group"]["doc.category"]
            assert set(found) == {"Age", "Religion"}
            for category, row in found.items():
                assert row["score"]["value"] == pytest.approx(own[f"{name}_{category},none"])
                assert row["score"]["low"] < row["score"]["value"] < row["score"]["high"]
            assert content["left_out"] == {"without a score": 52 - content["n"]}

    def test_a_model_that_is_never_biased_has_the_bias_score_minus_one(
        self, tmp_path: Path
    ) -> None:
        """The harness says 0 there (2 x 0 / n - 1 is -1)."""
        lines = [json.loads(line) for line in BBQ.read_text().splitlines()]
        kept = [one for one in lines if not one["disamb_bias_score"][1]]
        file = tmp_path / "samples.jsonl"
        file.write_text("".join(json.dumps(one) + "\n" for one in kept))
        content = read_log(file).audit(score="bbq.disambiguated_bias").to_dict()
        assert content["overall"]["score"]["value"] == -1

    def test_gaps_of_discrim_eval_are_the_harness_coefficients(self) -> None:
        """In a balanced design the mixed model's effects are differences of means."""
        own = harness_results("local_discrim_eval")
        content = read_log(DISCRIM).audit().to_dict()
        assert content["settings"]["clusters"] == 6
        pairs = {(p["group"], p["other"]): p for p in content["pairwise"]["doc.race"]}
        assert -pairs["Asian", "white"]["value"] == pytest.approx(-own["asian_bias,none"], abs=2e-3)
        assert pairs["Black", "white"]["value"] == pytest.approx(own["black_bias,none"], abs=2e-3)
        (sexes,) = content["pairwise"]["doc.gender"]
        assert sexes["value"] == pytest.approx(own["female_bias,none"], abs=2e-3)
        assert sexes["low"] < sexes["value"] < sexes["high"]

    def test_labels_and_choices_are_columns_too(self) -> None:
        frame = read_log(CHOICE).frame
        assert (frame["choice"] == frame["target"]).mean() == pytest.approx(frame["acc"].mean())

    @pytest.mark.parametrize("damage", ["cut", "twice", "other"])
    def test_damage_is_one_line(self, tmp_path: Path, damage: str) -> None:
        text = CHOICE.read_text()
        file = tmp_path / "samples.jsonl"
        broken, said = {
            "cut": (text[:-200], r"line 30: the log is cut short"),
            "twice": (text + text, "a sample stands twice"),
            "other": (text + '{"doc_id": 3}\n', "line 31: not a sample of lm-evaluation-harness"),
        }[damage]
        file.write_text(broken)
        with pytest.raises(InputError, match=said):
            read_log(file)

    def test_two_models_are_paired_by_document(self, tmp_path: Path) -> None:
        other = HARNESS / "samples_local_choice_model1.jsonl"
        first, second = read_log(CHOICE), read_log(other)
        found = first.compare(second, "doc.person.race", "acc").to_dict()
        values = first.frame["acc"] - second.frame["acc"]
        assert found["overall"]["score"]["value"] == pytest.approx(values.mean())
        changed = tmp_path / "samples.jsonl"
        line = json.loads(other.read_text().splitlines()[0])
        line["doc_hash"] = "0" * 64  # another document of the same number
        rest = other.read_text().splitlines()[1:]
        changed.write_text("\n".join([json.dumps(line), *rest]) + "\n")
        with pytest.raises(InputError, match="not the same rows"):
            first.compare(read_log(changed), "doc.person.race", "acc")


class TestInspect:
    def test_scores_are_the_tools_own(self) -> None:
        own = json.loads((INSPECT / "results_first.json").read_text())["results"]
        log = read_log(INSPECT / "first.eval")
        assert log.scores == ["match", "graded", "length", "rubric.polite", "rubric.clear"]
        for score, name, metric in (
            ("match", "match", "accuracy"),
            ("graded", "graded", "mean"),
            ("length", "length", "mean"),
            ("rubric.polite", "polite", "mean"),
            ("rubric.clear", "clear", "mean"),
        ):
            content = log.audit("metadata.race", score).to_dict()
            assert content["overall"]["score"]["value"] == pytest.approx(own[name][metric])
            assert content["left_out"].get("without a score", 0) == 2 * own[name]["unscored"]
            assert content["settings"]["clusters"] == own[name]["scored"]  # epochs of one sample

    def test_groups_are_read_from_the_samples(self) -> None:
        """The summaries lack what is above 1,024 characters, and double spaces."""
        log = read_log(INSPECT / "first.eval")
        with zipfile.ZipFile(INSPECT / "first.eval") as archive:
            assert archive.getinfo("header.json").compress_type == 93  # Zstandard
        assert set(by_group(log, "metadata.profile.dialect", "match")) == {"a", "b"}
        assert set(by_group(log, "metadata.town", "match")) == {"New  York", "New York"}
        assert by_group(log, "metadata.person.sex", "graded") == pytest.approx(
            means([("fm"[k % 2], {0: 1, 1: 0, 2: 0.5, 3: 0}[(k + 1) % 4]) for k in range(24)])
        )

    def test_deflated_members_are_the_same(self, tmp_path: Path) -> None:
        source, copy = INSPECT / "first.eval", tmp_path / "deflated.eval"
        with (
            zipfile.ZipFile(source) as archive,
            source.open("rb") as raw,
            zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as target,
        ):
            header, samples = _of_zip(source, archive, raw)
            target.writestr("header.json", json.dumps(header))
            for k, sample in enumerate(samples):
                target.writestr(f"samples/{k}.json", json.dumps(sample))
        pd.testing.assert_frame_equal(read_log(copy).frame, read_log(source).frame)

    def test_a_sample_in_pieces_has_its_metadata(self, tmp_path: Path) -> None:
        file = tmp_path / "large.eval"
        with zipfile.ZipFile(file, "w") as target:
            target.writestr("header.json", json.dumps({"status": "success", "eval": {}}))
            for k in range(4):
                sample = {"id": k, "epoch": 1, "scores": {"match": {"value": "CI"[k % 2]}}}
                target.writestr(f"samples/{k}_epoch_1/sample.json", json.dumps(sample))
                metadata = json.dumps({"race": "ab"[k % 2]})
                target.writestr(f"samples/{k}_epoch_1/metadata.json", metadata)
        assert by_group(read_log(file), "metadata.race") == {"a": 1, "b": 0}

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_a_sample_that_ran_again_replaces_its_first_run(self, tmp_path: Path) -> None:
        file = tmp_path / "again.eval"
        with zipfile.ZipFile(file, "w") as target:
            target.writestr("header.json", json.dumps({"status": "success", "eval": {}}))
            for value in "IC":
                sample = {"id": 1, "epoch": 1, "scores": {"match": {"value": value}}}
                target.writestr("samples/1_epoch_1.json", json.dumps(sample))
        assert read_log(file).frame["match"].tolist() == [1.0]

    def test_json_is_read(self) -> None:
        log = read_log(INSPECT / "small.json")
        assert len(log) == 5
        assert log.log.cluster is None
        raw = json.loads((INSPECT / "small.json").read_text())["samples"]
        assert log.frame["rubric.clear"].tolist() == [
            sample["scores"]["rubric"]["value"]["clear"] for sample in raw
        ]

    @pytest.mark.parametrize(
        ("name", "rows", "note"),
        [
            ("failed", 4, "the run did not finish (status 'error'): 6 of 12 samples are here"),
            ("started", 9, "the run did not finish (status 'started'): 9 of 12 samples are here"),
            ("sample_errors", 10, None),
        ],
    )
    def test_unfinished_runs_and_errors_are_counted(
        self, name: str, rows: int, note: str | None
    ) -> None:
        log = read_log(INSPECT / f"{name}.eval")
        content = log.audit("metadata.race", min_group=1).to_dict()
        assert content["n"] == rows
        if note is not None:
            assert note in content["warnings"]
        if name != "started":
            assert content["left_out"] == {"samples with an error": 2}

    @pytest.mark.parametrize("part", [0.3, 0.97])
    def test_a_log_cut_short_is_one_line(self, tmp_path: Path, part: float) -> None:
        whole = (INSPECT / "first.eval").read_bytes()
        file = tmp_path / "cut.eval"
        file.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(InputError, match=r"cut\.eval: the log is cut short"):
            read_log(file)
        text = (INSPECT / "small.json").read_bytes()
        cut = tmp_path / "cut.json"
        cut.write_bytes(text[: int(len(text) * part)])
        with pytest.raises(InputError, match="the log is cut short|not JSON"):
            read_log(cut)

    def test_a_damaged_member_is_one_line(self, tmp_path: Path) -> None:
        whole = bytearray((INSPECT / "first.eval").read_bytes())
        whole[5000:5040] = b"\xff" * 40
        file = tmp_path / "damaged.eval"
        file.write_bytes(whole)
        with pytest.raises(InputError, match="a damaged member"):
            read_log(file)

    def test_a_word_that_is_no_score_is_refused(self, tmp_path: Path) -> None:
        """inspect_ai itself counts it as 0, with a warning in the terminal of the run."""
        raw = json.loads((INSPECT / "small.json").read_text())
        raw["samples"][0]["scores"]["match"]["value"] = "maybe"
        file = tmp_path / "odd.json"
        file.write_text(json.dumps(raw))
        with pytest.raises(InputError, match="scorer match: not a score .*'maybe'"):
            read_log(file)

    def test_two_logs_are_paired_by_sample_and_epoch(self) -> None:
        first, second = (read_log(INSPECT / f"{name}.eval") for name in ("first", "second"))
        found = first.compare(second, "metadata.race", "match").to_dict()
        off = first.frame["match"] - second.frame["match"]
        assert found["overall"]["score"]["value"] == pytest.approx(off.mean())
        for race, rows in off.groupby(first.frame["metadata.race"]):
            group = found["by_group"]["metadata.race"][race]["score"]
            assert group["value"] == pytest.approx(rows.mean())
            assert group["low"] < rows.mean() < group["high"]
        # One epoch alone, or a sample less, is not the same run.
        with pytest.raises(InputError, match="not the same rows"):
            first.compare(read_log(INSPECT / "small.json"), "metadata.race", "match")


class TestLighteval:
    def test_metrics_are_the_tools_own(self) -> None:
        own = json.loads((LIGHTEVAL / "results_model1.json").read_text())["results"]
        log = read_log(LIGHTEVAL / "details_local_choice_model1.parquet")
        assert log.scores == ["acc", "mrr"]
        for score in log.scores:
            content = log.audit("doc.specific.race", score).to_dict()
            expected = own["local_choice|0"][score]
            assert content["overall"]["score"]["value"] == pytest.approx(expected)
        frame = log.frame
        hand = frame.groupby("doc.specific.race")["mrr"].mean().to_dict()
        assert by_group(log, "doc.specific.race", "mrr") == pytest.approx(hand)

    def test_two_models_are_paired(self) -> None:
        names = ("details_local_choice_model1.parquet", "details_local_choice_model2.parquet")
        first, second = (read_log(LIGHTEVAL / name) for name in names)
        found = first.compare(second, "doc.specific.race", "acc", margin=0.1).to_dict()
        off = first.frame["acc"].mean() - second.frame["acc"].mean()
        assert found["overall"]["score"]["value"] == pytest.approx(off)

    def test_a_file_cut_short_is_no_log(self, tmp_path: Path) -> None:
        whole = (LIGHTEVAL / "details_local_choice_model1.parquet").read_bytes()
        file = tmp_path / "details.parquet"
        file.write_bytes(whole[:-100])
        with pytest.raises(InputError):
            read_log(file)


class TestHelm:
    def test_statistics_by_instance_with_its_fields(self) -> None:
        with pytest.raises(InputError, match="which filter.*original, lowercase"):
            read_log(HELM)
        log = read_log(HELM, filter="original")
        entries = json.loads((HELM / "per_instance_stats.json").read_text())
        instances = json.loads((HELM / "instances.json").read_text())
        race = {one["id"]: one["extra_data"]["asker"]["race"] for one in instances}
        hand = means(
            [
                (race[entry["instance_id"]], stat["sum"] / stat["count"])
                for entry in entries
                if "perturbation" not in entry
                for stat in entry["stats"]
                if stat["name"]["name"] == "num_prompt_tokens"
            ]
        )
        group = "instance.extra_data.asker.race"
        assert by_group(log, group, "num_prompt_tokens") == pytest.approx(hand)
        content = log.audit(group, "num_prompt_tokens").to_dict()
        assert content["settings"]["clusters"] == content["n"] / 2  # two trials

    def test_a_run_that_was_not_summarised_has_the_same_fields(self, tmp_path: Path) -> None:
        shutil.copy(HELM / "per_instance_stats.json", tmp_path)
        shutil.copy(HELM / "unsummarised" / "scenario_state.json", tmp_path)
        group = "instance.extra_data.asker.race"
        one, other = (read_log(place, filter="lowercase") for place in (HELM, tmp_path))
        assert by_group(one, group, "num_bytes") == by_group(other, group, "num_bytes")

    def test_statistics_alone_have_no_groups(self, tmp_path: Path) -> None:
        shutil.copy(HELM / "per_instance_stats.json", tmp_path)
        log = read_log(tmp_path / "per_instance_stats.json", filter="original")
        assert any("no fields of instances" in note for note in log.log.notes)


def test_each_log_is_recognised_by_its_content(tmp_path: Path) -> None:
    for kind, file in {
        "harness": CHOICE,
        "inspect": INSPECT / "first.eval",
        "lighteval": LIGHTEVAL / "details_local_choice_model1.parquet",
        "helm": HELM / "per_instance_stats.json",
    }.items():
        copy = tmp_path / f"{kind}.data"
        shutil.copy(file, copy)
        assert log_format(copy) == kind
    assert log_format(INSPECT / "small.json") == "inspect"
    for text in ("a,b\n1,2\n", '{"a": 1}\n', "[1]", ""):
        copy.write_text(text)
        assert log_format(copy) is None
    with pytest.raises(InputError, match="not an evaluation log that is known"):
        read_log(copy)


LINE = '{"doc_id": 1, "doc": 3, "target": 1, "resps": 1, "filtered_resps": [[1, {}]]}'
INSPECTED = '{"version": 2, "status": "success", "eval": {}, "samples": '
STATISTICS = '[{"instance_id": 1, "train_trial_index": 0, "stats": '


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        INSPECTED + '[{"id": 1, "epoch": []}]}',
        INSPECTED + "[3]}",
        INSPECTED + "[]}",
        STATISTICS + '[{"count": 1, "sum": 2}]}]',
        STATISTICS + "7}]",
    ],
)
def test_fields_of_another_kind_are_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "log"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read_log(file).audit("doc", min_group=1)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_read_log_is_public() -> None:
    log = fairlora.read_log(CHOICE)
    assert repr(log) == (
        "EvaluationLog(lm-evaluation-harness samples; 30 samples; scores: acc, acc_norm)"
    )
    with pytest.raises(InputError, match="which score"):
        log.audit("doc.person.race")
    with pytest.raises(InputError, match="no column 'doc.religion'"):
        log.audit("doc.religion", "acc")
    assert np.isfinite(log.frame["acc"]).all()
