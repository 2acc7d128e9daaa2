"""The limit: uvicorn answering from memory, without a path, a signature or a store. ``bare.py PORT``."""

import sys

import uvicorn

SMALL = bytes(4096)
PIECE = bytes(1 << 20)
PIECES = 256


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    large = scope["path"].endswith("/large")
    length = PIECES << 20 if large else len(SMALL)
    headers = [(b"content-length", b"%d" % length), (b"content-type", b"binary/octet-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(PIECES if large else 0):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if large else SMALL})


uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="error", access_log=False)
