"""How much memory a thousand idle subscribers take of a service: `python -m bench streams`."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import aiohttp

SUBSCRIBERS = 1000
SETTLE_S = 3.0
CONFIGURATION = """
[server]
port = 0

[[chain]]
id = "eip155:31337"
rpc = ["http://127.0.0.1:1"]
"""


def main() -> None:
    asyncio.run(measure())


async def measure() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "crossmargin.toml").write_text(CONFIGURATION)
        command = (str(Path(sys.executable).with_name("crossmargin")), "--quiet", "run")
        process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        try:
            url = (await process.stdout.readline()).decode().removeprefix("serving on ").strip()
            token = json.loads(next((folder / "data").glob("*.service.json")).read_text())["token"]
            for path in ("/v1/stream", "/v1/ws"):
                await subscribed(url, path, token, process.pid)
        finally:
            process.terminate()
            await process.wait()


async def subscribed(url: str, path: str, token: str, pid: int) -> None:
    """Open them all, and say what the service grew by."""
    headers = {"Authorization": f"Bearer {token}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        async with session.get(f"{url}/healthz") as answer:
            assert answer.status == 200
        await asyncio.sleep(SETTLE_S)
        before = resident_mb(pid)
        for _ in range(SUBSCRIBERS):
            if path == "/v1/ws":
                socket = await session.ws_connect(url + path)
                await socket.send_json({"op": "subscribe", "id": "a"})
            else:
                assert (await session.get(url + path)).status == 200
        await asyncio.sleep(SETTLE_S)
        grown = resident_mb(pid) - before
    print(f"streams: {SUBSCRIBERS:,} idle on {path}: {grown:.1f} MB more resident, {before:.0f} MB before")


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


if __name__ == "__main__":
    main()
