"""The loss attack: a low loss is taken for membership (Yeom et al. 2018, IEEE CSF)."""

from __future__ import annotations

from typing import Any

from fairlora.privacy.attack_inputs import Float, mean_over_queries, signal


def loss_attack(loss: Any) -> Float:
    """Score examples by their negative loss under the target model.

    It needs no other model, and so says as much about how hard an example is as about whether it
    was trained on: hard members score below easy non-members.

    Parameters
    ----------
    loss : (n,) losses of the true labels (nats), or (n, q) of q queries an example, whose mean is
        taken.

    Returns
    -------
    (n,) scores, larger for a likelier member.

    Raises
    ------
    InputError : no rows, another shape, or a loss that is missing or infinite.

    >>> loss_attack([0.1, 2.0]).tolist()
    [-0.1, -2.0]
    """
    return -mean_over_queries(signal(loss, "loss"))
