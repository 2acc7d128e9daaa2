"""What a service manager is notified of: that the server serves (sd_notify(3), ``Type=notify`` of systemd)."""

import os
import socket

import structlog

log = structlog.get_logger()


def notify_ready() -> None:
    """Notify the service manager, if there is one, that the server is ready. What prevents it is logged."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(b"READY=1", address.replace("@", "\0", 1) if address[0] == "@" else address)
    except OSError as error:
        log.warning("the service manager cannot be notified", address=address, error=error.strerror or str(error))
