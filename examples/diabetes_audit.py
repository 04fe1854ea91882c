"""A model of one's own, audited: scikit-learn's diabetes data, from training to the page.

    python examples/diabetes_audit.py [FOLDER]

442 patients (Efron et al. 2004, shipped with scikit-learn). The label is whether the disease
progressed more than the median over a year; two classifiers predict it, each row by a model that
did not train on it; sex and age band are the groups. Writes the audit's page, Markdown and figures,
and the comparison of the two, to FOLDER (default: diabetes-audit).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fairlora


def main(folder: Path) -> None:
    data = load_diabetes(scaled=False)
    label = (data.target > np.median(data.target)).astype(int)
    age = data.data[:, data.feature_names.index("age")]
    groups = {
        # The data's description does not say which of its two codes is which sex.
        "sex": np.where(data.data[:, data.feature_names.index("sex")] == 1, "code 1", "code 2"),
        "age": np.select([age < 40, age < 55], ["under 40", "40 to 54"], "55 and over"),
    }
    models = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
        "random forest": RandomForestClassifier(300, min_samples_leaf=5, random_state=0),
    }
    probs = {
        name: cross_val_predict(model, data.data, label, cv=10, method="predict_proba")[:, 1]
        for name, model in models.items()
    }
    first, second = probs.values()
    result = fairlora.audit(
        label,
        first > 0.5,
        groups,
        first,
        positive=1,
        intersect=[("sex", "age")],
        subgroups=2,
        power=0.1,
    )
    title = "Diabetes progression, logistic regression"
    folder.mkdir(parents=True, exist_ok=True)
    result.to_html(folder / "audit.html", title)
    (folder / "audit.md").write_text(result.to_markdown(title), encoding="utf-8")
    result.plot(folder / "disparities.png")
    result.plot(folder / "reliability.png", kind="reliability")
    result.show(title)

    found = fairlora.compare(
        label,
        first > 0.5,
        second > 0.5,
        groups,
        probs=(first, second),
        positive=1,
        names=tuple(models),
        margin=0.05,
    )
    found.to_html(folder / "comparison.html", "Logistic regression against random forest")
    columns = ["attribute", "metric", "first", "second", "value", "low", "high", "verdict"]
    differences = found.differences
    print(differences[differences["group"] == ""][columns].round(3).to_string(index=False))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "diabetes-audit"))
