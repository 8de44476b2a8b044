"""What the tools cannot see one file at a time."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
from importlinter.cli import lint_imports

import stepup
from stepup.cli.main import stepup as the_command
from stepup.domain.errors import StepUpError
from stepup.http.problems import listed
from tests.support.generated_docs import ROOT, command_names, pages

LONGEST_FILE = 500
LONGEST_TEST = 700  # a table of cases is one idea, however long
OURS = ("stepup", "tests", "migrations", "docs", "deploy", "frontend", ".ci", "requirements")
WRITTEN = {".py", ".lua", ".ts", ".css", ".html", ".md", ".yaml", ".toml", ".txt", ".json", ".sql"}
REGISTRIES = tuple(
    ".".join(name)
    for name in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
    )
)


def our_files(*suffixes: str) -> Iterator[Path]:
    for folder in OURS:
        for path in sorted((ROOT / folder).rglob("*")):
            written = path.suffix in (suffixes or WRITTEN) or folder == ".ci"
            if path.is_file() and written and "node_modules" not in path.parts:
                yield path
    yield from (path for path in ROOT.glob("*") if path.is_file() and path.suffix in WRITTEN)


def subclasses(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def test_imports_go_down_the_floors(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == 0, capsys.readouterr().out


def import_every_module() -> None:
    for module in pkgutil.walk_packages(stepup.__path__, "stepup."):
        if not module.name.startswith("stepup._migrations"):
            import_module(module.name)


def test_every_module_can_be_imported():
    import_every_module()


def test_every_error_has_a_status():
    import_every_module()
    ours = {each for each in subclasses(StepUpError) if each.__module__.startswith("stepup.")}
    assert {each.__name__ for each in ours if listed(each) is None} == set()


def test_the_generated_pages_say_what_the_code_says():
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, f"run `make docs` for {path.name}"


def runnable(command: click.Command, name: str) -> Iterator[str]:
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield name
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            assert inner is not None
            yield from runnable(inner, f"{name} {each}")


def test_every_command_is_documented():
    # The bare `stepup` prints its help.
    assert set(runnable(the_command, "stepup")) - {"stepup"} == set(command_names())


def test_every_lua_script_has_a_test():
    scripts = {path.stem for path in (ROOT / "stepup").rglob("*.lua")}
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    assert {script for script in scripts if script not in tests} == set()


def test_no_file_has_grown_two_ideas():
    long = {}
    for path in our_files(".py", ".lua", ".ts", ".css", ".html"):
        name = str(path.relative_to(ROOT))
        lines = len(path.read_text(encoding="utf-8").splitlines())
        limit = LONGEST_TEST if name.startswith("tests/") else LONGEST_FILE
        if lines > limit:
            long[name] = lines
    assert long == {}


def test_nothing_names_a_package_registry():
    naming = [
        str(path.relative_to(ROOT))
        for path in our_files()
        if any(name in path.read_text(encoding="utf-8") for name in REGISTRIES)
    ]
    assert naming == []


def test_the_lock_files_carry_a_hash_for_everything():
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8").replace("\\\n", "")
        for line in text.splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                assert "--hash=sha256:" in line, f"{path.name}: {line}"
