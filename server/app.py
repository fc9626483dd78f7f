"""The composition root: makes a server process out of its parts and runs it.

The only module that knows them all.
"""

import json
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from kintsugi.v1 import (
    access_service_pb2,
    action_service_pb2,
    agent_session_service_pb2,
    audit_service_pb2,
    connector_service_pb2,
    event_service_pb2,
    event_source_service_pb2,
    exception_service_pb2,
    guide_entry_service_pb2,
    workspace_service_pb2,
)
from kintsugi.v1.access_service_pb2_grpc import add_AccessServiceServicer_to_server
from kintsugi.v1.action_service_pb2_grpc import add_ActionServiceServicer_to_server
from kintsugi.v1.agent_session_service_pb2_grpc import add_AgentSessionServiceServicer_to_server
from kintsugi.v1.audit_service_pb2_grpc import add_AuditServiceServicer_to_server
from kintsugi.v1.connector_service_pb2_grpc import add_ConnectorServiceServicer_to_server
from kintsugi.v1.event_service_pb2_grpc import add_EventServiceServicer_to_server
from kintsugi.v1.event_source_service_pb2_grpc import add_EventSourceServiceServicer_to_server
from kintsugi.v1.exception_service_pb2_grpc import add_ExceptionServiceServicer_to_server
from kintsugi.v1.guide_entry_service_pb2_grpc import add_GuideEntryServiceServicer_to_server
from kintsugi.v1.workspace_service_pb2_grpc import add_WorkspaceServiceServicer_to_server

from server import database, logs
from server.config import Settings, unknown_variables
from server.database import CannotRun
from server.domain.errors import KintsugiError
from server.domain.rates import Rate
from server.interceptors.access import watch_streams
from server.interceptors.admission import CallPool, StreamLimit
from server.interceptors.buckets import Buckets
from server.interceptors.chain import Chain, Pools
from server.interceptors.limits import Limits
from server.interceptors.methods import declared_methods
from server.interceptors.refusals import RefusedCalls
from server.interceptors.trace import untraced
from server.operations import sealing
from server.operations.agent_starts import AgentStarts
from server.operations.authentication import Authenticator
from server.operations.chats import Chats
from server.operations.counting import keep_folding
from server.operations.generation import watch_orphans
from server.operations.opened_session import AgentSessions
from server.operations.retention import Kept, keep_pruning
from server.operations.vitals import keep_looking
from server.outbound.sending import Sender
from server.services.access import AccessService
from server.services.actions import ActionService
from server.services.agent_sessions import AgentSessionService
from server.services.audit import AuditService
from server.services.connectors import ConnectorService
from server.services.event_source import EventSourceService
from server.services.events import EventService
from server.services.exceptions import ExceptionService
from server.services.guide_entries import GuideEntryService
from server.services.health import Health
from server.services.workspaces import WorkspaceService
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store
from server.streams.hub import Hub
from server.streams.reader import Patience

if TYPE_CHECKING:
    from server.tracing import Spans

_log = structlog.get_logger()

Served = tuple[ServiceDescriptor, Callable[[Any, grpc.Server], None], Any]
"""A service's descriptor, the generated function that adds it to a server, the servicer."""

_ENDING = (signal.SIGTERM, signal.SIGINT)
_CONTROL_THREADS = 4
_MAX_PENDING = 20_000


