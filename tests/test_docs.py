"""The pages say nothing that is not there: links, files, functions and tests exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.generated_docs import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
NOTES = sorted((DOCS / "changes").glob("*.md"))
ONE_SCREEN = 45
SECTIONS = ["Context", "Decision", "Consequences", "Alternatives", "Where it is enforced"]

LINK = re.compile(r"\]\(([^)#\s]+)")
CODE = re.compile(r"`([^`\n]+)`")
A_FILE = re.compile(r"(?:stepup(?!/v\d)|tests|migrations|frontend|docs)/[\w./-]+")
A_TEST = re.compile(r"test_\w+")
IN_A_FILE = re.compile(r"`([A-Za-z_.]+)` in `(stepup/[\w/]+\.py)`")


def without_blocks(page: Path) -> str:
    return re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def code_in(page: Path) -> Iterator[str]:
    yield from CODE.findall(without_blocks(page))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    links = [link for link in LINK.findall(without_blocks(page)) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_is_named_exists(page):
    files = [text for text in code_in(page) if A_FILE.fullmatch(text)]
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_test_that_is_named_exists(page):
    source = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py"))
    named = {text for text in code_in(page) if A_TEST.fullmatch(text)}
    assert {name for name in named if f"def {name}(" not in source} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_function_is_in_the_file_that_is_named(page):
    missing = []
    for name, file in IN_A_FILE.findall(without_blocks(page)):
        source = (ROOT / file).read_text(encoding="utf-8")
        words = [rf"^\s*(?:async def|def|class) {part}\b" for part in name.split(".")]
        if not all(re.search(word, source, re.MULTILINE) for word in words):
            missing.append((name, file))
    assert missing == []


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_fits_on_one_screen_and_says_all_of_it(page):
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert text.startswith(f"# {page.name[:4]} ")
    assert len(text.splitlines()) <= ONE_SCREEN


def test_decisions_are_numbered_without_a_gap():
    assert [page.name[:4] for page in DECISIONS] == [
        f"{n:04}" for n in range(1, len(DECISIONS) + 1)
    ]


@pytest.mark.parametrize("note", NOTES, ids=name_of)
def test_a_change_note_is_one_sentence(note):
    assert re.fullmatch(r"\d{4}(-\d\d?)?\.(added|changed|fixed|security|removed)\.md", note.name)
    text = note.read_text(encoding="utf-8")
    assert re.fullmatch(r"[A-Z][^\n]+\.\n", text)
    assert ". " not in text


def test_every_page_can_be_reached_from_the_readme():
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            target = (page.parent / link).resolve()
            found = target.glob("*.md") if target.is_dir() else [target]
            waiting += [each for each in found if each.suffix == ".md" and each not in seen]
    assert {name_of(page) for page in set(PAGES) - seen} == set()
