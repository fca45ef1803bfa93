"""The recorded chains that ship with the program, of every kind, and the nodes that serve them."""

from __future__ import annotations

from typing import TypeAlias

from crossmargin.demo import recording, solana_recording
from crossmargin.demo.recording import Recording
from crossmargin.demo.replay import ReplayNode
from crossmargin.demo.solana_recording import SolanaRecording
from crossmargin.demo.solana_replay import SolanaReplayNode
from crossmargin.packaged import recordings, solana_recordings

Recorded: TypeAlias = Recording | SolanaRecording
Node: TypeAlias = ReplayNode | SolanaReplayNode


def shipped() -> list[Recorded]:
    """Read every recorded chain."""
    return [*map(recording.load, recordings()), *map(solana_recording.load, solana_recordings())]


def node_of(recorded: Recorded, *, head: int) -> Node:
    """Make the node that serves a recorded chain up to a head."""
    match recorded:
        case Recording():
            return ReplayNode(recorded, head=head)
        case SolanaRecording():
            return SolanaReplayNode(recorded, head=head)
