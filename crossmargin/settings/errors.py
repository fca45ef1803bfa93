"""What is wrong with a configuration."""

from __future__ import annotations

from pathlib import Path


class SettingsError(Exception):
    """A configuration that cannot be used: `problems`, each with its place and what to write instead."""

    def __init__(self, path: Path | None, problems: tuple[str, ...]) -> None:
        self.path = path
        self.problems = problems
        super().__init__(self._message())

    def _message(self) -> str:
        if self.path is None:
            return "\n".join(self.problems)
        if len(self.problems) == 1:
            return f"{self.path}: {self.problems[0]}"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        return f"{self.path} has {len(self.problems)} problems:{lines}"


class NoConfiguration(SettingsError):
    """None was named, and there is none where one is looked for."""
