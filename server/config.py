"""The settings of servers and workers, read from flags and `KINTSUGI_*` variables in one place.

What `kintsugi up` starts around the servers has its own flags, in `cli/up.py`.
"""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from server import failpoints
from server.domain.secret_references import VARIABLES_BEGIN

_PREFIX = "KINTSUGI_"
_OTHER_VARIABLES = {
    *("KINTSUGI_SERVER", "KINTSUGI_TOKEN", "KINTSUGI_TOKEN_FILE", "KINTSUGI_WORKSPACE"),
    *("KINTSUGI_SOAK", failpoints.VARIABLE),
}

LEAST_AUDIT_DAYS = 30
"""The database itself lets nobody remove what is younger."""


class Settings(BaseSettings):
    """One server process. A flag beats a variable, a variable beats the default."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX)

    database_url: str = Field(description="PostgreSQL 17 or newer, as a libpq URL")
    grpc_host: str = Field("127.0.0.1", description="address to listen on")
    insecure: bool = Field(
        default=False, description="listen beyond loopback too, though gRPC here has no TLS"
    )
    grpc_port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0: a free one")
    ready_file: Path | None = Field(None, description="written when the process serves")
    threads: int = Field(16, ge=1, le=256, description="threads, and database connections")
    max_calls: int = Field(512, ge=1, description="unary calls at once, waiting ones included")
    max_streams: int = Field(2000, ge=1, description="streams at once")
    max_streams_per_principal: int = Field(1000, ge=1, description="streams of one caller at once")
    calls_per_second: float = Field(1000, gt=0, description="calls of one caller in the long run")
    call_burst: int = Field(2000, ge=1, description="calls of one caller at once, after a rest")
    agent_starts_per_hour: int = Field(
        100, ge=1, le=10_000, description="calls of one caller that start agent work"
    )
    approval_seconds: int = Field(
        86_400, ge=1, le=31_536_000, description="for which an agent session waits for a person"
    )
    rates_file: Path | None = Field(
        None, description="where the processes of a machine count calls a second together"
    )
    checkpoint_seconds: float = Field(
        10, gt=0, le=15, description="after which a quiet stream is sent a cursor"
    )
    slow_reader_seconds: float = Field(
        15, gt=0, description="what a reader may take for one message of a stream"
    )
    max_request_bytes: int = Field(4_259_840, ge=1024, description="4 MiB and the field around it")
    deadline_seconds: float = Field(30, gt=0, description="the longest that a unary call may take")
    grace_seconds: float = Field(3, ge=0, description="what calls in flight get at the end")
    keep_events_days: int = Field(
        0, ge=0, le=36500, description="what is said about runs; 0: for ever"
    )
    keep_revisions_days: int = Field(
        0,
        ge=0,
        le=36500,
        description="versions of guide entries that are neither newest nor in use; 0: for ever",
    )
    keep_changes_days: int = Field(
        30,
        ge=0,
        le=36500,
        description="changes, for cursors of watches and repeated request ids; 0: for ever",
    )
    audit_retention_days: int = Field(
        0, ge=0, le=36500, description="for which audit entries are kept, 30 at least; 0: for ever"
    )
    oidc_issuer: str = Field("", description="`iss` of an identity provider's tokens; empty: none")
    oidc_audience: str = Field("", description="`aud` of its tokens that are for this service")
    oidc_jwks: str = Field("", description="its keys: a URL, or a file")
    oidc_claim: str = Field("sub", min_length=1, description="the claim that is a user's id")
    analysis_seconds: float = Field(
        300, gt=0, le=86_400, description="what an agent session may take to find out what to do"
    )
    sessions_at_once: int = Field(
        8, ge=1, le=256, description="agent sessions that a worker goes on with at once"
    )
    lease_seconds: float = Field(
        3, ge=0.5, le=300, description="after which the sessions of a dead worker are taken over"
    )
    worker_grace_seconds: float = Field(
        30, ge=0, description="what requests of a worker in flight to target systems get at the end"
    )
    secrets_dir: Path | None = Field(
        None, description="where the secrets `file:NAME` are, in a folder for each workspace"
    )
    tracing: bool = Field(
        default=False, description="send a span for each call (OpenTelemetry, `kintsugi[otel]`)"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least that is logged"
    )

    @field_validator("audit_retention_days")
    @classmethod
    def _check_retention(cls, days: int) -> int:
        if 0 < days < LEAST_AUDIT_DAYS:
            raise ValueError(f"must be 0, for ever, or at least {LEAST_AUDIT_DAYS}")
        return days


def wrong_values(error: ValidationError) -> list[str]:
    """What is wrong with which variables: `KINTSUGI_THREADS must be a valid integer`."""
    return [
        _PREFIX + "_".join(map(str, each["loc"])).upper() + f" {_words(each['msg'])}"
        for each in error.errors(include_input=False)
    ]


def _words(message: str) -> str:
    """Pydantic's, without its own terms."""
    text = message.removeprefix("Value error, ").partition(", unable to ")[0]
    return text.replace("Input should be", "must be")


def unknown_variables() -> dict[str, str]:
    """The ones that are set and mean nothing, with what to do about each: most are mistyped."""
    known = {_PREFIX + name.upper() for name in Settings.model_fields} | _OTHER_VARIABLES
    ours = {name for name in os.environ if name.startswith(_PREFIX)} - known
    return {
        name: _advice(get_close_matches(name, known, n=1))
        for name in sorted(ours)
        if not name.startswith(VARIABLES_BEGIN)
    }


def _advice(near: list[str]) -> str:
    return f"did you mean {near[0]}?" if near else "remove it"
