"""Who may import whom, how large a module may be, and what an import must not drag in."""

import ast
import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("gan_core", "sweeps", "analysis")
LARGEST_LINES = 400
EMPTY_NAMES = {"utils", "util", "misc", "helpers", "common"}

# What none of a package's modules may import, not even inside a function or for types alone.
FORBIDDEN = {
    "gan_core": {"sweeps", "analysis", "ray", "optuna", "pandas"},
    "analysis": {"sweeps", "gan_core", "torch", "torchvision", "ray", "optuna"},
    "sweeps": set(),
}
FREE_OF_TORCH = ("gan_core.config", "gan_core.datasets")
DRIVES_WITHOUT_TORCH = ("sweeps.cli", "sweeps.runner", "sweeps.fleet", "analysis")
COMMANDS = {
    f"sweeps.{name}"
    for name in (
        "cli",
        "cli_arguments",
        "cli_cluster",
        "cli_remote",
        "cli_results",
        "cli_service",
        "cli_sweep",
        "cli_track",
    )
}
MAY_IMPORT_ANALYSIS = ("sweeps.cli_results", "sweeps.cli_sweep", "sweeps.cli_track")
MAY_BE_SHARED = ("analysis.schema", "analysis.location")
SERVICE = "sweeps.service."  # shows what analysis makes of sweeps, in a process beside its own
AT_MOST_ONE_MODULE = (
    "plotly",
    "matplotlib",
    "tensorboard",
    "wandb",
    "tomlkit",
    "jinja2",
    "vl_convert",
)
CHARTS = "analysis.plots"  # where alone Altair is imported, but for types


@dataclass(frozen=True)
class Import:
    target: str
    """The module, or what a `from` takes from it, if that is a module: "gan_core.config"."""
    source: str
    """The module named: in `from gan_core import config` it is "gan_core"."""
    on_import: bool
    """Whether importing the module runs it: not in a function, not for a type checker."""


class Package:
    """The modules of one package, as syntax trees by dotted name."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        files = {
            ".".join(path.relative_to(root).with_suffix("").parts): path
            for path in sorted((root / name).rglob("*.py"))
        }
        self.files = {module.removesuffix(".__init__"): path for module, path in files.items()}
        self.trees = {module: ast.parse(path.read_text()) for module, path in self.files.items()}

    def imports(self, module: str) -> list[Import]:
        return [self._import(*found) for found in self._statements(module)]

    def _statements(self, module: str) -> Iterator[tuple[str, str, bool]]:
        """(module named, name taken from it or "", whether it runs on import)."""
        for node, on_import in _walk(self.trees[module], True):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "", on_import) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                source = node.module or ""
                if node.level:
                    inner = self.files[module].name != "__init__.py"
                    above = module.split(".")[: -(node.level - 1 + inner) or None]
                    source = ".".join([*above, source]).rstrip(".")
                yield from ((source, alias.name, on_import) for alias in node.names)

    def _import(self, source: str, name: str, on_import: bool) -> Import:
        whole = f"{source}.{name}" if name else source
        return Import(whole if whole in self.files else source, source, on_import)


def _walk(node: ast.AST, on_import: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, on_import
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for part, runs in ((child.body, False), (child.orelse, on_import)):
                for statement in part:
                    yield statement, runs
                    yield from _walk(statement, runs)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(child, on_import and not inside)


def forbidden_edges(package: Package, forbidden: set[str]) -> list[tuple[str, str]]:
    return [
        (module, found.target)
        for module in package.files
        for found in package.imports(module)
        if found.source.split(".")[0] in forbidden
    ]


def imports_of_own_root(package: Package) -> list[str]:
    return [
        module
        for module in package.files
        if module != package.name
        and any(found.source == package.name for found in package.imports(module))
    ]


def cycle(package: Package) -> list[str] | None:
    edges = {
        module: {
            found.target
            for found in package.imports(module)
            if found.on_import and found.target in package.files and found.target != package.name
        }
        for module in package.files
        if module != package.name
    }
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def declared(tree: ast.Module) -> list[str] | None:
    """The names in `__all__`, None without one."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def bound(tree: ast.Module) -> set[str]:
    """The names that a module's top level binds."""
    names: set[str] = set()
    for node, _ in _top_level(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _top_level(node: ast.AST) -> Iterator[tuple[ast.AST, None]]:
    for child in ast.iter_child_nodes(node):
        yield child, None
        if not isinstance(
            child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
        ):
            yield from _top_level(child)


def is_only_a_docstring(tree: ast.Module) -> bool:
    return len(tree.body) == 1 and ast.get_docstring(tree) is not None


OURS = {name: Package(ROOT, name) for name in PACKAGES}
MODULES = [(name, module) for name, package in OURS.items() for module in package.files]


@pytest.fixture
def house(tmp_path):
    """Writes a package named `house` of these modules."""

    def build(**modules):
        (tmp_path / "house").mkdir(exist_ok=True)
        for name, source in {"__init__": "", **modules}.items():
            (tmp_path / "house" / f"{name}.py").write_text(textwrap.dedent(source))
        return Package(tmp_path, "house")

    return build


def test_all_three_packages_are_looked_at():
    assert all(len(package.files) > 10 for package in OURS.values())


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_none_that_it_must_not(package):
    assert forbidden_edges(OURS[package], FORBIDDEN[package]) == []


@pytest.mark.parametrize(
    "statement",
    [
        "import ray",
        "import ray.tune as t",
        "from ray.tune import Tuner",
        "def f():\n    from ray import tune",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ray",
        "try:\n    import ray\nexcept ImportError:\n    ray = None",
    ],
)
def test_a_forbidden_import_is_seen_wherever_it_hides(house, statement):
    package = house(a=statement, b="import rayon\nfrom arrays import ray")
    ((module, target),) = forbidden_edges(package, {"ray"})
    assert module == "house.a"
    assert target.split(".")[0] == "ray"


def test_sweeps_knows_of_analysis_schema_and_location_alone_but_for_the_command_line():
    edges = forbidden_edges(OURS["sweeps"], {"analysis"})
    strangers = {
        (module, target)
        for module, target in edges
        if target not in MAY_BE_SHARED
        and module not in MAY_IMPORT_ANALYSIS
        and not module.startswith(SERVICE)
    }
    assert strangers == set()


@pytest.mark.parametrize("module", MAY_IMPORT_ANALYSIS)
def test_the_command_line_imports_analysis_only_when_a_command_needs_it(module):
    found = OURS["sweeps"].imports(module)
    judges = [i for i in found if i.source.split(".")[0] == "analysis"]
    assert judges
    assert not any(i.on_import for i in judges)


@pytest.mark.parametrize("module", FREE_OF_TORCH)
def test_what_checks_a_config_does_not_import_torch(module):
    package = OURS[module.split(".")[0]]
    sources = {found.source.split(".")[0] for found in package.imports(module)}
    assert not sources & {"torch", "torchvision", "numpy", "sklearn"}


@pytest.mark.parametrize("module", DRIVES_WITHOUT_TORCH)
def test_what_drives_a_sweep_does_not_import_torch(module):
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=400)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_imports_the_root_of_its_own_package(package):
    assert imports_of_own_root(OURS[package]) == []


