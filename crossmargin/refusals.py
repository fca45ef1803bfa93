"""Why a policy or a signed message is not taken in; see `crossmargin.policies` and `crossmargin.memberships`."""

from __future__ import annotations

from crossmargin.errors import DeskError
from crossmargin.exits import ExitCode


class VersionTaken(DeskError):
    """Another policy has this version."""

    code = "version-taken"
    title = "Another policy has this version"
    http_status = 409
    exit_code = ExitCode.USAGE


class Retroactive(DeskError):
    """The policy would count from before what has been answered or published."""

    code = "retroactive"
    title = "The policy would change what was answered or published"
    http_status = 409
    exit_code = ExitCode.USAGE


class NoticeTooShort(DeskError):
    """A tightening of maintenance terms comes too soon."""

    code = "notice-too-short"
    title = "A tightening comes with too little notice"
    http_status = 409
    exit_code = ExitCode.USAGE


class NotScheduled(DeskError):
    """The file of the configuration is no policy that is in force or scheduled."""

    code = "policy-not-scheduled"
    title = "The configured policy is not in force"
    http_status = 409
    exit_code = ExitCode.USAGE


class NotSigned(DeskError):
    """The wallet did not sign it."""

    code = "not-signed"
    title = "The wallet did not sign this"
    http_status = 403
    exit_code = ExitCode.UNVERIFIED


class NotForUs(DeskError):
    """The message is meant for another operator."""

    code = "not-for-us"
    title = "The message is meant for another operator"
    http_status = 403
    exit_code = ExitCode.UNVERIFIED


class OutOfTime(DeskError):
    """The message has expired, or speaks of a moment that has not come."""

    code = "out-of-time"
    title = "The message does not count at this moment"
    http_status = 409
    exit_code = ExitCode.UNVERIFIED


class Replayed(DeskError):
    """The message was taken in before."""

    code = "replayed"
    title = "The message was used before"
    http_status = 409
    exit_code = ExitCode.UNVERIFIED


class Outdated(DeskError):
    """Something later is known of the wallet."""

    code = "outdated"
    title = "Something later is known of the wallet"
    http_status = 409
    exit_code = ExitCode.UNVERIFIED


class Conflict(DeskError):
    """The wallet belongs to another account."""

    code = "wallet-taken"
    title = "The wallet belongs to another account"
    http_status = 409
    exit_code = ExitCode.FAILED