def services(store: Store, hub: Hub, settings: Settings) -> list[Served]:
    """Everything that a server process serves, besides health and reflection."""
    sessions = AgentSessions(store, settings.approval_seconds)
    # The other half of the threads is for calls that don't wait.
    agent_sessions = AgentSessionService(sessions, waiting=settings.threads // 2 or 1)
    chats = Chats(sessions, AgentStarts(store.database, settings.agent_starts_per_hour))
    connectors = ConnectorService(store, Sender(settings.secrets_dir))
    action = action_service_pb2.DESCRIPTOR.services_by_name["ActionService"]
    agent_session = agent_session_service_pb2.DESCRIPTOR.services_by_name["AgentSessionService"]
    audit = audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"]
    connector = connector_service_pb2.DESCRIPTOR.services_by_name["ConnectorService"]
    events = event_service_pb2.DESCRIPTOR.services_by_name["EventService"]
    event_source = event_source_service_pb2.DESCRIPTOR.services_by_name["EventSourceService"]
    access = access_service_pb2.DESCRIPTOR.services_by_name["AccessService"]
    exceptions = exception_service_pb2.DESCRIPTOR.services_by_name["ExceptionService"]
    guide_entries = guide_entry_service_pb2.DESCRIPTOR.services_by_name["GuideEntryService"]
    workspaces = workspace_service_pb2.DESCRIPTOR.services_by_name["WorkspaceService"]
    return [
        (access, add_AccessServiceServicer_to_server, AccessService(store)),
        (action, add_ActionServiceServicer_to_server, ActionService(sessions)),
        (agent_session, add_AgentSessionServiceServicer_to_server, agent_sessions),
        (audit, add_AuditServiceServicer_to_server, AuditService(store, hub)),
        (connector, add_ConnectorServiceServicer_to_server, connectors),
        (events, add_EventServiceServicer_to_server, EventService(store, hub, chats)),
        (event_source, add_EventSourceServiceServicer_to_server, EventSourceService(hub)),
        (exceptions, add_ExceptionServiceServicer_to_server, ExceptionService(store, hub)),
        (guide_entries, add_GuideEntryServiceServicer_to_server, GuideEntryService(store)),
        (workspaces, add_WorkspaceServiceServicer_to_server, WorkspaceService(store)),
    ]


class Server:
    """A gRPC server over a database. `start` answers the port; `stop` lets calls in flight end."""

    def __init__(self, settings: Settings) -> None:
        """Raises CannotRun."""
        self._settings = settings
        provided = _provided(settings)
        self._spans = _spans() if settings.tracing else None
        self._database = Database(settings.database_url, connections=settings.threads)
        self._notifier = Notifier(settings.database_url)
        store = Store(self._database, self._notifier)
        self._hub = Hub(
            store,
            settings.database_url,
            Patience(settings.checkpoint_seconds, settings.slow_reader_seconds),
        )
        # While the database is away, what is tried so often must not slow the calls' own return.
        self._upkeep = Database(settings.database_url, connections=2)
        self._kept_up = Store(self._upkeep, self._notifier)
        self._refused = RefusedCalls()
        self._pools = _pools(settings)
        self._repetitions = [
            watch_orphans(store),
            keep_folding(self._upkeep),
            keep_pruning(self._upkeep, _kept(settings)),
            sealing.keep_sealing(self._kept_up, self._refused),
            *keep_looking(self._pools.all, self._databases(), self._upkeep),
        ]
        if days := settings.audit_retention_days:
            self._repetitions.append(sealing.keep_pruning(self._kept_up, days))
        self._authenticator = Authenticator(store, provided)
        self._health = Health(lambda: self._hub.is_fresh)
        self._grpc = self._build(services(store, self._hub, settings))

    def start(self) -> int:
        """Begins to serve. Raises CannotRun."""
        address = f"{self._settings.grpc_host}:{self._settings.grpc_port}"
        try:
            port = self._grpc.add_insecure_port(address)
        except RuntimeError as error:
            raise CannotRun(f"can't listen on {address}: is another server running?") from error
        self._grpc.start()
        return port

    def stop(self) -> None:
        """NOT_SERVING at once, then what is in flight may end, then the rest is cut off."""
        self._health.enter_graceful_shutdown()
        self._hub.end_streams()
        self._grpc.stop(self._settings.grace_seconds).wait()
        self._hub.close()
        for pool in self._pools.all:
            pool.shutdown()
        for repetition in self._repetitions:
            repetition.close()
        with suppress(KintsugiError):
            sealing.count_refused(self._kept_up, self._refused)
        self._notifier.close()
        self._upkeep.close()
        self._database.close()
        if self._spans:
            self._spans.close()

    def _databases(self) -> dict[str, Database]:
        return {"calls": self._database, "streams": self._hub.database, "upkeep": self._upkeep}

    def _build(self, served: Sequence[Served]) -> grpc.Server:
        methods = declared_methods(descriptor for descriptor, _, _ in served)
        chain = Chain(
            methods,
            self._pools,
            _limits(self._settings, self._database),
            self._authenticator,
            self._settings.deadline_seconds,
            refused=self._refused,
            trace=self._spans.begin if self._spans else untraced,
        )
        self._repetitions.append(watch_streams(chain.access))
        options = _options(self._settings)
        server = grpc.server(self._pools.unary, interceptors=[chain], options=options)
        for _, add, servicer in served:
            add(servicer, server)
        self._add_health(server, served)
        names = [descriptor.full_name for descriptor, _, _ in served]
        reflection.enable_server_reflection(
            [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
        )
        return server

    def _add_health(self, server: grpc.Server, served: Sequence[Served]) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        for name in ("", *(descriptor.full_name for descriptor, _, _ in served)):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)


def run(settings: Settings) -> None:
    """Serves until SIGTERM or Ctrl-C. Raises CannotRun."""
    logs.configure(settings.log_level)
    for name in unknown_variables():
        _log.warning("unknown setting", name=name)
    # Blocked before any thread is started, the signals wait until they are asked for.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    database.check(settings.database_url)
    server = Server(settings)
    port = server.start()
    _log.info("serving", port=port, pid=os.getpid())
    if settings.ready_file:
        _write_aside(settings.ready_file, {"grpc": f"{settings.grpc_host}:{port}"})
    signal.sigwait(_ENDING)
    server.stop()
    _log.info("stopped", pid=os.getpid())


def _provided(settings: Settings) -> Callable[[str], str] | None:
    """Who reads the tokens of the identity provider, if there is one. Raises CannotRun."""
    issuer, audience, jwks = settings.oidc_issuer, settings.oidc_audience, settings.oidc_jwks
    if not (issuer or audience or jwks):
        return None
    if not (issuer and audience and jwks):
        raise CannotRun(
            "an identity provider takes all of KINTSUGI_OIDC_ISSUER, _AUDIENCE and _JWKS"
        )
    try:
        from server.operations.json_web_token import IdentityProvider  # noqa: PLC0415 - an extra
        from server.operations.key_set import KeySet, KeysUnreadable  # noqa: PLC0415
    except ImportError as error:
        what = "an identity provider needs an extra: pip install 'kintsugi[oidc]'"
        raise CannotRun(what) from error
    try:
        return IdentityProvider(issuer, audience, settings.oidc_claim, KeySet(jwks)).user
    except KeysUnreadable as error:
        raise CannotRun(f"KINTSUGI_OIDC_JWKS: {error}") from error


def _pools(settings: Settings) -> Pools:
    return Pools(
        unary=CallPool("calls", settings.threads, settings.max_calls),
        streams=CallPool("streams", settings.max_streams, settings.max_streams),
        health=CallPool("health checks", _CONTROL_THREADS, settings.max_calls),
    )


def _kept(settings: Settings) -> Kept:
    return Kept(settings.keep_events_days, settings.keep_revisions_days, settings.keep_changes_days)


def _spans() -> "Spans":
    try:
        from server.tracing import Spans  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise CannotRun("tracing needs OpenTelemetry: pip install 'kintsugi[otel]'") from error
    return Spans()


def _limits(settings: Settings, database: Database) -> Limits:
    rate = Rate(settings.calls_per_second, settings.call_burst)
    try:
        calls = Buckets(rate, settings.rates_file)
    except OSError as error:
        raise CannotRun(f"can't use {settings.rates_file}: {error.strerror}") from error
    streams = StreamLimit(settings.max_streams_per_principal)
    agent_starts = AgentStarts(database, settings.agent_starts_per_hour)
    return Limits(calls, streams, agent_starts, settings.max_request_bytes)


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        # Calls that wait for the one serving thread: of more than 1,000, gRPC would drop some.
        ("grpc.server.max_pending_requests", _MAX_PENDING),
        ("grpc.server.max_pending_requests_hard_limit", _MAX_PENDING),
        # Two processes on one port would share its connections unnoticed.
        ("grpc.so_reuseport", 0),
        # What is larger than requests may be, but not that large, is refused with more words.
        ("grpc.max_receive_message_length", 4 * settings.max_request_bytes),
        ("grpc.max_send_message_length", -1),
        # Envoy lets 16 KiB of headers through and adds some; gRPC's own 8 KiB would refuse them.
        ("grpc.max_metadata_size", 40_960),
        # A header that can't be read stays in the table of the connection, which Envoy shares
        # among callers: one bad `grpc-timeout` would fail the calls of others. So there is none.
        ("grpc.http2.hpack_table_size.decoder", 0),
        # Envoy pings its connections; a server that finds that too often would close them.
        ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def _write_aside(path: Path, content: dict[str, str]) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(content))
    aside.replace(path)
