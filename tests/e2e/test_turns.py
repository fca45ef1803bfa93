"""A client with many heavy questions delays another's by no more than one's turn."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from crossmargin.service_file import read
from tests.e2e.conftest import Indexed
from tests.e2e.test_service import get
from tests.support.recorded import service

MANY = 24
HEAVY = "/v1/stress?accrue_days={days}"


def test_one_client_with_many_heavy_questions_does_not_starve_another(indexed_once: Indexed, tmp_path: Path) -> None:
    folder = tmp_path / "indexed"
    shutil.copytree(indexed_once.folder, folder)
    with service(folder, "serve") as (url, _), ThreadPoolExecutor(MANY) as clients:
        said = read(folder / "crossmargin.duckdb.service.json")
        assert said is not None
        owner = {"Authorization": f"Bearer {said.token}"}

        many = [clients.submit(get, url + HEAVY.format(days=1 + n), headers=owner) for n in range(MANY)]
        wait(many[:1])
        answered = get(url + HEAVY.format(days=0))
        before = sum(each.done() for each in many)

        assert answered.status == 200
        assert before < MANY // 2, f"{before} of {MANY} questions of another came first"
        assert {each.result().status for each in many} == {200}
