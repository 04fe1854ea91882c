"""Write tests/predictions/formats: one small table, as each tool writes it.

    pip install mlflow-skinny wandb pandas pyarrow openpyxl odfpy xlwt liac-arff pyreadstat \\
        msoffcrypto-tool
    MLFLOW_ALLOW_FILE_STORE=true python scripts/format_fixtures.py

`versions.json` beside them says which versions wrote them.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parents[1] / "tests" / "predictions" / "formats"
TOOLS = ("pandas", "pyarrow", "openpyxl", "odfpy", "xlwt", "liac-arff", "pyreadstat")
TOOLS += ("msoffcrypto-tool", "mlflow-skinny", "wandb")
COLUMNS: dict[str, list[Any]] = {
    "id": ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"],
    "y": [1, 1, 0, 0, 1, 1, 0, 0],
    "h": [1, 0, 0, 0, 1, 1, 1, 0],
    "p": [0.9, 0.25, 0.125, 0.375, 0.75, 0.625, 0.5625, 0.0625],
    "race": ["black", "black", "white", "white", "black", "white", "black", None],
    "sex": ["f", "m", "f", "m", "f", "m", "f", "m"],
    "note": ["a, b", 'said "no"', "é", "", "x", "y", "z", "?"],
}


def by_pandas() -> None:
    import pandas as pd

    frame = pd.DataFrame(COLUMNS)
    about = pd.DataFrame({"about": ["predictions of a model"], "year": [2026]})
    for name, engine in (("excel.xlsx", "openpyxl"), ("opendocument.ods", "odf")):
        with pd.ExcelWriter(OUT / name, engine=engine) as writer:
            about.to_excel(writer, sheet_name="about", index=False)
            frame.to_excel(writer, sheet_name="predictions", index=False)
    labels = {"y": {0: "no", 1: "yes"}, "h": {0: "no", 1: "yes"}}
    words = frame.assign(race=frame["race"].fillna(""))
    words.to_stata(OUT / "stata118.dta", version=118, value_labels=labels, write_index=False)
    plain = words.drop(columns="note")
    plain.to_stata(OUT / "stata114.dta", version=114, value_labels=labels, write_index=False)
    for orient in ("records", "split", "columns", "table"):
        frame.to_json(OUT / f"pandas-{orient}.json", orient=orient, index=orient != "records")
    frame.to_json(OUT / "pandas-lines.json", orient="records", lines=True)
    frame.to_csv(OUT / "semicolons.txt", index=False, sep=";", decimal=",")
    frame.to_feather(OUT / "pandas.feather")
    frame.to_orc(OUT / "pandas.orc", index=False)


def by_xlwt() -> None:
    import xlwt

    book = xlwt.Workbook()
    sheet = book.add_sheet("predictions")
    for k, (name, values) in enumerate(COLUMNS.items()):
        for row, value in enumerate([name, *values]):
            sheet.write(row, k, value)
    book.save(str(OUT / "excel97.xls"))


def locked() -> None:
    from msoffcrypto.format.ooxml import OOXMLFile

    with (OUT / "excel.xlsx").open("rb") as plain, (OUT / "locked.xlsx").open("wb") as out:
        OOXMLFile(plain).encrypt("secret", out)


def by_pyarrow() -> None:
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    table = pa.table(COLUMNS)
    with pa.ipc.new_stream(OUT / "stream.arrows", table.schema) as writer:
        writer.write_table(table)
    people = zip(COLUMNS["race"], COLUMNS["sex"], strict=True)
    tags = pa.array([[("sex", s)] for s in COLUMNS["sex"]], pa.map_(pa.string(), pa.string()))
    nested = table.drop_columns(["race", "sex"])
    nested = nested.append_column(
        "doc", pa.array([{"person": {"race": r, "sex": s}} for r, s in people])
    )
    nested = nested.append_column("tags", tags)
    texts = [json.dumps({"race": r}) for r in COLUMNS["race"]]
    pq.write_table(nested.append_column("metadata", pa.array(texts)), OUT / "nested.parquet")
    shutil.rmtree(OUT / "hive", ignore_errors=True)
    flavour = ds.partitioning(
        pa.schema([("race", pa.string()), ("sex", pa.string())]), flavor="hive"
    )
    ds.write_dataset(table, OUT / "hive", format="parquet", partitioning=flavour)


def by_liac_arff() -> None:
    import arff

    kinds = {"id": "STRING", "y": ["0", "1"], "h": ["0", "1"], "p": "REAL", "note": "STRING"}
    kinds |= {"race": ["black", "white"], "sex": ["f", "m"]}
    columns = COLUMNS | {name: [str(v) for v in COLUMNS[name]] for name in ("y", "h")}
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    attributes = [(name, kinds[name]) for name in COLUMNS]
    text = arff.dumps({"relation": "predictions", "attributes": attributes, "data": rows})
    (OUT / "openml.arff").write_text(text, encoding="utf-8")


def by_pyreadstat() -> None:
    import pandas as pd
    import pyreadstat

    # 9 stands for no answer, as surveys write it.
    race = [{"black": 1, "white": 2, None: 9}[one] for one in COLUMNS["race"]]
    frame = pd.DataFrame(COLUMNS | {"race": race})
    labels = {"race": {1: "black", 2: "white", 9: "no answer"}, "y": {0: "no", 1: "yes"}}
    labels["h"] = labels["y"]
    options = {"variable_value_labels": labels, "missing_ranges": {"race": [9]}}
    pyreadstat.write_sav(frame, OUT / "spss.sav", **options)
    pyreadstat.write_sav(frame, OUT / "spss.zsav", compress=True, **options)
    pyreadstat.write_por(frame.drop(columns="note"), OUT / "spss.por")


def by_mlflow(folder: Path) -> None:
    import mlflow

    mlflow.set_tracking_uri((folder / "mlruns").as_uri())
    mlflow.create_experiment("one", artifact_location=str(folder / "artifacts"))
    mlflow.set_experiment("one")
    with mlflow.start_run() as run:
        mlflow.log_table(COLUMNS, "eval_results_table.json")
    (file,) = (folder / "artifacts").rglob("eval_results_table.json")
    assert run.info.run_id in str(file)
    shutil.copy(file, OUT / "mlflow.json")


def by_wandb(folder: Path) -> None:
    import wandb

    with wandb.init(mode="offline", project="one", dir=folder) as run:
        rows = [list(row) for row in zip(*COLUMNS.values(), strict=True)]
        run.log({"predictions": wandb.Table(columns=list(COLUMNS), data=rows)})
    (file,) = folder.rglob("*.table.json")
    shutil.copy(file, OUT / "wandb.table.json")


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    by_pandas()
    by_xlwt()
    locked()
    by_pyarrow()
    by_liac_arff()
    by_pyreadstat()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WANDB_SILENT"] = "true"
        by_mlflow(Path(folder))
        by_wandb(Path(folder))
    versions = {name: importlib.metadata.version(name) for name in TOOLS}
    (OUT / "versions.json").write_text(json.dumps(versions, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
