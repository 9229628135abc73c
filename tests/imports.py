# SPDX-License-Identifier: MIT
"""Who imports whom, read from the source: for the tests of the architecture."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Node = TypeVar("Node", bound=str)
# module: its file
Modules = dict[str, Path]


@dataclass(frozen=True)
class Import:
    """``importer`` imports ``imported``, both modules by their whole names, at ``where`` (file:line).

    ``on_import``: when the importer itself is imported; not in a function, nor for the type checker alone.
    """

    importer: str
    imported: str
    where: str
    on_import: bool


def modules(root: Path, *packages: str) -> Modules:
    """Every module below these folders of ``root``."""
    found = {}
    for file in (file for package in packages for file in sorted((root / package).rglob("*.py"))):
        parts = file.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(root: Path, known: Modules) -> Iterator[Import]:
    """All that these modules import of each other and of other folders of ``root``; not what is installed."""
    for importer, file in known.items():
        package = importer if file.name == "__init__.py" else importer.rpartition(".")[0]
        for node, on_import in _statements(ast.parse(file.read_text()), True):
            for name in names(node, package):
                imported = _module(name, known, root)
                if imported and imported != importer:
                    yield Import(importer, imported, f"{file.relative_to(root)}:{node.lineno}", on_import)


def names(node: ast.stmt | ast.expr, package: str = "") -> list[str]:
    """Whole names of what the node imports; each is a module or a name in one."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*above, *filter(None, [node.module])])
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "import_module"):
        return [_beginning(node.args[0])]
    return []


def programs(tree: ast.AST) -> Iterator[tuple[ast.Module, int]]:
    """The strings in a module that are Python and import something, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import " in node.value:
            try:
                yield ast.parse(textwrap.dedent(node.value)), node.lineno
            except (SyntaxError, ValueError):
                pass


def circle(arrows: Mapping[Node, Iterable[Node]]) -> list[Node]:
    """A way along the arrows that ends where it begins, [a, b, a], with the least first; [] where there is none."""
    done: set[Node] = set()
    way: list[Node] = []

    def walk(node: Node) -> list[Node]:
        if node in way:
            ring = way[way.index(node) :]
            first = ring.index(min(ring))
            return [*ring[first:], *ring[: first + 1]]
        if node in done:
            return []
        way.append(node)
        for other in sorted(arrows.get(node, ())):
            if found := walk(other):
                return found
        done.add(way.pop())
        return []

    return next(filter(None, map(walk, sorted(arrows))), [])


def _statements(node: ast.AST, on_import: bool) -> Iterator[tuple[ast.stmt | ast.expr, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom | ast.Call):
            yield child, on_import
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _statements(ast.Module(child.body, []), False)
            yield from _statements(ast.Module(child.orelse, []), on_import)
        else:
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _statements(child, on_import and not later)


def _beginning(name: ast.expr) -> str:
    """What is known of a module's name that is put together: all, or the package it begins with."""
    first = name.values[0] if isinstance(name, ast.JoinedStr) else name
    return first.value.rstrip(".") if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _module(name: str, known: Modules, root: Path) -> str:
    """The module of a name; of a folder that is not ``known`` its first part; "" for what is not of ``root``."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in known:
            return ".".join(parts[:length])
    return parts[0] if parts[0] and (root / parts[0]).is_dir() else ""
