"""What the C twin says of itself, which Python can't take over from the code that it stands for."""

from __future__ import annotations

import ast
import inspect
import os
import shutil
from pathlib import Path

import pytest

import pydist
from pydist.speedups import native

SOURCE = Path(pydist.__file__).parent


@pytest.mark.parametrize(
    ("file", "name"), [("messaging", "send"), ("messaging", "receive"), ("terms", "Pid"), ("terms", "Ref")]
)
def test_help_says_the_same_of_the_twin_as_of_its_python(file: str, name: str) -> None:
    tree = ast.parse((SOURCE / f"{file}.py").read_text())
    texts = [
        ast.get_docstring(node)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
    ]

    assert inspect.getdoc(getattr(pydist, name)) == texts[-1]


def test_where_there_is_a_compiler_the_twin_was_built() -> None:
    """It is optional, so an installation in which it failed to build goes on without a word."""
    if "PYDIST_PURE" not in os.environ and shutil.which("cc"):
        assert native is not None
