"""As much of a browser as a challenge page needs: cookies, redirects by hand, forms."""

import json
from collections.abc import Mapping
from html.parser import HTMLParser
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx2


def forgetful_jar() -> CookieJar:
    """Make a jar that keeps nothing: many browsers share one connection pool."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


class Page(HTMLParser):
    """The answer form of a challenge page, and the passkey options beside it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.options: dict[str, Any] | None = None
        self._in_options = False
        self.feed(text)

    def form(self, leaf: str) -> tuple[str, dict[str, str]]:
        """Return action and hidden fields of the form that posts to `leaf`.

        Raises:
            LookupError: If the page has none.
        """
        for action, fields in self.forms:
            if action.rpartition("/")[2] == leaf:
                return action, dict(fields)
        raise LookupError(f"the page has no form for {leaf}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect forms and their fields."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((values.get("action", ""), {}))
        elif tag == "input" and self.forms and values.get("type") == "hidden":
            self.forms[-1][1][values.get("name", "")] = values.get("value", "")
        elif tag == "script" and "data-su-options" in values:
            self._in_options = True

    def handle_data(self, data: str) -> None:
        """Read the options."""
        if self._in_options:
            self.options = json.loads(data)
            self._in_options = False


class Browser:
    """One person's browser at one site."""

    def __init__(self, http: httpx2.AsyncClient, origin: str) -> None:
        self._http = http
        self._origin = origin
        self._cookies: dict[str, str] = {}

    async def get(self, url: str) -> httpx2.Response:
        """Open a page of the site."""
        return self._kept(await self._http.get(self._absolute(url), headers=self._headers()))

    async def post(self, url: str, form: Mapping[str, str]) -> httpx2.Response:
        """Submit a form of the site."""
        headers = self._headers() | {"Origin": self._origin, "Sec-Fetch-Site": "same-origin"}
        answer = await self._http.post(self._absolute(url), data=dict(form), headers=headers)
        return self._kept(answer)

    def _absolute(self, url: str) -> str:
        return url if urlsplit(url).scheme else self._origin + url

    def _headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return {"Accept": "text/html", **({"Cookie": cookies} if cookies else {})}

    def _kept(self, answer: httpx2.Response) -> httpx2.Response:
        for field in answer.headers.get_list("set-cookie"):
            name, _, value = field.partition(";")[0].partition("=")
            self._cookies[name.strip()] = value.strip()
        return answer
