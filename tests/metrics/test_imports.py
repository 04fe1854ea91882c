"""What an audit costs: the modules that it loads."""

from __future__ import annotations

import subprocess
import sys


def loaded_after(code: str) -> set[str]:
    """The modules that a fresh Python has loaded after some code."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_an_audit_loads_neither_torch_nor_pandas() -> None:
    loaded = loaded_after(
        "import fairlora; fairlora.audit([0, 1], [0, 1], {'g': ['a', 'b']}, [0.1, 0.9],"
        " min_group=1).to_json()"
    )
    assert "fairlora.metrics.auditing" in loaded
    assert not loaded & {"torch", "pandas", "matplotlib", "scipy.stats", "transformers"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_after("import fairlora")
    assert "fairlora" in loaded
    assert not loaded & {"numpy", "torch", "pandas", "scipy", "matplotlib", "pyarrow", "rich"}
