"""What bash completes, by bash's own completion."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.recorded import crossmargin

ASK = """
source /dev/stdin <<'SCRIPT'
{script}
SCRIPT
COMP_WORDS=({words}) COMP_CWORD={last}
_crossmargin
printf '%s\\n' "${{COMPREPLY[@]}}"
complete -p crossmargin >/dev/null
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    printed = crossmargin(tmp_path_factory.mktemp("anywhere"), "completion", "bash")
    assert (printed.returncode, printed.stderr) == (0, "")
    return printed.stdout


@pytest.mark.parametrize(
    "line, found",
    [
        ("crossmargin hea", {"health"}),
        ("crossmargin --json sn", {"snapshot"}),
        ("crossmargin snapshot v", {"verify"}),
        ("crossmargin keys api ", {"create", "list", "revoke"}),
        ("crossmargin keys api create --q", {"--quota", "--quiet"}),
        ("crossmargin health acme --fail", {"--fail-below"}),
        ("crossmargin health --conf", {"--config"}),
        ("crossmargin snapshot snapshot", set()),
    ],
)
def test_bash_completes_commands_and_options(script: str, line: str, found: set[str]) -> None:
    words = line.split(" ")
    asked = ASK.format(script=script, words=" ".join(map(shlex.quote, words)), last=len(words) - 1)

    answered = subprocess.run(["bash", "--norc", "-c", asked], capture_output=True, text=True, check=True)

    assert answered.stderr == ""
    assert {
        word for word in answered.stdout.split("\n") if word and not (line.endswith(" ") and word.startswith("-"))
    } == found


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_the_same_words(tmp_path: Path, script: str, shell: str) -> None:
    printed = crossmargin(tmp_path, "completion", shell).stdout

    if shell == "zsh":
        assert printed.endswith(script)
    else:
        assert '-a "create list revoke"' in printed
        assert "'/keys/api/create'\" -l quota" in printed
