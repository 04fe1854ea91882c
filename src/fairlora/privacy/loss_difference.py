"""The difference attack: the target's signal minus the reference models' mean."""

from __future__ import annotations

from typing import Any

from fairlora.privacy.attack_inputs import Float, mean_over_queries, models, signal
from fairlora.privacy.shadows import Center, moments, require_absent, require_models


def reference_difference(
    target: Any, references: Any, *, center: Center = "mean", trained: Any = None
) -> Float:
    """Score examples by the target model's signal minus the reference models' mean.

    Difficulty calibration (Watson et al. 2022, ICLR): an example that every model finds
    easy is not taken for a member. One reference model is enough.

    Parameters
    ----------
    target : (n,) signal of the target model, larger for a likelier member (the margin, or the
        negative loss), or (n, q) of q queries an example, whose mean is taken.
    references : (n, k) or (n, q, k) signal under reference models that did not train on the
        example, NaN where one did.
    center : "mean" or "median" over the models.
    trained : (n, k) whether a reference model trained on an example, if it is to be checked.

    Returns
    -------
    (n,) scores, larger for a likelier member, in the signal's unit.

    Raises
    ------
    InputError : shapes that do not agree, a row without a reference model, a reference model that
        trained on a row and is not NaN there, or a number that is infinite.

    >>> reference_difference([3.0, 3.0], [[1.0, 2.0], [3.0, float("nan")]]).tolist()
    [1.5, 0.0]
    """
    x = signal(target, "target")
    reference = models(references, "references", x)
    if trained is not None:
        require_absent(reference, trained)
    queries = 1 if x.ndim == 1 else x.shape[1]
    flat = moments(reference.reshape(-1, reference.shape[-1]), center, "references", queries)
    require_models(flat.number[::queries], 1, "references")
    return mean_over_queries(x - flat.center.reshape(x.shape))
