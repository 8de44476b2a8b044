"""Several files to one document: each says its part, nothing is said twice.

Files of tests (`*_test.yaml`) stand beside the policy. The nodes keep the file that they came
from, so a finding names it.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from stepup.policy_language.fields import Fields
from stepup.policy_language.findings import Code, Findings, Place, did_you_mean
from stepup.policy_language.reader import Entry, Fieldset, Listing, Node, Scalar, read
from stepup.policy_language.shape.document import Document
from stepup.policy_language.shape.examples import API_VERSION, Suite

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
NAMED = {"actions": "name", "guardrails": "id"}
"""What every file adds to, and the field that names a member in a list."""


def is_suite(name: str) -> bool:
    """Say whether a file holds tests only."""
    return PurePosixPath(name).stem.endswith("_test")


def read_folder(files: Mapping[str, str], findings: Findings) -> Fieldset | None:
    """Read the files, in the order of their names, as one document."""
    nodes = {name: read(files[name], findings, name) for name in sorted(files)}
    policies = [node for name, node in nodes.items() if node and not is_suite(name)]
    suites = [node for name, node in nodes.items() if node and is_suite(name)]
    if None in nodes.values():
        return None
    if not policies:
        findings.error(Code.MISSING_FIELD, "there is no policy, only tests", Place())
        return None
    if len(files) == 1:
        return policies[0]
    merged = _Merged(findings)
    for node in policies:
        merged.add_policy(node)
    for node in suites:
        merged.add_suite(node)
    return merged.node()


class _Merged:
    """The document so far."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._once: dict[str, Entry] = {}
        self._named: dict[str, dict[str, Entry]] = {}
        self._at: dict[str, Place] = {}

    def node(self) -> Fieldset:
        """Return all of it as one mapping."""
        named = {
            name: Entry(self._at[name], Fieldset(entries, self._at[name]))
            for name, entries in self._named.items()
        }
        return Fieldset({**self._once, **named}, Place())

    def add_policy(self, node: Fieldset) -> None:
        """Add what a file says; what stands in two of them is an error."""
        check_version(Fields(node, Document, self._findings))
        for name, entry in node.entries.items():
            if name in NAMED:
                self._at.setdefault(name, entry.at)
                for own, member in self._members(name, entry.node):
                    self._add(self._named.setdefault(name, {}), own, member)
            elif name != "apiVersion" or name not in self._once:
                self._add(self._once, name, entry)

    def add_suite(self, node: Fieldset) -> None:
        """Add a file's tests to their actions."""
        fields = Fields(node, Suite, self._findings)
        check_version(fields)
        tests = fields.fieldset("tests")
        if tests is None:
            fields.missing("tests")
        fields.finish()
        actions = self._named.get("actions", {})
        for name, entry in tests.entries.items() if tests else ():
            if name not in actions:
                message = f"there is no action `{name}`{did_you_mean(name, actions)}"
                self._findings.error(Code.WRONG_VALUE, message, entry.at)
            elif isinstance(entry.node, Listing):
                actions[name] = self._with_tests(actions[name], entry.node)
            else:
                message = f"`{name}` must be a list of mappings"
                self._findings.error(Code.WRONG_VALUE, message, entry.node.at)

    def _add(self, entries: dict[str, Entry], name: str, entry: Entry) -> None:
        if name in entries:
            first = entries[name].at
            message = f"`{name}` is there already, in {first.file}, line {first.line}"
            self._findings.error(Code.DUPLICATE_ID, message, entry.at)
            return
        entries[name] = entry

    def _members(self, field: str, node: Node) -> Iterator[tuple[str, Entry]]:
        key = NAMED[field]
        if isinstance(node, Fieldset):
            yield from node.entries.items()
            return
        if not isinstance(node, Listing):
            message = f"`{field}` must be a mapping from names, or a list"
            self._findings.error(Code.WRONG_VALUE, message, node.at)
            return
        for item in node.items:
            named = item.entries.get(key) if isinstance(item, Fieldset) else None
            if named and isinstance(named.node, Scalar) and isinstance(named.node.value, str):
                yield named.node.value, Entry(named.at, item)
            else:
                self._findings.error(Code.MISSING_FIELD, f"`{key}` is missing", item.at)

    def _with_tests(self, action: Entry, tests: Listing) -> Entry:
        if not isinstance(action.node, Fieldset):
            return action
        own = action.node.entries.get("tests")
        before = own.node.items if own and isinstance(own.node, Listing) else []
        at = own.at if own else tests.at
        joined = Entry(at, Listing([*before, *tests.items], at))
        entries = {**action.node.entries, "tests": joined}
        return Entry(action.at, Fieldset(entries, action.node.at))


def check_version(document: Fields) -> None:
    """Report a version of the language that is not ours."""
    version = document.text("apiVersion")
    if version is None and "apiVersion" not in document:
        document.missing("apiVersion")
    if version is not None and version != API_VERSION:
        document.wrong("apiVersion", f"must be {API_VERSION}")
