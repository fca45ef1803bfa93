"""Why an account of a batch has no answer is told as any other refusal: no secret, and nothing of a fault's inside."""

from __future__ import annotations

import json

from chains.errors import ChainError
from crossmargin.server.rooms.accounts import _joined, _told
from tests.support.around import surroundings

NODE = "https://node.example/v2/canary0123456789"


def test_neither_a_nodes_key_nor_a_faults_words_are_told() -> None:
    around, errors = surroundings(lambda _: None, addresses=[NODE])
    refused = [_told(around, ChainError(f"{NODE}: did not answer")), _told(around, KeyError("/srv/inside/path"))]

    body = _joined(["a", "b"], refused).whole()

    chain, fault = (each["problem"] for each in json.loads(body)["results"])
    assert (chain["status"], fault["status"]) == (503, 500)
    assert "canary" not in body.decode() + errors.getvalue()
    assert "inside" not in body.decode()
    assert "inside" in errors.getvalue()