def test_an_import_of_the_root_is_seen_in_every_form(house):
    package = house(
        a="import house",
        b="from house import a",
        c="from . import a",
        d="def f():\n    import house",
        e="import house.a",
        f="from house.a import x",
        g="from .a import x",
    )
    assert imports_of_own_root(package) == [f"house.{name}" for name in "abcd"]


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_do_not_import_each_other_in_a_circle(package):
    assert cycle(OURS[package]) is None


def test_a_circle_is_seen_but_not_one_of_types_or_of_functions(house):
    lazy = "def f():\n    from house.a import x"
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.a import x"
    assert cycle(house(a="from house.b import f", b=lazy)) is None
    assert cycle(house(a="from house.b import f", b=types)) is None
    found = cycle(house(a="import house.b", b="from .c import x", c="from house.a import x"))
    assert found is not None
    assert set(found) == {"house.a", "house.b", "house.c"}
    assert cycle(house(a="import house.b", b="if 1:\n    import house.a", c="")) is not None


@pytest.mark.parametrize(("package", "module"), MODULES)
def test_a_module_is_of_readable_size_and_has_a_name_that_says_something(package, module):
    lines = OURS[package].files[module].read_text().count("\n")
    assert lines <= LARGEST_LINES
    assert not EMPTY_NAMES & set(module.split("."))


@pytest.mark.parametrize(("package", "module"), MODULES)
def test_a_module_declares_what_it_offers_and_has_it(package, module):
    tree = OURS[package].trees[module]
    if is_only_a_docstring(tree) or module.endswith(".__main__"):
        return
    names = declared(tree)
    assert names is not None, f"{module} has no __all__"
    assert len(names) == len(set(names))
    assert set(names) <= bound(tree)
    assert not any(name.startswith("_") for name in names)


@pytest.mark.parametrize(
    "module", [module for package, module in MODULES if package in ("gan_core", "analysis")]
)
def test_what_a_module_declares_can_be_imported(module):
    loaded = importlib.import_module(module)
    assert all(hasattr(loaded, name) for name in getattr(loaded, "__all__", ()))


def test_a_missing_name_is_seen(house):
    tree = house(a="__all__ = ['f', 'g', 'h', 'i']\nfrom x import g\nh: int = 1\ndef f(): i = 2")
    names = declared(tree.trees["house.a"])
    assert set(names) - bound(tree.trees["house.a"]) == {"i"}
    assert declared(house(a="x = 1").trees["house.a"]) is None


