"""Several files to the one text that is activated: their words and comments, in one form."""

from collections.abc import Iterator, Mapping

from stepup.policy_language.folder import NAMED, is_suite
from stepup.policy_language.layout import lay_out
from stepup.policy_language.syntax import Collection, Item, Word, parse_syntax

# What is said of the whole comes before its parts.
_FIRST = ("apiVersion", "metadata", "levels", "unknown_action")


def merge(files: Mapping[str, str]) -> str:
    """Write a folder that `document.read_files` found no errors in as one document.

    A single file is the document as it stands.
    """
    if len(files) == 1:
        return next(iter(files.values()))
    root = Collection([], is_mapping=True, is_flow=False)
    for name in sorted(files, key=lambda each: (is_suite(each), each)):
        node = parse_syntax(files[name].removeprefix("\ufeff").replace("\r\n", "\n"))
        if node is None:
            continue
        if is_suite(name):
            _add_suite(root, node)
        else:
            _add_policy(root, node)
    root.items.sort(key=_rank)
    return lay_out(root)


def _rank(item: Item) -> tuple[int, str]:
    name = item.key.value if item.key else ""
    if name in _FIRST:
        return _FIRST.index(name), name
    return len(_FIRST) + (name in NAMED), name if name in NAMED else ""


def _add_policy(root: Collection, node: Collection) -> None:
    # Comments above a name that is written once for all files go to what follows it in its own.
    homeless: list[str] = []
    for item in node.items:
        name = item.key.value if item.key else ""
        known = root.find(name)
        if name not in NAMED:
            if known is None:
                root.items.append(_below(homeless, item))
                homeless = []
            else:
                homeless += _comments_at(item)
            continue
        members = list(_members(item, NAMED[name]))
        if known is None:
            known = Item(Word(name, "", name), Collection([], is_mapping=True, is_flow=False))
            root.items.append(known)
        homeless += _comments_at(item)
        if members and isinstance(known.node, Collection):
            known.node.items += [_below(homeless, members[0]), *members[1:]]
            homeless = []
        if isinstance(item.node, Collection):
            homeless += item.node.below
    root.below += [text for text in (*homeless, *node.below) if text]


def _below(comments: list[str], item: Item) -> Item:
    if any(comments):
        # A blank line keeps apart what was said of the file and what is said of this.
        item.above = ["", *comments, "", *item.above]
    return item


def _comments_at(item: Item) -> list[str]:
    return [text for text in (*item.above, item.beside) if text]


def _members(item: Item, key: str) -> Iterator[Item]:
    node = item.node
    if not isinstance(node, Collection):
        return
    for member in node.items:
        if node.is_mapping:
            yield member
        elif isinstance(member.node, Collection) and (named := member.node.find(key)):
            member.node.items.remove(named)
            # In a list the name stands inside; now everything stands below it.
            above = [*member.above, *named.above]
            if isinstance(named.node, Word):
                beside = member.beside or named.beside
                yield Item(named.node, member.node, above, beside)


def _add_suite(root: Collection, node: Collection) -> None:
    actions, tests = root.find("actions"), node.find("tests")
    if actions is None or tests is None or not isinstance(actions.node, Collection):
        return
    homeless = [text for each in node.items for text in _comments_at(each)]
    for suite in tests.node.items if isinstance(tests.node, Collection) else ():
        action = actions.node.find(suite.key.value if suite.key else "")
        if action and isinstance(action.node, Collection) and isinstance(suite.node, Collection):
            _add_tests(action.node, suite, homeless)
            homeless = []


def _add_tests(action: Collection, suite: Item, homeless: list[str]) -> None:
    own = action.find("tests")
    added = suite.node
    if not isinstance(added, Collection):
        return
    if added.items:
        added.items[0].above = [*homeless, *_comments_at(suite), *added.items[0].above]
    if own is None or not isinstance(own.node, Collection):
        action.is_flow = False
        action.items.append(Item(Word("tests", "", "tests"), added))
        return
    own.node.items += added.items
    own.node.below += added.below
