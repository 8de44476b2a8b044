"""The body of a request, read once."""

from typing import Any

from litestar import Request


async def read_body(request: Request[Any, Any, Any]) -> bytes:
    """Read the whole body; the middleware has bounded it and notices a caller who left.

    Litestar's own way looks at the headers again and joins chunks that nearly always are one.
    """
    message: Any = await request.receive()
    if not message.get("more_body", False):
        whole: bytes = message.get("body", b"")
        return whole
    chunks = [message.get("body", b"")]
    while message.get("more_body", False):
        message = await request.receive()
        chunks.append(message.get("body", b""))
    return b"".join(chunks)