def users(library):
    return {
        module
        for package in OURS.values()
        for module in package.files
        for found in package.imports(module)
        if found.source.split(".")[0] == library
    }


@pytest.mark.parametrize("library", AT_MOST_ONE_MODULE)
def test_a_library_for_show_is_imported_in_one_module_of_a_package_at_most(library):
    packages = [module.split(".")[0] for module in users(library)]
    assert len(packages) == len(set(packages))


def test_the_command_line_alone_knows_how_commands_are_read():
    assert users("typer") == COMMANDS


def test_charts_are_made_in_the_package_of_plots_alone():
    package = OURS["analysis"]
    users = {
        module
        for module in package.files
        for found in package.imports(module)
        if found.source.split(".")[0] == "altair" and found.on_import
    }
    assert users
    assert all(module.startswith(f"{CHARTS}.") for module in users)


def fresh(code, *, without=(), cwd):
    """Runs code in a new interpreter in which some libraries cannot be imported.

    Returns:
        The top-level names of what it had imported in the end.
    """
    program = f"""
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(without)!r}:
            raise ModuleNotFoundError(f"{{name}} is not there", name=name)

sys.meta_path.insert(0, Refusal())
{textwrap.dedent(code)}
print("imported:", *sorted({{name.split(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


HEAVY = {"torch", "torchvision", "ray", "optuna", "pandas"}


def test_what_is_refused_in_a_fresh_interpreter_is_not_there(tmp_path):
    with pytest.raises(AssertionError, match="ray is not there"):
        fresh("import ray", without=["ray"], cwd=tmp_path)


def test_reading_a_config_imports_nothing_heavy(tmp_path):
    names = fresh("import gan_core.config, gan_core.datasets", cwd=tmp_path)
    assert "gan_core" in names
    assert not names & {*HEAVY, "numpy", "sklearn", "pyarrow"}


def test_gan_core_trains_judges_and_saves_where_nothing_else_is_installed(tmp_path):
    modules = [module for module in OURS["gan_core"].files if not module.endswith(".__main__")]
    names = fresh(
        f"""
        import importlib
        from pathlib import Path

        for module in {modules}:
            importlib.import_module(module)

        from gan_core.checkpoint import load, save
        from gan_core.config import CohortConfig, GanConfig, LossVariant, Normalisation
        from gan_core.data import load_dataset
        from gan_core.loop import train
        from gan_core.metrics.evaluate import Evaluator
        from gan_core.samples import grid_png

        digits = load_dataset("digits")
        small = CohortConfig(generator_widths=(8,), discriminator_widths=(8,), latent_dim=4)
        gans = [GanConfig(loss=loss, latent_dim=4) for loss in LossVariant]
        gans += [GanConfig(d_norm=norm, latent_dim=4) for norm in Normalisation]
        for cohort, records in train(gans, digits, steps=2, eval_every=1, cohort=small):
            samples = cohort.generate(cohort.members, 20)
        assert [record.step for record in records] == [2] * len(gans)
        judged = Evaluator(digits, eval_images=20)(samples).values
        assert len(judged["frechet_distance"]) == len(gans)
        assert grid_png(samples[0])[1:4] == b"PNG"
        save(cohort, Path("cohort"))
        load(Path("cohort"))
        """,
        without={*FORBIDDEN["gan_core"]},
        cwd=tmp_path,
    )
    assert "torch" in names
    assert not names & FORBIDDEN["gan_core"]


def test_analysis_is_whole_where_torch_ray_and_optuna_are_not_installed(tmp_path):
    modules = list(OURS["analysis"].files)
    names = fresh(
        f"import importlib\nfor m in {modules}: importlib.import_module(m)",
        without=FORBIDDEN["analysis"],
        cwd=tmp_path,
    )
    assert {"analysis", "pandas"} <= names


def test_loading_and_judging_import_neither_torch_nor_ray_nor_optuna(tmp_path):
    names = fresh("import analysis.load, analysis.verdict", cwd=tmp_path)
    assert not names & FORBIDDEN["analysis"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["run", "--help"], 0), (["run", "absent.toml"], 2), (["--bad"], 2)],
)
def test_help_and_mistakes_are_answered_before_anything_heavy_is_imported(
    tmp_path, arguments, code
):
    names = fresh(f"from sweeps.cli import main\nassert main({arguments}) == {code}", cwd=tmp_path)
    assert "typer" in names
    assert not names & HEAVY


def test_what_answers_requests_imports_nothing_heavy(tmp_path):
    pytest.importorskip("fastapi")
    names = fresh("import sweeps.service.app, sweeps.service.own_ray", cwd=tmp_path)
    assert "fastapi" in names
    assert not names & HEAVY


def test_a_client_of_a_service_needs_neither_a_server_nor_ray(tmp_path):
    names = fresh(
        "import sweeps.service.client", without={"fastapi", "uvicorn", "ray"}, cwd=tmp_path
    )
    assert not names & HEAVY
