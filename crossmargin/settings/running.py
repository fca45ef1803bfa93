"""What the program does with what it follows, one function a section, with their keys and defaults: stores, schedules, server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossmargin.settings import values
from crossmargin.settings.model import (
    PROOFS,
    AuditSettings,
    EventSettings,
    LakeSettings,
    MembershipSettings,
    PublishSettings,
    RebalancingSettings,
    RiskSettings,
    ServerSettings,
    SnapshotSettings,
    SqlSettings,
    StoreSettings,
    WebhookSettings,
)
from crossmargin.settings.section import Parse, Section

AUDIT = AuditSettings(schedule="every 1h", sample=25)
RISK = RiskSettings(schedule="every 6h", keep=120)
MEMBERSHIP = MembershipSettings(check_every_s=6 * 3600)
BACKUPS = "backups"
NEVER = "never"
ALL = "all"
SQL = SqlSettings(anonymous=False, timeout_s=10, rows=10_000, bytes=16_000_000, workers=3)
DAY_S = 86_400
EVENTS = EventSettings(keep_s=7 * DAY_S, mark_move=0.05, streams=2000, streams_per_key=20)
WEBHOOKS = WebhookSettings(secrets=None, loopback=False)
LAKE_PERIOD_S, LAKE_STALE_AFTER_S = 300, 3600
SERVER = ServerSettings(host="127.0.0.1", port=8080, public=False)


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are: relative paths of a configuration start at its own folder."""

    folder: Path

    def path(self, value: object) -> Path:
        return (self.folder / Path(values.text(value)).expanduser()).absolute()

    @property
    def store(self) -> Path:
        return self.folder / "data" / "crossmargin.duckdb"

    @property
    def kept(self) -> StoreSettings:
        return StoreSettings(path=self.store, backups=self.store.parent / BACKUPS)


def store(section: Section, places: Places) -> StoreSettings | None:
    path = section.get("path", places.path, places.store)
    beside = path if section.sound else places.store
    backups = section.get("backups", places.path, beside.parent / BACKUPS)
    return section.build(lambda: StoreSettings(path=path, backups=backups))


def server(section: Section) -> ServerSettings | None:
    host = section.get("host", values.text, SERVER.host)
    port = section.get("port", values.port, SERVER.port)
    public = section.get("public", values.boolean, SERVER.public)
    anonymous = section.get("anonymous", values.boolean, SERVER.anonymous)
    origins: tuple[str, ...] = section.get("origins", values.several(values.origin), ())
    return section.build(
        lambda: ServerSettings(host=host, port=port, public=public, anonymous=anonymous, origins=origins)
    )


def snapshot(section: Section, places: Places, beside_store: SnapshotSettings) -> SnapshotSettings | None:
    folder = section.get("folder", places.path, beside_store.folder)
    schedule = section.get("schedule", _schedule, None)
    keys = section.get("keys", places.path, beside_store.keys)
    default: int | None = PROOFS
    proofs = section.get("proofs", _count_or_all, default)
    return section.build(lambda: SnapshotSettings(folder=folder, schedule=schedule, keys=keys, proofs=proofs))


def audit(section: Section) -> AuditSettings | None:
    schedule = section.get("schedule", _schedule_or_never, AUDIT.schedule)
    sample = section.get("sample", values.whole, AUDIT.sample)
    if sample == 0:
        section.wrong(f'sample must be 1 or more; to compare only on request write schedule = "{NEVER}"')
    return section.build(lambda: AuditSettings(schedule=schedule, sample=sample))


def risk(section: Section) -> RiskSettings | None:
    schedule = section.get("schedule", _schedule_or_never, RISK.schedule)
    keep = section.get("keep", values.whole, RISK.keep)
    if keep == 0:
        section.wrong(f'keep must be 1 or more; to run only on request write schedule = "{NEVER}"')
    return section.build(lambda: RiskSettings(schedule=schedule, keep=keep))


def publish(section: Section, places: Places, beside_store: PublishSettings) -> PublishSettings | None:
    folder = section.get("folder", places.path, beside_store.folder)
    schedule = section.get("schedule", _schedule, None)
    return section.build(lambda: PublishSettings(folder=folder, schedule=schedule))


def lake(section: Section, places: Places, store: Path) -> LakeSettings | None:
    url = section.need("url", _lake_url(places), write="name a folder, or a bucket: s3://bucket/path")
    period_s = section.get("period", values.whole_seconds, LAKE_PERIOD_S)
    stale_after_s = section.get("stale_after", values.whole_seconds, LAKE_STALE_AFTER_S)
    work = section.get("work", places.path, store.parent / "lake-work")
    if period_s and stale_after_s and stale_after_s <= period_s:
        section.wrong("stale_after must be longer than period, or every set would be stale before the next one")
    return section.build(lambda: LakeSettings(url=url, period_s=period_s, stale_after_s=stale_after_s, work=work))


