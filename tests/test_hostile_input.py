"""What costs the sender nothing must not cost us more: every reader of text is about linear.

Measured as processor time, not by the clock on the wall, and as a ratio: four times the text may
take four times as long, where something quadratic takes sixteen times.
"""

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from stepup.ceremonies import otp, recovery_codes
from stepup.config_reading import _DURATION
from stepup.config_values import _HOST_AND_PORT
from stepup.config_values import _KEY as _KEK
from stepup.domain.authorization_request import _CODE_CHALLENGE, _SCOPE
from stepup.domain.client import Client
from stepup.domain.errors import StepUpError
from stepup.domain.ids import ClientId
from stepup.domain.unambiguous_json import check_unambiguous
from stepup.http.attempts import _KEY
from stepup.http.error_forms import _NOT_IN_DESCRIPTION
from stepup.http.form import parse_form
from stepup.http.headers import page_policy
from stepup.http.middleware import _VALID_REQUEST_ID, BODY_LIMIT
from stepup.log import redact
from stepup.pages.display import display_items, mask, plain
from stepup.pages.locales import negotiate
from stepup.sdk.asgi import _AMBIGUOUS
from stepup.sdk.verifier import _FORM
from stepup.usecases.account import local_path

# Below this nothing is worth a look, and the clock's grain would decide.
_FREE = 0.03
_TIMES = 4
_ABOUT_LINEAR = 9.0

CLIENT = Client(client_id=ClientId("c"), name="C", redirect_uris=("http://127.0.0.1/cb",))


def json_text(unit: str, tail: str = "", head: str = "") -> Callable[[int], bytes]:
    def fill(size: int) -> bytes:
        return (head + unit * (size // len(unit)) + tail).encode()

    return fill


def text(unit: str, tail: str = "", head: str = "") -> Callable[[int], str]:
    return lambda size: head + unit * (size // len(unit)) + tail


def halves(first: str, second: str) -> Callable[[int], str]:
    return lambda size: first * (size // 4) + second * (size // 4)


def seconds(read: Callable[..., object], sent: object) -> float:
    taken = []
    for _ in range(2):
        started = time.process_time()
        with suppress(StepUpError, ValueError):
            read(sent)
        taken.append(time.process_time() - started)
    return min(taken)


READERS = {
    "json: escaped quotes without an end": (
        check_unambiguous,
        json_text('\\"', head='"', tail="[" * 40),
    ),
    "json: quotes": (check_unambiguous, json_text('"', tail="[" * 40)),
    "json: strings without an end": (check_unambiguous, json_text('"a', tail="[" * 40)),
    "json: backslashes": (check_unambiguous, json_text("\\", head='"', tail="[" * 40)),
    "json: brackets in text": (check_unambiguous, json_text("[", head='{"a":"', tail='"}')),
    "json: shallow lists": (check_unambiguous, json_text("[],", head="[", tail="0]")),
    "json: members": (check_unambiguous, json_text('"a":0,', head="{", tail='"b":0}')),
    "form: parameters": (parse_form, json_text("a=&")),
    "form: escapes": (parse_form, json_text("%41", head="a=")),
    "form: a broken escape at the end": (parse_form, json_text("%25", head="a=", tail="%")),
    "log: beginnings of tokens": (lambda t: redact(None, "", {"x": t}), text("eyJ")),
    "log: dots": (lambda t: redact(None, "", {"x": t}), text("eyJ.")),
    "log: two parts of a token": (lambda t: redact(None, "", {"x": t}), text("eyJ", tail=".a")),
    "log: words of a token": (lambda t: redact(None, "", {"x": t}), text("eyJaaaaaaaaa.")),
    "log: handles": (lambda t: redact(None, "", {"x": t}), text("a." + "b" * 22 + ".")),
    "log: URLs": (lambda t: redact(None, "", {"x": t}), text("://a:")),
    "log: a password without an end": (
        lambda t: redact(None, "", {"x": t}),
        text("a:", head="postgresql://u:"),
    ),
    "display: combining characters out of order": (plain, halves("\u0315", "\u0300")),
    "display: white space": (plain, text(" \t")),
    "display: invisible characters": (plain, text("\u202e")),
    "display: ats": (mask, text("@")),
    "display: an amount": (
        lambda t: [i.amount for i in display_items({"amount": t, "currency": "EUR"})],
        text("9"),
    ),
    "languages: tags": (lambda t: negotiate(t, t), text("de-AT,")),
    "languages: spaces": (lambda t: negotiate(t, t), text(" ")),
    "codes: separators": (otp.normalize_code, text("- ")),
    "codes: separators and digits": (otp.normalize_code, text("1-")),
    "recovery codes: separators": (recovery_codes._SEPARATORS.split, text("- ")),
    "account: paths": (local_path, text("/", head="/account", tail="\\")),
    "authorize: scopes": (_SCOPE.fullmatch, text("a ", tail=" ")),
    "authorize: code challenges": (_CODE_CHALLENGE.fullmatch, text("a")),
    "attempts: keys": (_KEY.fullmatch, text("a", tail=" ")),
    "requests: identifiers": (lambda t: _VALID_REQUEST_ID.fullmatch(t.encode()), text("a")),
    "problems: descriptions": (lambda t: _NOT_IN_DESCRIPTION.sub("?", t), text('"')),
    "headers: origins": (page_policy, text(":", head="https://a")),
    "clients: redirect URIs": (CLIENT.redirects_to, text("/", head="http://127.0.0.1:")),
    "settings: durations": (_DURATION.fullmatch, text("1", tail="x")),
    "settings: keys": (_KEK.fullmatch, text("A", head="1:", tail="!")),
    "settings: hosts": (_HOST_AND_PORT.fullmatch, text("a", tail=":x")),
    "sdk: tokens": (_FORM, text("a.")),
    "sdk: paths": (_AMBIGUOUS, text("/.a")),
}


@pytest.mark.parametrize("case", READERS)
def test_attack_a_text_that_is_slow_to_read(case: str):
    read, of_size = READERS[case]
    whole = seconds(read, of_size(BODY_LIMIT))
    if whole <= _FREE:
        return
    assert whole < _ABOUT_LINEAR * seconds(read, of_size(BODY_LIMIT // _TIMES))
