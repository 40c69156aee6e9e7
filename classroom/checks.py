"""What a submission is tested for beside its answers: hidden errors, replaced names, code that answers hardly need."""

import ast
import builtins
import inspect
import re
import types
from collections.abc import Iterable, Mapping

from nbformat import NotebookNode
from nbgrader.utils import is_grade

CANARIES = {  # each must fail, with the message that only this run knows; {nonce} is that message
    "assert": "assert False, {nonce!r}",
    "raise": "raise RuntimeError({nonce!r})",
    "numpy.testing": "import numpy.testing\nnumpy.testing.assert_allclose(1.0, 2.0, err_msg={nonce!r})",
    "comparison": "import numpy\nassert numpy.allclose([1.0, 2.0], [1.0, 3.0]), {nonce!r}",
    "isinstance": "assert isinstance(1, str) or all([True, False]) or any([False]) or abs(-1) != 1, {nonce!r}",
}
LOOK = {  # worth a look, no proof of anything
    r"\.ipynb|gradebook|nbgrader|HIDDEN TEST|\.\./": "names files beyond its own",
    r"set_custom_exc|showtraceback|ast_transformers|input_transformer|run_cell|run_code|get_ipython": "uses IPython",
    r"\bbuiltins\b|__builtins__|excepthook|settrace|setprofile|__eq__|unittest\.mock": "changes how Python compares",
    r"_getframe|\bf_back\b|currentframe|inspect\.stack|history_manager|\b_ih\b|\bIn\s*\[": "reads the code around it",
    r"ctypes|/proc/|gfile|addaudithook|\bgc\.": "goes below Python",
}
ENDS = r"_exit\b|\bkill(pg)?\b|\babort\(|do_shutdown|\bexec[lv]|faulthandler|\bexit\b|\bquit\b"


def look(cells: Iterable[Mapping], release: NotebookNode) -> list[str]:
    """Return a note for each reason to read cells of a submission; cells that are as released are not looked at."""
    given = {cell.source.strip() for cell in release.cells}
    own = [(n, cell) for n, cell in enumerate(cells, 1) if cell["source"].strip() not in given]
    found = {why: [n for n, cell in own if _matches(pattern, cell)] for pattern, why in LOOK.items()}
    return [f"Cell {', '.join(map(str, numbers))} {why}." for why, numbers in found.items() if numbers]


def enders(cells: Iterable[Mapping]) -> str:
    """Return the numbers of the code cells that name what ends a process."""
    return ", ".join(str(n) for n, cell in enumerate(cells, 1) if _matches(ENDS, cell))


def _matches(pattern, cell):
    return cell["cell_type"] == "code" and re.search(pattern, cell["source"])


def origin_check(notebook: NotebookNode, nonce: str) -> str:
    """Return a cell's source that fails with nonce and the names, used by the tests, that a student has replaced."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tests = [cell.source for cell in code if is_grade(cell)]
    given = [cell.source for cell in code if cell.metadata.get("nbgrader", {}).get("locked")]
    imports = [node for node in _nodes([*tests, *given]) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {each.asname or each.name.split(".")[0] for node in imports for each in node.names}
    used = sorted({name for node in _nodes(tests) if (name := _dotted(node))})
    plain = {name for name in used if _is_plain(name, getattr(builtins, name, None))} - {"open"}  # IPython has its own
    functions = "\n".join(map(inspect.getsource, (_is_plain, _from_a_cell, _changed)))
    call = f"_changed({used!r}, {sorted(plain)!r}, {sorted(modules)!r}, globals())"
    return f"import builtins, types\n{functions}\nraise RuntimeError('{nonce}:' + ', '.join({call}))"


def _nodes(sources):
    for source in sources:
        try:
            yield from ast.walk(ast.parse(source))
        except SyntaxError:  # a magic
            continue


def _dotted(node):
    if isinstance(node, ast.Name):
        return node.id
    return f"{before}.{node.attr}" if isinstance(node, ast.Attribute) and (before := _dotted(node.value)) else None


# The source of these three runs in the submission's kernel.


def _is_plain(name, value):
    """Whether value is Python's own: a type that no class statement made (bit 9), or a function in C of this name."""
    if isinstance(value, type):
        return not value.__flags__ & 1 << 9
    return isinstance(value, types.BuiltinFunctionType) and value.__name__ == name


def _from_a_cell(value):
    code = getattr(value, "__code__", None)
    where = code.co_filename if isinstance(code, types.CodeType) else ""
    module = getattr(value, "__module__", None), type(value).__module__
    return "ipykernel_" in where or where.startswith("<ipython") or {*module} & {"__main__", "unittest.mock"}


def _changed(names, plain, modules, namespace):
    """Return those of names that no longer are what Python (plain) or a library (bound by `import`) defines."""
    found = []
    for name in names:
        root, *rest = name.split(".")
        original = getattr(builtins, root, None)
        value = namespace.get(root, original)
        if name in plain:
            if not _is_plain(name, original) or (value is not original and callable(value)):
                found.append(name)
        elif root in modules and root in namespace:
            is_open = isinstance(value, types.ModuleType | type)
            for part in rest:
                value = getattr(value, part, None)
            if (rest and not is_open) or _from_a_cell(value):
                found.append(name)
    return found
