"""What is final, as Parquet files and a small database of views over them, exchanged in one step."""

from indexer.publish.manifest import Manifest, Segment
from indexer.publish.publisher import CURRENT, DATABASE, Publisher, PublishRefused

__all__ = ["CURRENT", "DATABASE", "Manifest", "PublishRefused", "Publisher", "Segment"]
