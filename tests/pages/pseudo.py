"""A language that nobody speaks: every letter accented, every text half as long again.

What stays plain in a page was not translated; what does not fit will not fit in German either.
"""

import re
from gettext import NullTranslations

from typing_extensions import override

_ACCENTED = str.maketrans("aceinosuyACEINOSUY", "áçéíñóšúýÁÇÉÍÑÓŠÚÝ")
# Placeholders and tags are not text.
_FIXED = re.compile(r"(%\(\w+\)s|<[^>]*>)")
_WORDS = " lóñg áñd lóñgér"


class PseudoTranslations(NullTranslations):
    """Translates any text into the pseudo-locale."""

    @override
    def gettext(self, message: str) -> str:
        parts = _FIXED.split(message)
        plain = "".join(p if i % 2 else p.translate(_ACCENTED) for i, p in enumerate(parts))
        return f"{plain}{(_WORDS * 20)[: len(message) // 2]}"

    @override
    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)
