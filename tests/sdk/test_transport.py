import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stepup.sdk import UnavailableError
from stepup.sdk.transport import HttpAnswer, HttpRequest, fetch, send


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        if self.path == "/hang-up":
            self.close_connection = True
            self.connection.close()
            return
        status = {"/moved": 307, "/busy": 503}.get(self.path, 200)
        body = b"x" * (2 << 20) if self.path == "/large" else b'{"keys": []}'
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Retry-After", "7")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  the name that the server looks for

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.seen = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_fetches_a_document(url):
    assert fetch(f"{url}/jwks.json") == b'{"keys": []}'


def test_sends_headers_and_body(url, server):
    request = HttpRequest("POST", f"{url}/x", {"Authorization": "Basic abc"}, b"a=b")
    answer = send(request)
    assert (answer.status, answer.document()) == (200, {"keys": []})
    assert server.seen[0][2]["Authorization"] == "Basic abc"
    assert "abc" not in repr(request)


def test_follows_no_redirect_with_our_credentials(url, server):
    answer = send(HttpRequest("POST", f"{url}/moved", {"Authorization": "Basic abc"}, b"a=b"))
    assert answer.status == 307
    assert len(server.seen) == 1


def test_an_error_status_is_an_answer(url):
    answer = send(HttpRequest("GET", f"{url}/busy"))
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize("path", ["/large", "/hang-up"])
def test_an_answer_that_cannot_be_read_is_none(url, path):
    with pytest.raises(UnavailableError):
        send(HttpRequest("GET", f"{url}{path}"))


@pytest.mark.parametrize("path", ["/busy", "/moved"])
def test_keys_come_with_200_only(url, path):
    with pytest.raises(UnavailableError):
        fetch(f"{url}{path}")


def test_nobody_listens():
    with pytest.raises(UnavailableError):
        fetch("http://127.0.0.1:1/jwks.json")


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"\xff"])
def test_a_body_that_is_no_object_reads_as_an_empty_one(body):
    assert HttpAnswer(200, {}, body).document() == {}
