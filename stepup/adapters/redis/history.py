"""Which history of writes a server has: each promotion and each restart begins another one."""

from typing import Any

from stepup.adapters.system import SystemEntropy


def history_of(info: Any) -> str:
    """Read it from the reply to `INFO replication`.

    A server that does not say has another one for each connection, so that nothing is taken for
    the data of before.
    """
    text = info if isinstance(info, bytes) else b""
    for line in text.splitlines():
        name, _, value = line.partition(b":")
        if name == b"master_replid":
            return value.decode()
    return SystemEntropy().token()
