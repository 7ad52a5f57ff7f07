"""A W&B server on loopback that keeps everything in memory, for driving the real client without a network.

    with Server() as server:        # WANDB_BASE_URL=server.url, WANDB_API_KEY=any 40 characters
        ...
        server.runs["a-run-id"]     # config, history, summary, state, display_name, group, job_type, tags

It answers what a run asks: who am I, make or change a run, resume, append rows, store files. GET /_dump gives the
same as JSON, and `python tests/support/wandb_server.py PORT` serves alone. `down`, `up`, `status` and `delay` are its faults.
It shows that the client is driven rightly, not that W&B would display the result.
"""

from __future__ import annotations

import gzip
import itertools
import json
import math
import random
import re
import socket
import sys
import threading
import time
import zlib
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml


@dataclass
class Run:
    """One run as the server holds it; a history row carries the client's own `_step`, `_runtime`, `_timestamp`."""

    id: str
    project: str
    entity: str = "me"
    config: dict[str, Any] = field(default_factory=dict)  # {key: {"value": ...}}, as W&B stores it
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    state: str = "running"
    display_name: str = ""
    group: str | None = None
    job_type: str | None = None
    tags: list[str] = field(default_factory=list)
    host: str | None = None
    sweep: str | None = None
    notes: str | None = None
    sent: list[int] = field(default_factory=list)  # the step of every row that arrived, in order, repeats included

    def rows(self) -> list[dict[str, Any]]:
        """The history without W&B's own columns."""
        return [{key: value for key, value in row.items() if not key.startswith("_")} for row in self.history]

    def settings(self) -> dict[str, Any]:
        """The config without W&B's own entry."""
        return {key: entry["value"] for key, entry in self.config.items() if not key.startswith("_")}

    def results(self) -> dict[str, Any]:
        """The summary without W&B's own entries."""
        return {key: value for key, value in self.summary.items() if not key.startswith("_")}

    def node(self) -> dict[str, Any]:
        """The run as an answer to a query."""
        return {
            "id": self.id,
            "name": self.id,
            "displayName": self.display_name,
            "project": {"id": "p", "name": self.project, "entity": {"id": "e", "name": self.entity}},
            "config": json.dumps(self.config),
            "wandbConfig": json.dumps({"t": 1}),
            "summaryMetrics": json.dumps(self.summary),
            "tags": self.tags,
            "notes": self.notes,
            "historyLineCount": len(self.history),
            "historyTail": json.dumps([json.dumps(row) for row in self.history[-1:]]),
            "state": self.state,
            "group": self.group,
            "jobType": self.job_type,
            "sweepName": self.sweep,
            "user": {"name": "me", "username": "me"},
            "historyKeys": {"lastStep": self.history[-1]["_step"] if self.history else -1, "keys": {}},
            "eventsLineCount": 0,
            "eventsTail": "[]",
            "logLineCount": 0,
        }


