"""Serves until TERM; requests under way are answered first."""

import uvicorn

from webhook import app, settings

chosen = settings.read()
print(f"webhook {chosen.version} begins on port {chosen.port}", flush=True)
uvicorn.run(app.create(chosen), host="127.0.0.1", port=chosen.port, log_level="warning", timeout_graceful_shutdown=10)