def sql(section: Section) -> SqlSettings | None:
    anonymous = section.get("anonymous", values.boolean, SQL.anonymous)
    timeout_s = section.get("timeout", values.whole_seconds, SQL.timeout_s)
    rows, size = section.get("rows", values.whole, SQL.rows), section.get("bytes", values.whole, SQL.bytes)
    workers = section.get("workers", values.whole, SQL.workers)
    for name, value in (("timeout", timeout_s), ("rows", rows), ("bytes", size), ("workers", workers)):
        if value == 0:
            section.wrong(f"{name} must be more than nothing")
    return section.build(
        lambda: SqlSettings(anonymous=anonymous, timeout_s=timeout_s, rows=rows, bytes=size, workers=workers)
    )


def events(section: Section) -> EventSettings | None:
    keep_s = section.get("keep", values.whole_seconds, EVENTS.keep_s)
    mark_move = section.get("mark_move", values.percent, EVENTS.mark_move)
    streams = section.get("streams", values.whole, EVENTS.streams)
    each = section.get("streams_per_key", values.whole, EVENTS.streams_per_key)
    if section.sound and keep_s < 2 * DAY_S:
        section.wrong("keep must be two days or more: webhooks are tried again for a day")
    if mark_move == 0:
        section.wrong("mark_move must be more than 0%")
    return section.build(
        lambda: EventSettings(keep_s=keep_s, mark_move=mark_move, streams=streams, streams_per_key=each)
    )


def webhooks(section: Section, places: Places) -> WebhookSettings | None:
    secrets = section.get("secrets", places.path, None)
    loopback = section.get("loopback", values.boolean, WEBHOOKS.loopback)
    return section.build(lambda: WebhookSettings(secrets=secrets, loopback=loopback))


def membership(section: Section) -> MembershipSettings | None:
    check_every_s = section.get("check_every", values.whole_seconds, MEMBERSHIP.check_every_s)
    operator = section.get("operator", _operator_name, MEMBERSHIP.operator)
    return section.build(lambda: MembershipSettings(check_every_s=check_every_s, operator=operator))


def rebalancing(section: Section) -> RebalancingSettings | None:
    usual = RebalancingSettings()
    reachable = section.get("reachable", values.several(_way), usual.reachable)
    bridge_cost = section.get("bridge_cost", values.percent, usual.bridge_cost)
    action_usd = section.get("action_usd", values.whole, int(usual.action_usd))
    most_usd = section.get("most_usd", values.whole, int(usual.most_usd))
    if most_usd == 0:
        section.wrong("most_usd must be 1 or more")
    return section.build(
        lambda: RebalancingSettings(
            reachable=reachable, bridge_cost=bridge_cost, action_usd=float(action_usd), most_usd=float(most_usd)
        )
    )


def _way(value: object) -> tuple[str, str]:
    first, between, second = values.text(value).partition(">")
    if not between or ":" not in first or ":" not in second:
        raise values.Unfit('must be a way from one chain to another: "eip155:1>eip155:8453"')
    return first.strip(), second.strip()


def _operator_name(value: object) -> str:
    from aggregator.membership.message import MalformedMessage, check_operator  # noqa: PLC0415 - loads cryptography

    try:
        return check_operator(values.text(value))
    except MalformedMessage as error:
        raise values.Unfit(f"must be a name: {error}") from error


def policy(section: Section, places: Places) -> Path | None:
    path = section.get("path", places.path, None)
    return section.build(lambda: path)


def _schedule_or_never(value: object) -> str | None:
    return None if value == NEVER else _schedule(value)


def _count_or_all(value: object) -> int | None:
    if isinstance(value, str) and value != ALL:
        raise values.Unfit(
            f'must be a number of units of each venue, 0 for none, or "{ALL}", not {values.shown(value)}'
        )
    return None if value == ALL else values.whole(value)


def _schedule(value: object) -> str:
    from crossmargin.schedule import parse  # noqa: PLC0415 - the alarm clock is loaded only where one is set

    parse(values.text(value))
    return values.text(value)


def _lake_url(places: Places) -> Parse[str]:
    """A folder, which starts where the configuration is, or the address of a bucket."""

    def parse(value: object) -> str:
        said = values.text(value)
        if "://" not in said:
            return str(places.path(said))
        if "@" in said.partition("?")[0]:
            raise values.Unfit("must not hold a key; give keys in the environment (AWS_ACCESS_KEY_ID, …)")
        return said

    return parse