class Server:
    """The server and its faults; a context manager."""

    def __init__(self, port: int = 0):
        self.runs: dict[str, Run] = {}
        self.files: dict[str, bytes] = {}
        self.bodies: list[str] = []  # every request's path and body, for looking up what left the client
        self.views: dict[tuple[str, str, str], dict[str, Any]] = {}  # saved workspaces by entity, project and name
        self.artifacts: list[dict[str, Any]] = []  # name, type and metadata of each that was made
        self.used: list[tuple[str, str]] = []  # runs, and the artifacts that they have declared as an input
        self.unknown: list[str] = []  # operations that got no answer
        self.status = 200  # 500: every answer is an error
        self.delay = 0.0  # seconds before each answer
        self.hung = 0.0  # seconds before each answer but to whether it is well
        self._lock = threading.Lock()
        self._port = port
        self.up()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> None:
        """Listens, after `down` again on the same port and with the same runs."""
        self._connections: set[socket.socket] = set()
        self._http = _Listener(("127.0.0.1", self._port), type("Handler", (_Handler,), {"server_state": self}))
        self._port = self._http.server_port
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self) -> None:
        """Gone in an instant: open connections are cut."""
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self._connections):
            connection.close()

    def find(self, v: dict[str, Any]) -> Run | None:
        """The run of a user or team and project that is asked for."""
        name, entity, project = v.get("name") or v.get("id"), v.get("entity") or "me", v.get("project") or "uncategorized"
        wanted = (name, entity, project)
        return next((run for run in self.runs.values() if (run.id, run.entity, run.project) == wanted), None)

    def graphql(self, operation: str, v: dict[str, Any]) -> dict[str, Any] | None:
        """The data that answers one query, None where it is not known."""
        me = {"id": "u", "entity": "me", "username": "me", "email": "me@localhost", "flags": "{}", "teams": {"edges": []}}
        if operation in ("Viewer", "GetDefaultEntity"):
            return {"viewer": me}
        if operation in ("ServerFeaturesQuery", "ServerInfo"):
            return {"serverInfo": {"features": [], "cliVersionInfo": {}, "latestLocalVersionInfo": None}}
        if operation == "OrganizationCoreWeaveOrganizationID":
            return {"entity": {"organization": {"coreWeaveOrganizationId": None}}}
        if operation == "UpsertBucket":
            name, entity, project = v.get("name") or v["id"], v.get("entity") or "me", v.get("project") or "uncategorized"
            new = (run := self.find(v)) is None
            if run is None:
                run = Run(name, project, entity)
                self.runs[f"{entity}/{project}/{name}" if name in self.runs else name] = run
            for theirs, ours in (("displayName", "display_name"), ("groupName", "group"), ("jobType", "job_type")):
                setattr(run, ours, v.get(theirs) or getattr(run, ours))
            run.notes = v.get("notes") or run.notes
            run.sweep = v.get("sweep") or run.sweep
            run.tags, run.host, run.state = v.get("tags") or run.tags, v.get("host"), "running"
            run.config = json.loads(v["config"]) if v.get("config") else run.config
            run.summary = json.loads(v["summaryMetrics"]) if v.get("summaryMetrics") else run.summary
            return {"upsertBucket": {"bucket": run.node(), "inserted": new}}
        if operation in ("Run", "RunHistoryKeys"):
            run = self.find(v)
            return {"project": {"id": "p", "internalId": "UHJvamVjdDox", "run": run and run.node()}}
        if "sweep" in operation.lower() or "agent" in operation.lower() or operation == "Heartbeat":
            return self.sweeping(operation, v)
        if operation == "DeleteRun":
            del self.runs[v["id"]]
            return {"deleteRun": {"clientMutationId": None}}
        if operation == "RunParquetHistory":
            found = self.find({**v, "name": v["runName"]})
            live = found.history if found else []
            return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": live}}}}
        if operation == "HistoryPage":
            found = self.find({**v, "name": v["run"]})
            rows = [json.dumps(row) for row in (found.history if found else []) if v["minStep"] <= row["_step"] < v["maxStep"]]
            return {"project": {"run": {"history": rows}}}
        if operation == "RunResumeStatus":
            run = self.find(v)
            place = {"id": "p", "name": v.get("project"), "entity": {"id": "e", "name": v.get("entity") or "me"}}
            return {"model": {**place, "bucket": run and run.node()}}
        if operation == "UpsertView2":
            self.views[v["entityName"], v["projectName"], v["displayName"]] = json.loads(v["spec"])
            return {"upsertView": {"view": {"id": "v", "name": v["name"]}, "inserted": True}}
        if operation == "ArtifactType":
            return {"project": {"artifact": None}}
        if operation == "CreateArtifact":  # as if it were there already, so that none of its files is asked for
            self.artifacts.append(v)
            artifact = {"id": "a", "state": "COMMITTED", "artifactSequence": {"latestArtifact": {"id": "a"}}}
            return {"createArtifact": {"artifact": artifact}}
        if operation == "ArtifactByID":
            made, place = self.artifacts[-1]["input"], {"id": "p", "name": "p", "entity": {"id": "e", "name": "me"}}
            place["internalId"] = "UHJvamVjdDox"
            sequence = {"__typename": "ArtifactSequence", "id": "s", "name": made["artifactCollectionName"], "project": place}
            facts = {"id": v["id"], "artifactSequence": sequence, "artifactType": {"name": made["artifactTypeName"]}}
            facts |= {"versionIndex": 0, "metadata": made.get("metadata"), "state": "COMMITTED", "digest": made["digest"]}
            facts |= dict.fromkeys(("description", "historyStep", "commitHash", "updatedAt"))
            facts |= {"ttlDurationSeconds": -1, "ttlIsInherited": False, "tags": [], "aliases": [], "size": 0, "fileCount": 1}
            return {"artifact": {"__typename": "Artifact", **facts, "createdAt": "2026-01-01T00:00:00Z"}}
        if operation == "UseArtifact":
            self.used.append((v["input"]["runName"], self.artifacts[-1]["input"]["artifactCollectionName"]))
            return {"useArtifact": {"artifact": {"id": v["input"]["artifactID"]}}}
        if operation == "CreateRunFiles":
            places = [{"name": name, "uploadUrl": f"{self.url}/storage/{v['run']}/{name}"} for name in v["files"]]
            return {"createRunFiles": {"runID": v["run"], "uploadHeaders": [], "files": places}}
        return None

    def sweeping(self, operation: str, v: dict[str, Any]) -> dict[str, Any] | None:
        """One sweep: made, asked about, and its jobs handed to an agent, one at a time.

        Of a grid, every combination; of the other methods `run_cap` draws: what W&B's own would learn from the runs before,
        and whom it would stop, is not played.
        """
        if operation == "UpsertSweep":
            self.sweep_text = v["config"]
            sweep = yaml.safe_load(v["config"])
            if sweep["method"] == "grid":
                every = {key: rule.get("values", [rule.get("value")]) for key, rule in sweep["parameters"].items()}
                self.queue = [dict(zip(every, values, strict=True)) for values in itertools.product(*every.values())]
            else:
                chance = random.Random(0)
                self.queue = [
                    {key: drawn(rule, chance) for key, rule in sweep["parameters"].items()} for _ in range(sweep["run_cap"])
                ]
        config = yaml.safe_load(self.sweep_text)
        place = {"id": "p", "name": v.get("projectName"), "entity": {"id": "e", "name": "me"}}
        empty = {"edges": [], "pageInfo": {"endCursor": None, "hasNextPage": False}}
        sweep = {
            "id": "s",
            "name": f"{config['name']}0000",
            "project": place,
            "method": config["method"],
            "state": "RUNNING",
            "config": self.sweep_text,
        }
        sweep |= {"description": "", "createdAt": "2026-01-01T00:00:00Z", "heartbeatAt": None, "updatedAt": None, "runCount": 0}
        sweep |= {"earlyStopJobRunning": False, "controller": "{}", "scheduler": "{}", "runs": empty, "agents": empty}
        sweep |= {"bestLoss": None, "displayName": None, "runCountExpected": None, "priorRuns": empty}
        if operation == "UpsertSweep":
            return {"upsertSweep": {"sweep": sweep, "configValidationWarnings": []}}
        if operation in ("CreateAgent", "RegisterAgent"):
            return {"createAgent": {"agent": {"id": "agent"}}}
        if operation in ("Heartbeat", "AgentHeartbeat"):
            commands: list[dict[str, Any]] = []
            if not json.loads(v.get("runState") or "{}"):
                commands = [{"type": "exit"}]
                if self.queue:
                    arguments = {key: {"value": value} for key, value in self.queue.pop(0).items()}
                    name = f"job{len(self.queue)}"
                    commands = [
                        {"type": "run", "run_id": name, "run_name": name, "args": arguments, "program": config["program"]}
                    ]
            return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}
        return {"project": {"id": "p", "name": v.get("project"), "sweep": sweep}}

    def stream(self, run: Run, sent: dict[str, Any]) -> None:
        """Rows, summary and the end of a run, as the client streams them."""
        for name, chunk in (sent.get("files") or {}).items():
            if name == "wandb-history.jsonl":
                rows = [json.loads(line) for line in chunk["content"]]
                run.history[chunk["offset"] :] = rows
                run.sent += [row["_step"] for row in rows]
            elif name == "wandb-summary.json":
                run.summary = json.loads(chunk["content"][-1])
        if sent.get("complete"):
            run.state = "finished" if sent.get("exitcode") == 0 else "failed"

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """(status, what to send) for one request."""
        if path == "/_dump":
            return 200, {"runs": {name: asdict(run) for name, run in self.runs.items()}, "files": sorted(self.files)}
        self.bodies.append(f"{path} {body.decode('utf-8', 'replace')}")
        if self.status != 200:
            return self.status, {"error": "as asked"}
        if path == "/graphql":
            query = json.loads(body)
            found = re.search(r"(?:query|mutation)\s+(\w+)", query["query"])
            operation = query.get("operationName") or (found[1] if found else "")
            data = self.graphql(operation, query.get("variables") or {})
            if data is None:
                self.unknown.append(operation)
                return 200, {"data": None, "errors": [{"message": f"unknown operation {operation}"}]}
            return 200, {"data": data}
        if match := re.fullmatch(r"/files/([^/]+)/([^/]+)/([^/]+)/file_stream", path):
            run = self.find({"entity": match[1], "project": match[2], "name": match[3]})
            assert run is not None
            self.stream(run, json.loads(body))
            return 200, {"exitcode": None, "limits": {}}
        if path.startswith("/storage/") and method in ("PUT", "POST"):
            self.files[path.removeprefix("/storage/")] = body
        return 200, {}


def drawn(rule: dict[str, Any], chance: random.Random) -> Any:
    """A value by the rule of a parameter."""
    if rule.get("distribution") == "log_uniform_values":
        return math.exp(chance.uniform(math.log(rule["min"]), math.log(rule["max"])))
    return chance.choice(rule.get("values", [rule.get("value")]))


class _Listener(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hangs up is no news


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: Server

    def setup(self) -> None:
        super().setup()
        self.server_state._connections.add(self.connection)

    def finish(self) -> None:
        self.server_state._connections.discard(self.connection)
        super().finish()

    def log_message(self, *_: object) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
        unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(self.headers.get("content-encoding") or "", bytes)
        return unpack(body)

    def _answer(self) -> None:
        body = self._body()
        time.sleep(self.server_state.delay + (0 if "healthz" in self.path else self.server_state.hung))
        with self.server_state._lock:
            status, data = self.server_state.answer(self.command, self.path, body)
        text = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_HEAD = do_POST = do_PUT = _answer


if __name__ == "__main__":
    with Server(int(sys.argv[1])) as server:
        print(server.url, flush=True)
        threading.Event().wait()
