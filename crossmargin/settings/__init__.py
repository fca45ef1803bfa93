"""Settings: one TOML file with `${NAME}` from the environment, read whole and refused whole.

`load` gives `Settings` or raises `SettingsError` with every problem of the file at once.
"""

from crossmargin.settings.errors import SettingsError
from crossmargin.settings.load import load, locate
from crossmargin.settings.model import (
    AccountSettings,
    AssetSettings,
    AuditSettings,
    ChainSettings,
    EventSettings,
    IndexerSettings,
    LakeSettings,
    PublishSettings,
    RiskSettings,
    ServerSettings,
    Settings,
    SnapshotSettings,
    SqlSettings,
)

__all__ = [
    "AccountSettings",
    "AssetSettings",
    "AuditSettings",
    "ChainSettings",
    "EventSettings",
    "IndexerSettings",
    "LakeSettings",
    "PublishSettings",
    "RiskSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "SnapshotSettings",
    "SqlSettings",
    "load",
    "locate",
]
