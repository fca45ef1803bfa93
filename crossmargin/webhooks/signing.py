"""Signatures of what is sent, as Standard Webhooks has them: HMAC-SHA256 over `id.timestamp.body`; and where their secrets are."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from crossmargin.errors import UsageError

PREFIX = "whsec_"
SECRET_BYTES = 32
FOLDER_MODE, FILE_MODE = 0o700, 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO
VARIABLE = "CROSSMARGIN_WEBHOOK_SECRET_"


def signed_headers(secret: str, message_id: str, time: int, body: bytes) -> dict[str, str]:
    """Return the headers by which a receiver knows who sent a body, and when; raises `UsageError` for what is no secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError as error:
        raise UsageError(f"a webhook's secret must be {PREFIX} and base64") from error
    mark = hmac.new(key, f"{message_id}.{time}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(time),
        "webhook-signature": f"v1,{base64.b64encode(mark).decode()}",
    }


class SecretFolder:
    """The secrets of webhooks: files for their owner alone, or variables of the environment; nowhere else."""

    def __init__(self, folder: Path, environment: Mapping[str, str] = os.environ) -> None:
        self._folder, self._environment = folder, environment

    def create(self, webhook_id: str) -> str:
        """Make a secret, keep it and return it; raises `OSError`."""
        secret = PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        with os.fdopen(os.open(self._path(webhook_id), os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "w") as file:
            file.write(secret + "\n")
        return secret

    def secret(self, webhook_id: str) -> str:
        """Return a secret; raises `UsageError` where there is none, or others can read it."""
        if given := self._environment.get(VARIABLE + webhook_id.upper()):
            return given
        path = self._path(webhook_id)
        try:
            mode, text = path.stat().st_mode, path.read_text(encoding="ascii").strip()
        except OSError as error:
            raise UsageError(
                f"{path}: the secret of this webhook cannot be read ({error.strerror}); remove it and add it again"
            ) from error
        if mode & OTHERS:
            raise UsageError(
                f"{path}: others can read this secret; `chmod 600` it, and better remove it and add it again"
            )
        return text

    def remove(self, webhook_id: str) -> None:
        self._path(webhook_id).unlink(missing_ok=True)

    def _path(self, webhook_id: str) -> Path:
        return self._folder / f"{webhook_id}.secret"
