"""A language run's table of texts: what stands in it, whose base it has, and what reads it."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy.stats import kstest

from fairlora.errors import InputError
from fairlora.models import load_language
from fairlora.models.tiny_language import write_tiny_language_model
from fairlora.predictions.texts import read_texts
from fairlora.privacy import roc
from fairlora.privacy.attacks import OF_TEXTS, run_attacks
from fairlora.privacy.evidence import Evidence
from fairlora.study import RunFolder, parse_spec
from fairlora.study.membership.scores import Trial, read_scores, scores_of, write_scores
from fairlora.study.membership.texts import texts_of
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.prepare import prepare
from fairlora.training import LanguageCollator

Train = Callable[..., RunFolder]
ROWS = 120
WORDS = ["nurse", "doctor", "teacher", "lawyer", "reads", "writes", "likes", "knows", "the", "a"]


def write_rows(path: Path, *, prompts: bool = False) -> None:
    """Texts of two groups, half of them members; one text of one letter, one that is long."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "text", "answer", "place", "split"])
        for k in range(ROWS):
            text = " ".join(rng.choice(WORDS, size=int(rng.integers(4, 9))))
            if not prompts:
                text = "x" if k == 0 else text * 9 if k == 1 else text
            split = ("train", "test")[k % 2] if k < ROWS - 8 else "validation"
            answer = " ".join(rng.choice(WORDS, size=3)) if prompts else ""
            rows.writerow([f"t{k}", text, answer, "northsouth"[5 * (k // 2 % 2) :][:5], split])


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Trains a tiny model once for each set of settings; gives the run's folder."""
    root = tmp_path_factory.mktemp("texts")
    model = write_tiny_language_model("meta-llama/Llama-2-7b-hf", root / "llama")
    write_rows(root / "texts.csv")
    write_rows(root / "prompts.csv", prompts=True)
    made: dict[str, RunFolder] = {}

    def run(kind: str = "lora", *, prompts: bool = False, **training: Any) -> RunFolder:
        key = json.dumps([kind, prompts, training])
        if key not in made:
            data = {"name": "plain-text", "id": "id", "groups": ["place"], "split": "split"}
            data |= {"path": str(root / ("prompts.csv" if prompts else "texts.csv"))}
            data |= {"answer": "answer"} if prompts else {}
            chosen = {"max_steps": 6, "learning_rate": 0.01, "batch_size": 8, "select": "last"}
            spec = parse_spec(
                {
                    "data": data,
                    "model": {"id": str(model), "max_length": 40},
                    "adapter": {"kind": kind, "rank": 2},
                    "training": {**chosen, "pack": False, **training},
                }
            )
            made[key] = RunFolder(root / f"run{len(made)}")
            run_cell(prepare(spec), made[key])
        return made[key]

    return run


@pytest.fixture(scope="module")
def learnt(train: Train) -> RunFolder:
    """A run that knows its members by heart."""
    return train("full", max_steps=250, learning_rate=0.01)


def plain_scores(model: Any, tokenizer: Any, items: list[dict[str, Any]]) -> list[torch.Tensor]:
    """Log-probabilities by one pass a text, without padding."""
    out = []
    for item in items:
        ids = torch.tensor([item["input_ids"]])
        with torch.no_grad():
            logged = torch.log_softmax(model(input_ids=ids).logits[0].double(), -1)
        places = [t for t, label in enumerate(item["labels"]) if label >= 0 and t]
        out.append(torch.stack([logged[t - 1, item["labels"][t]] for t in places]))
    return out


@pytest.mark.parametrize(
    ("kind", "prompts", "how"),
    [
        ("lora", False, "adapter off"),
        ("lora", True, "adapter off"),
        ("pissa", False, "loaded anew"),
        ("full", False, "loaded anew"),
        ("base", False, None),
    ],
)
def test_tokens_are_those_of_the_model_and_of_its_base(
    train: Train, kind: str, prompts: bool, how: str | None
) -> None:
    from fairlora.training import language_rows

    folder = train(kind, prompts=prompts)
    texts, record = read_texts(folder.texts)
    assert record.base == how
    spec = folder.spec()
    prepared = prepare(spec)
    models = [(load_language(str(folder.path)), texts.log_probs)]
    if how is not None:
        assert texts.base_log_probs is not None
        models.append((load_language(spec.model.id, max_length=40), texts.base_log_probs))
    for language, found in models:
        language.max_length = 40
        for split in ("train", "test"):
            rows = np.flatnonzero(texts.split == split)[:6]
            part = prepared.examples.part(split)
            where = [part.ids.tolist().index(one) for one in texts.ids[rows]]
            data = language_rows(part, language, pack=False)
            items = [data[k] for k in where]
            wanted = plain_scores(language.model, language.tokenizer, items)
            for k, own in zip(rows.tolist(), wanted, strict=True):
                np.testing.assert_allclose(found[k], own.numpy(), atol=2e-4)
            batch = LanguageCollator(language.tokenizer)(items)
            assert batch["labels"].shape[0] == len(rows)
    losses = [-texts.log_probs[k].mean() for k in np.flatnonzero(texts.split == "test")]
    assert np.mean(losses) == pytest.approx(folder.metrics()["mean_loss"]["test"], rel=1e-4)


def test_means_spreads_and_sums_are_those_of_the_logits(train: Train) -> None:
    folder = train("base")
    texts, _ = read_texts(folder.texts)
    language = load_language(folder.spec().model.id, max_length=40)
    k = int(np.flatnonzero(texts.ids == "t3")[0])
    with open(folder.spec().data.options["path"], encoding="utf-8") as file:
        text = next(row["text"] for row in csv.DictReader(file) if row["id"] == "t3")
    ids = [*language.tokenizer(text)["input_ids"], language.tokenizer.eos_token_id]
    with torch.no_grad():
        logged = torch.log_softmax(language.model(torch.tensor([ids])).logits[0, :-1].double(), -1)
    p = logged.exp()
    mean = (p * logged).sum(-1)
    sd = (p * (logged - mean[:, None]) ** 2).sum(-1).sqrt()
    np.testing.assert_allclose(texts.means[k], mean, atol=1e-4)
    np.testing.assert_allclose(texts.sds[k], sd, atol=1e-4)
    assert texts.top[k].tolist() == (logged.argmax(-1) == torch.tensor(ids[1:])).tolist()
    assert texts.compressed[k] == len(zlib.compress(text.encode(), 9))
    row = pq.read_table(folder.texts).slice(k, 1).to_pylist()[0]
    assert row["loss"] == pytest.approx(-texts.log_probs[k].mean(), rel=1e-5)
    assert row["log_prob"] == pytest.approx(texts.log_probs[k].sum(), rel=1e-5)
    assert row["tokens"] == len(ids) - 1
    assert row["log_prob_q20"] == pytest.approx(np.quantile(texts.log_probs[k], 0.2), rel=1e-5)
    assert row["place"] in ("north", "south")
    assert "base_loss" not in row


def test_texts_that_were_cut_are_counted_and_scored_as_far(train: Train, fairlora: Any) -> None:
    folder = train("lora")
    texts, record = read_texts(folder.texts)
    cut = texts.ids[texts.cut].tolist()
    assert "t1" in cut
    assert record.cut["test"] == sum(texts.cut[texts.split == "test"])
    assert max(texts.tokens[texts.cut]) == 39
    done = fairlora("attack", folder.path, "--full")
    assert done.code == 0, done.err
    assert "are cut at 40 tokens" in " ".join(done.out.split())


def test_a_text_without_a_token_to_predict_is_left_out_and_counted(
    tmp_path: Path, fairlora: Any
) -> None:
    """A tokenizer that puts nothing before a text, and nothing behind: one letter, one token."""
    model = write_tiny_language_model("meta-llama/Llama-2-7b-hf", tmp_path / "llama")
    path = model / "tokenizer.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["post_processor"] = None
    path.write_text(json.dumps(settings), encoding="utf-8")
    config = model / "tokenizer_config.json"
    said = json.loads(config.read_text(encoding="utf-8"))
    said |= {"eos_token": None, "pad_token": "<unk>", "bos_token": None}
    config.write_text(json.dumps(said), encoding="utf-8")
    write_rows(tmp_path / "texts.csv")
    data = {"name": "plain-text", "id": "id", "groups": ["place"], "split": "split"}
    spec = parse_spec(
        {
            "data": {**data, "path": str(tmp_path / "texts.csv")},
            "model": {"id": str(model), "max_length": 64},
            "adapter": {"kind": "lora", "rank": 2},
            "training": {"max_steps": 1, "batch_size": 8, "select": "last", "pack": False},
        }
    )
    folder = RunFolder(tmp_path / "run")
    run_cell(prepare(spec), folder)
    texts, record = read_texts(folder.texts)
    assert record.without_tokens == {"train": 1, "validation": 0, "test": 0}
    assert "t0" not in texts.ids.tolist()
    assert any("1 texts have no token" in note for note in folder.metrics()["notes"])
    done = fairlora("attack", folder.path, "--full")
    assert "1 training texts and 0 test texts" in " ".join(done.out.split())


def test_a_model_that_learnt_its_texts_gives_its_members_away(
    learnt: RunFolder, fairlora: Any, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    done = fairlora("attack", learnt.path, "--json", "--out", page)
    assert done.code == 0, done.err
    content = json.loads(done.out)
    aucs = {name: one["overall"]["auc"]["value"] for name, one in content["attacks"].items()}
    assert list(aucs) == [
        "ratio to the base", "EZ-MIA", "WBC", "Min-K %++", "Min-K %", "zlib ratio", "LOSS",
    ]  # fmt: skip
    assert min(aucs["ratio to the base"], aucs["LOSS"], aucs["Min-K %"]) > 0.9
    assert content["members"] == content["non_members"] == (ROWS - 8) // 2
    assert set(content["attacks"]["WBC"]["by_group"]["place"]) == {"north", "south"}
    # Members and non-members are drawn alike here, and the base knows no difference.
    assert content["shift"]["p"] > 0.05
    text = page.read_text(encoding="utf-8")
    assert "AUC by place: every attack" in text
    assert "not shown to differ without the fine-tuned model" in text


def test_of_rows_that_nobody_trained_on_no_attack_finds_half(learnt: RunFolder) -> None:
    """Texts of one source, the model trained on others: p-values are uniform."""
    texts, _ = read_texts(learnt.texts)
    ids = texts.ids[texts.split == "test"].astype(str)
    rng = np.random.default_rng(0)
    found = texts_of(learnt, ids, rng.permutation(len(ids)) < len(ids) // 2)
    assert found is not None
    loss = np.array([[-row.mean()] for row in found.tokens.log_probs])
    none = np.zeros((len(ids), 1, 0))
    trained = np.zeros((len(ids), 0), dtype=bool)
    evidence = Evidence(ids, -loss, loss, none, none, trained, tokens=found.tokens)
    scores = run_attacks(evidence, OF_TEXTS)
    p: dict[str, list[float]] = {name: [] for name in scores}
    for _ in range(150):
        member = rng.permutation(len(ids)) < len(ids) // 2
        result = roc(scores, member, permutations=0)
        for name, values in p.items():
            values.append(result.overall(name)["auc"]["p"])
    for name, values in p.items():
        assert kstest(values, "uniform").pvalue > 0.002, name


def test_sides_of_two_sources_are_said_before_anything_else(
    train: Train, fairlora: Any, tmp_path: Path
) -> None:
    folder = train("lora")
    spec = folder.spec().model_dump(mode="json")
    path = tmp_path / "other.csv"
    with open(spec["data"]["path"], encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["split"] == "test":
            row["text"] = row["text"].upper() + " 12345"
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows(rows)
    spec["data"]["path"] = str(path)
    moved = RunFolder(tmp_path / "run")
    run_cell(prepare(parse_spec(spec)), moved)
    done = fairlora("attack", moved.path)
    assert done.code == 0, done.err
    assert "can be told apart without the fine-tuned model" in " ".join(done.out.split())
    assert json.loads(fairlora("attack", moved.path, "--json").out)["shift"]["p"] < 0.05


def test_a_base_has_attacks_that_need_no_other_model(train: Train, fairlora: Any) -> None:
    base = train("base")
    content = json.loads(fairlora("attack", base.path, "--json").out)
    assert set(content["attacks"]) == {"Min-K %++", "Min-K %", "zlib ratio", "LOSS"}
    done = fairlora("attack", base.path, "--full")
    assert "WBC was not run" in " ".join(done.out.split())
    named = fairlora("attack", base.path, "--attack", "ez-mia")
    assert named.code == 2
    assert "nothing was trained: this model is its own base" in named.err


def test_members_that_the_run_never_saw_are_refused(
    train: Train, fairlora: Any, tmp_path: Path
) -> None:
    import shutil

    run = RunFolder(tmp_path / "run")
    shutil.copytree(train("lora").path, run.path)
    table = pq.read_table(run.texts)
    split = table["split"].to_pylist()
    split[split.index("test")] = "train"
    place = table.schema.get_field_index("split")
    pq.write_table(table.set_column(place, "split", pa.array(split)), run.texts)
    broken = fairlora("attack", run.path)
    assert broken.code == 2
    assert "texts.parquet is not as the run wrote it" in broken.err
    run.seal_again(r"texts\.parquet")
    seen = fairlora("attack", run.path)
    assert seen.code == 2
    assert "members that the run did not train on" in seen.err
    assert len(seen.err.strip().splitlines()) == 1


@pytest.mark.parametrize("broken", ["log_probs", "tokens", "id", "means"])
def test_a_broken_table_is_one_line(train: Train, tmp_path: Path, broken: str) -> None:
    table = pq.read_table(train("lora").texts)
    values = table[broken].to_pylist()
    lines = {
        "log_probs": "not finite",
        "tokens": "another number of tokens",
        "id": "an id stands twice",
        "means": "no column 'means'",
    }
    if broken == "log_probs":
        values[0] = [float("nan")] * len(values[0])
    if broken == "id":
        values[0] = values[1]
    if broken == "tokens":
        values[0] += 1
    place = table.schema.get_field_index(broken)
    kept = table.schema.metadata
    if broken == "means":
        table = table.drop_columns(["means"])
    else:
        column = pa.array(values, table.schema.field(broken).type)
        table = table.set_column(place, table.schema.field(broken), column)
    pq.write_table(table.replace_schema_metadata(kept), tmp_path / "texts.parquet")
    with pytest.raises(InputError, match=lines[broken]):
        read_texts(tmp_path / "texts.parquet")


def test_an_audit_reads_the_loss_by_group(train: Train, learnt: RunFolder, fairlora: Any) -> None:
    done = fairlora("audit", learnt.texts, "--json")
    assert done.code == 0, done.err
    content = json.loads(done.out)
    texts, _ = read_texts(learnt.texts)
    test = texts.split == "test"
    losses = np.array([-row.mean() for row in texts.log_probs.rows()])
    north = test & (np.array(texts.groups["place"].tolist()) == "north")
    found = content["by_group"]["place"]["north"]
    assert found["n"] == north.sum()
    assert found["score"]["value"] == pytest.approx(losses[north].mean(), rel=1e-5)
    other = fairlora("audit", learnt.texts, "--score", "base_loss", "--split", "train")
    assert other.code == 0, other.err
    measured = fairlora(
        "audit", learnt.texts, "--numeric", "--label", "base_loss", "--pred", "loss",
        "--group", "place", "--json",
    )  # fmt: skip
    assert measured.code == 0, measured.err
    assert json.loads(measured.out)["overall"]["bias"]["value"] < 0


def test_two_runs_are_compared_text_by_text(train: Train, learnt: RunFolder, fairlora: Any) -> None:
    lora = train("lora")
    audit = fairlora("audit", lora.texts, "--against", learnt.texts, "--json")
    files = fairlora("compare", lora.texts, learnt.texts, "--json")
    assert (audit.code, files.code) == (0, 0), audit.err + files.err
    assert json.loads(audit.out) == json.loads(files.out)
    runs = fairlora("compare", lora.path, learnt.path, "--full")
    assert runs.code == 0, runs.err
    assert "groups of place" in " ".join(runs.out.split())
    three = fairlora("compare", lora.texts, learnt.texts, lora.texts)
    assert three.code == 2
    assert "compared in pairs" in three.err
    tells = fairlora("attack", lora.path, "--against", learnt.path, "--json")
    assert tells.code == 0, tells.err


def test_scores_with_their_shift_are_read_back(learnt: RunFolder, tmp_path: Path) -> None:
    found = scores_of([Trial(0, learnt, ())], OF_TEXTS)
    write_scores(tmp_path / "scores.parquet", found)
    again = read_scores(tmp_path / "scores.parquet")
    assert again.shifts == found.shifts
    assert again.notes == found.notes
    assert found.shift is not None


def test_a_run_can_leave_the_base_or_the_table_out(train: Train) -> None:
    _, record = read_texts(train("lora", score_texts="model").texts)
    assert (record.base, record.no_base) == (None, "training.score_texts: model")
    assert not train("lora", score_texts="no").texts.exists()


def test_packed_runs_score_a_text_a_row(train: Train) -> None:
    texts, record = read_texts(train("lora", pack=True).texts)
    assert len(texts) == ROWS
    assert record.of == {"train": 56, "validation": 8, "test": 56}


@pytest.mark.parametrize(
    ("privacy", "attacks"),
    [
        ({"shadows": 0}, ["base-ratio", "wbc", "loss"]),
        ({"design": "crossed", "shadows": 3}, ["lira-offline-fixed", "base-ratio", "loss"]),
    ],
    ids=["base", "crossed"],
)
def test_a_study_attacks_its_language_models(
    tmp_path: Path, fairlora: Any, privacy: dict[str, Any], attacks: list[str]
) -> None:
    from fairlora.privacy.attacks import ATTACKS
    from fairlora.study.engines.inline import InlineEngine
    from fairlora.study.report.from_disk import report_study
    from fairlora.study.runs.runner import StudyRunner
    from fairlora.study.spec.study import parse_study

    model = write_tiny_language_model("meta-llama/Llama-2-7b-hf", tmp_path / "llama")
    write_rows(tmp_path / "texts.csv")
    crossed = "design" in privacy
    data = {"name": "plain-text", "id": "id", "groups": ["place"], "path": tmp_path / "texts.csv"}
    study = parse_study(
        {
            "name": "memorised",
            "data": {**data, "path": str(data["path"]), **({} if crossed else {"split": "split"})},
            "models": {"id": str(model), "max_length": 40, "label": "tiny"},
            "methods": [{"adapter": "lora", "training": {"learning_rate": 0.01}}]
            + ([] if crossed else ["full"]),
            "ranks": [2],
            "seeds": 1,
            "training": {"max_steps": 4, "batch_size": 8, "select": "last", "pack": False},
            "privacy": {
                **privacy, "attacks": attacks, "permutations": 20, "bootstrap": 200, "fprs": [0.1],
            },
        }
    )  # fmt: skip
    root = tmp_path / "runs" / "memorised"
    outcome = StudyRunner(study, root, InlineEngine()).run()
    assert outcome.reasons == {}
    report_study(study, root, outcome)
    done = fairlora("attack", root, "--full")
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "LoRA: The attack" in said
    assert all(ATTACKS[name].title in said for name in attacks)
    assert "AUC by place: every attack (LoRA)" in said
    assert "without the" in said
    if not crossed:
        assert "Who tells less" in said
        assert "full: The attack" in said


@pytest.mark.parametrize(("kind", "how"), [("lora", "adapter off"), ("pissa", "loaded anew")])
def test_a_bfloat16_run_knows_its_base_and_proves_itself_in_bfloat16(
    train: Train, kind: str, how: str
) -> None:
    folder = train(kind, precision="bfloat16")
    texts, record = read_texts(folder.texts)
    assert record.base == how
    exact, _ = read_texts(train("full").texts)
    assert texts.base_log_probs is not None
    assert exact.base_log_probs is not None
    # The same base as of any other run, in three digits.
    apart = np.abs(texts.base_log_probs.flat - exact.base_log_probs.flat)
    assert 0 < apart.max() < 0.3
    # Both sides of the proof are computed alike: in float32 the folder would be digits away.
    assert folder.metrics()["proved"]["largest"] < (1e-4 if kind == "lora" else 5e-2)


def test_empty_texts_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text\nfirst one\n  \nlast one\n", encoding="utf-8")
    model = write_tiny_language_model("meta-llama/Llama-2-7b-hf", tmp_path / "llama")
    data = {"name": "plain-text", "path": str(tmp_path / "texts.csv")}
    with pytest.raises(InputError, match="empty text"):
        prepare(parse_spec({"data": data, "model": {"id": str(model)}}))


def test_attacks_that_cannot_read_a_study_s_runs_are_refused_before_a_cell_runs(
    tmp_path: Path,
) -> None:
    from fairlora.study.engines.inline import InlineEngine
    from fairlora.study.runs.runner import StudyRunner
    from fairlora.study.spec.study import parse_study

    write_rows(tmp_path / "texts.csv")
    model = write_tiny_language_model("meta-llama/Llama-2-7b-hf", tmp_path / "llama")
    texts = {"name": "plain-text", "path": str(tmp_path / "texts.csv"), "groups": ["place"]}
    pictures = {"name": "people-emoji", "groups": ["skin_tone"], "renderers": ["noto"]}
    for data, training, attack, line in (
        (pictures, {}, "wbc", "the data are to be classified"),
        (texts, {"score_texts": "no"}, "loss", "score_texts"),
    ):
        sections = {"data": data, "training": training, "methods": ["lora"], "seeds": 1}
        if data is texts:
            sections["models"] = {"id": str(model)}
        study = parse_study({**sections, "privacy": {"shadows": 0, "attacks": [attack]}})
        with pytest.raises(InputError, match=line):
            StudyRunner(study, tmp_path / "runs", InlineEngine()).run()
        assert not (tmp_path / "runs").exists()
