"""What is noted where no logger is handed on becomes an event like others."""

from __future__ import annotations

import json
import logging

import pytest

from aggregator.preferring import say_slower
from chains.redaction import Redactor
from crossmargin.logs import logger, noting

NODE = "https://node.example/v3/KEYKEYKEYKEY"


def test_what_the_aggregator_notes_is_one_event_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    with noting(logger(Redactor([NODE]), as_json=True)):
        say_slower("the tree of a snapshot", f"OSError: no space left beside {NODE}")

    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["event"], event["level"], event["at"]) == ("not_compiled", "warning", "aggregator.preferring")
    assert event["detail"].startswith("the tree of a snapshot without compiled code, slower: OSError: no space left")
    assert "KEYKEYKEYKEY" not in line


def test_what_a_quiet_command_does_not_say_is_not_said_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for quiet in (False, True):
        with noting(logger(Redactor([]), as_json=True, quiet=quiet)):
            logging.getLogger("aggregator.preferring").info("compiled code is not kept", extra={"word": "not_kept"})
        said.append(capsys.readouterr().err.count("not_kept"))

    assert said == [1, 0]


def test_what_is_noted_after_a_service_has_ended_is_not_written_to_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    with noting(logger(Redactor([]), as_json=True)):
        pass

    say_slower("the tree of a snapshot", "OSError: no space left")

    assert "not_compiled" not in capsys.readouterr().err
