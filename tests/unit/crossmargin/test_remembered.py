"""What was read before somebody wrote is never given behind it."""

from __future__ import annotations

from threading import Event, Thread

from crossmargin.remembered import Remembered


def test_it_is_read_once_until_it_is_forgotten() -> None:
    said = iter(range(10))
    known = Remembered(lambda: next(said))

    assert [known.get(), known.get()] == [0, 0]
    known.forget()
    assert known.get() == 1


def test_what_is_being_read_while_somebody_writes_is_forgotten_too() -> None:
    """A key that was revoked meanwhile would hold for ever."""
    stored, reading, go_on = ["holds"], Event(), Event()

    def read() -> str:
        found = stored[0]
        reading.set()
        go_on.wait()
        return found

    known = Remembered(read)
    reader = Thread(target=known.get)
    reader.start()
    reading.wait()
    stored[0] = "revoked"
    writer = Thread(target=known.forget)
    writer.start()
    writer.join(0.05)
    go_on.set()
    reader.join()
    writer.join()

    assert known.get() == "revoked"
