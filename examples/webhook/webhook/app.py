"""The service: takes notifications at /notify, shows the newest at /notifications, tells how it is at /health."""

import hashlib
import hmac
import json
from collections import deque
from datetime import UTC, datetime

from fastapi import FastAPI, Header, HTTPException, Request
from pydantic import BaseModel, Field, ValidationError

from webhook.settings import Settings

BODY_BYTES_MAX = 64 << 10
SHOWN_COUNT_MAX = 20


class Notification(BaseModel):
    """What somebody wants known."""

    title: str = Field(min_length=1, max_length=200)
    text: str = Field(default="", max_length=10_000)


def sign(secret: bytes, body: bytes) -> str:
    """What a sender puts into X-Signature."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def create(settings: Settings) -> FastAPI:
    """The application."""
    app = FastAPI(title="webhook", version=settings.version)
    settings.inbox.parent.mkdir(exist_ok=True)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok", "version": settings.version}

    @app.get("/notifications")
    def notifications() -> list[dict]:
        if not settings.inbox.exists():
            return []
        with settings.inbox.open() as inbox:
            return [json.loads(line) for line in deque(inbox, SHOWN_COUNT_MAX)]

    @app.post("/notify", status_code=202)
    async def notify(request: Request, x_signature: str = Header(default="")) -> dict[str, str]:
        body = await read_body(request)
        if not hmac.compare_digest(x_signature.encode(), sign(settings.secret, body).encode()):
            raise HTTPException(401, "the signature is not right")
        try:
            notification = Notification.model_validate_json(body)
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False, include_input=False)) from error
        at = datetime.now(UTC).isoformat(timespec="seconds")
        with settings.inbox.open("a") as inbox:
            inbox.write(json.dumps({"at": at, **notification.model_dump()}) + "\n")
        return {"status": "taken", "version": settings.version}

    return app


async def read_body(request: Request) -> bytes:
    """The whole body, unless it is too long for a notification."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(413, f"a notification has at most {BODY_BYTES_MAX} bytes")
    return body
