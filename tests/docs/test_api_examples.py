"""What the API's page shows to be copied works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from crossmargin.webhooks.signing import signed_headers

PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_verification_of_webhooks_takes_what_is_signed_and_nothing_else(checkout: Path) -> None:
    examples = PYTHON.findall((checkout / "docs/api.md").read_text())
    (text,) = (each for each in examples if "def verified" in each)
    names: dict[str, Any] = {}
    exec(text, names)  # noqa: S102 - it is our own
    body, headers = b'{"type":"mark"}', signed_headers(SECRET, "msg_1", 1_000, b'{"type":"mark"}')

    verified = names["verified"]

    assert verified(SECRET, headers, body, now=1_100)
    assert not verified(SECRET, headers, body + b" ", now=1_100)
    assert not verified(SECRET, headers, body, now=1_301)
    assert not verified(SECRET, headers | {"webhook-id": "msg_2"}, body, now=1_100)
    assert not verified("whsec_QUJD", headers, body, now=1_100)
