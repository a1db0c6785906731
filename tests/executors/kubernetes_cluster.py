"""A stand-in for a cluster's API server: it answers as Kubernetes' documentation says, and runs containers here.

Every body in both directions is held against Kubernetes' schemas. A container is a process that sees what its
container of the pod would: the variables of its spec, and nothing of this machine's but where programs are.
"""

import json
import os
import re
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil

from tests.executors import kubernetes_schemas as schemas

NAMESPACE = "research"
TOKEN = "a-token-of-the-cluster"
PENDING = {"phase": "Pending"}
EVERYTHING = frozenset(
    {f"{verb} jobs" for verb in ("create", "get", "list", "delete")}
    | {"get pods", "list pods", "get pods/log", "list events", "list resourcequotas", "list nodes"}
    | {"get localqueues", "list workloads"}
)


@dataclass
class Container:
    """What became of the pod of a job; `status` stands for a pod that never ran."""

    pod: dict[str, Any]
    process: subprocess.Popen | None = None
    log: Path | None = None


@dataclass
class Cluster:
    folder: Path
    rights: frozenset[str] = EVERYTHING
    token: str = TOKEN
    secrets: dict[str, str] = field(default_factory=dict)  # by SECRET/KEY
    queues: frozenset[str] = frozenset()
    has_kueue: bool = False
    kueue_says: str = ""  # why a workload has no quota reserved
    pages_of: int = 500  # objects of a list in one answer
    expired: int = 0  # pages to come that are asked for too late
    retry_after: str = ""  # beside each status that is no 200
    pod_status: dict[str, Any] | None = None  # of pods to come: they do not run
    refused_pods: str = ""  # why the job controller may make none
    hours_passed: float = 0.0
    nodes: list[dict[str, Any]] = field(default_factory=list)
    quotas: list[dict[str, Any]] = field(default_factory=list)
    admits: str = ""  # why no job is admitted
    faults: list[tuple[str, str]] = field(default_factory=list)  # (METHOD part-of-path, what), each once
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)  # by job
    asked: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    created: list[str] = field(default_factory=list)  # names of jobs, each time that one was made
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cluster": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=self.hours_passed)

    def close(self) -> None:
        for name in [*self.containers]:
            self.end_pod(name)
        self.server.shutdown()
        self.server.server_close()

    # what the controllers and the kubelet do

    def start_pod(self, name: str) -> None:
        job = self.jobs[name]
        if self.refused_pods:
            return
        spec = json.loads(json.dumps(job["spec"]["template"]["spec"]))
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-x7k2p",
                "namespace": NAMESPACE,
                "uid": str(uuid.uuid4()),
                "creationTimestamp": stamp(self.now),
                "labels": {**job["spec"]["template"]["metadata"]["labels"], "batch.kubernetes.io/job-name": name},
                "ownerReferences": [
                    {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"]}
                ],
            },
            "spec": spec,
            "status": self.pod_status or {"phase": "Running"},
        }
        self.containers[name] = Container(pod)
        if self.pod_status is None:
            self._run(name, spec["containers"][0])

    def _run(self, name: str, container: dict[str, Any]) -> None:
        held = self.containers[name]
        held.log = self.folder / f"{name}.log"
        variables = {"PATH": os.environ["PATH"]}
        for each in container["env"]:
            if "value" in each:
                variables[each["name"]] = each["value"].replace("$$", "$")
            else:
                wanted = each["valueFrom"]["secretKeyRef"]
                variables[each["name"]] = self.secrets[f"{wanted['name']}/{wanted['key']}"]
        with held.log.open("wb") as log:
            held.process = subprocess.Popen(
                [word.replace("$$", "$") for word in container["command"]],
                cwd=container.get("workingDir", str(self.folder)),
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end_pod(self, name: str) -> None:
        """End a container as its runtime does: everything in it."""
        held = self.containers.pop(name, None)
        if held is None or held.process is None:
            return
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            below = psutil.Process(held.process.pid).children(recursive=True)
            os.killpg(held.process.pid, signal.SIGKILL)
            for each in below:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        held.process.wait()

    def end_with(self, name: str, status: dict[str, Any]) -> None:
        """Let the pod of a job end like this, whatever it is at, and the job fail with it."""
        held = self.containers[name]
        if held.process is not None:
            os.killpg(held.process.pid, signal.SIGKILL)
            held.process.wait()
            held.process = None
        held.pod["status"] = status
        fail(self.jobs[name], "BackoffLimitExceeded", "Job has reached the specified backoff limit", self.now)

    def see(self, name: str) -> None:
        """Bring a job's status up to what its container came to."""
        job, held = self.jobs[name], self.containers.get(name)
        if job["status"].get("conditions") or held is None or held.process is None:
            return
        job["status"].setdefault("startTime", held.pod["metadata"]["creationTimestamp"])
        limit = timedelta(seconds=job["spec"]["activeDeadlineSeconds"])
        code = held.process.poll()
        if code is None:
            if self.now - datetime.fromisoformat(job["status"]["startTime"]) > limit:
                self.end_pod(name)
                fail(job, "DeadlineExceeded", "Job was active longer than specified deadline", self.now)
            return
        code = 128 - code if code < 0 else code
        reason = "Completed" if code == 0 else "Error"
        held.pod["status"] = ended_pod("Succeeded" if code == 0 else "Failed", code, reason)
        if code:
            fail(job, "BackoffLimitExceeded", "Job has reached the specified backoff limit", self.now)
        else:
            moment = stamp(self.now)
            complete = {"type": "Complete", "status": "True", "lastTransitionTime": moment, "lastProbeTime": moment}
            job["status"] |= {"conditions": [complete], "succeeded": 1, "completionTime": moment}

    # what the API answers

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path == "/apis":
            groups = ["batch", "authorization.k8s.io", *(["kueue.x-k8s.io"] if self.has_kueue else [])]
            return 200, {
                "apiVersion": "v1",
                "kind": "APIGroupList",
                "groups": [_group(name) for name in groups],
            }
        if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
            wanted = body["spec"]["resourceAttributes"]
            part = f"/{wanted['subresource']}" if "subresource" in wanted else ""
            is_ours = wanted["namespace"] == NAMESPACE
            allowed = is_ours and f"{wanted['verb']} {wanted['resource']}{part}" in self.rights
            return 201, {**body, "metadata": {}, "status": {"allowed": allowed}}
        if path == "/api/v1/nodes":
            return self._guarded("list nodes", lambda: self._page("Node", self.nodes, query))
        found = re.fullmatch(r"/(?:api|apis/([^/]+))/(v1\w*)/namespaces/([^/]+)/([a-z]+)(?:/([^/]+))?(/log)?", path)
        if found is None:
            return 404, "404 page not found\n"
        _, _, namespace, kind, name, part = found.groups()
        verb = {"GET": "get" if name else "list", "POST": "create", "DELETE": "delete"}[method]
        right = f"{verb} {kind}{part or ''}"

        def carry_out() -> tuple[int, Any]:
            match right:
                case "create jobs":
                    return self._create(namespace, query, body)
                case "get jobs":
                    return self._job(name, namespace)
                case "delete jobs":
                    return self._delete(name, body)
                case "list pods":
                    return self._page("Pod", self._pods(query), query)
                case "get pods/log":
                    return self._log(name, query)
                case "list events":
                    return self._page("Event", self._events(query), query)
                case "list resourcequotas":
                    return 200, _list("ResourceQuota", self.quotas)
                case "list workloads":
                    return 200, self._workloads(query)
                case "get localqueues":
                    if name in self.queues:
                        return 200, {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue"}
                    return 404, status(404, "NotFound", f'localqueues.kueue.x-k8s.io "{name}" not found', name)
            return 404, "404 page not found\n"

        return self._guarded(right, carry_out, namespace)

    def _page(self, kind: str, every: list[dict[str, Any]], query: dict[str, str]) -> tuple[int, Any]:
        """Answer with a part of a list, and with the token that the next is asked for by."""
        begin = int(query.get("continue", 0))
        if begin and self.expired:
            self.expired -= 1
            said = "The provided continue parameter is too old to display a consistent list result."
            return 410, status(410, "Expired", said)
        end = begin + min(int(query.get("limit", 10**9)), self.pages_of)
        page = _list(kind, every[begin:end])
        if end < len(every) and "limit" in query:
            page["metadata"]["continue"] = str(end)
        return 200, page if "limit" in query else _list(kind, every)

    def _workloads(self, query: dict[str, str]) -> dict[str, Any]:
        """Return the workloads that Kueue made of jobs, found by the label that it gives them."""
        wanted = query.get("labelSelector", "").removeprefix("kueue.x-k8s.io/job-uid=")
        reserved = {"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": self.kueue_says}
        found = [
            {"metadata": {"name": f"job-{name}"}, "status": {"conditions": [reserved] if self.kueue_says else []}}
            for name, job in self.jobs.items()
            if job["metadata"]["uid"] == wanted
        ]
        return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "WorkloadList", "metadata": {}, "items": found}

    def _guarded(self, right: str, carry_out: Any, namespace: str = NAMESPACE) -> tuple[int, Any]:
        if right in self.rights:
            return carry_out()
        verb, _, kind = right.partition(" ")
        said = f'{kind} is forbidden: User "herald" cannot {verb} resource "{kind}" in the namespace "{namespace}"'
        return 403, status(403, "Forbidden", said)

    def _create(self, namespace: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        name = body["metadata"]["name"]
        if body["metadata"].get("namespace", namespace) != namespace:
            return 400, status(400, "BadRequest", "the namespace of the provided object does not match the request")
        if re.fullmatch(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", name) is None or len(name) > 63:
            return 422, status(422, "Invalid", f'Job.batch "{name}" is invalid: metadata.name: Invalid value')
        if body["spec"]["template"]["spec"].get("restartPolicy") not in {"Never", "OnFailure"}:
            return 422, status(
                422, "Invalid", f'Job.batch "{name}" is invalid: spec.template.spec.restartPolicy: Required value'
            )
        if namespace != NAMESPACE:
            return 404, status(404, "NotFound", f'namespaces "{namespace}" not found', namespace)
        if self.admits:
            return 403, status(403, "Forbidden", f'jobs.batch "{name}" is forbidden: {self.admits}')
        if name in self.jobs:
            return 409, status(409, "AlreadyExists", f'jobs.batch "{name}" already exists', name)
        job = json.loads(json.dumps(body))
        job["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": stamp(self.now), "namespace": namespace}
        is_queued = self.has_kueue and "kueue.x-k8s.io/queue-name" in body["metadata"].get("labels", {})
        job["spec"]["suspend"] = is_queued
        job["status"] = {} if is_queued else {"startTime": stamp(self.now)}
        if query.get("dryRun") != "All":
            self.jobs[name] = job
            self.created.append(name)
            if not is_queued:
                self.start_pod(name)
        return 201, job

    def _job(self, name: str, namespace: str) -> tuple[int, Any]:
        if name not in self.jobs or namespace != NAMESPACE:
            return 404, not_found(name)
        self.see(name)
        return 200, self.jobs[name]

    def _delete(self, name: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        if name not in self.jobs:
            return 404, not_found(name)
        options = body or {}
        wanted = options.get("preconditions", {}).get("uid")
        if wanted not in {None, self.jobs[name]["metadata"]["uid"]}:
            return 409, status(
                409, "Conflict", f'Operation cannot be fulfilled on jobs.batch "{name}": the UID differs'
            )
        if options.get("propagationPolicy") in {"Foreground", "Background"}:  # else its pod is an orphan, and lives on
            self.end_pod(name)
        del self.jobs[name]
        return 200, status(200, "", "", name, success=True)

    def _pods(self, query: dict[str, str]) -> list[dict[str, Any]]:
        for name in [*self.jobs]:
            self.see(name)
        key, _, value = query.get("labelSelector", "").partition("=")
        return [
            held.pod for held in self.containers.values() if not key or held.pod["metadata"]["labels"].get(key) == value
        ]

    def _log(self, name: str, query: dict[str, str]) -> tuple[int, Any]:
        held = next((each for each in self.containers.values() if each.pod["metadata"]["name"] == name), None)
        if held is None:
            return 404, status(404, "NotFound", f'pods "{name}" not found', name)
        if query.get("container") != held.pod["spec"]["containers"][0]["name"]:
            return 400, status(400, "BadRequest", f"container {query.get('container')} is not valid for pod {name}")
        if held.log is None:
            said = f'container "job" in pod "{name}" is waiting to start: ContainerCreating'
            return 400, status(400, "BadRequest", said)
        return 200, held.log.read_bytes()[: int(query.get("limitBytes", 10**9))]

    def _events(self, query: dict[str, str]) -> list[dict[str, Any]]:
        key, _, name = query["fieldSelector"].partition("=")
        assert key == "involvedObject.name"
        if not self.refused_pods or name not in self.jobs:
            return []
        return [
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"{name}.17", "namespace": NAMESPACE},
                "involvedObject": {"kind": "Job", "name": name, "namespace": NAMESPACE},
                "reason": "FailedCreate",
                "type": "Warning",
                "message": f'Error creating: pods "{name}-x7k2p" is forbidden: {self.refused_pods}',
                "lastTimestamp": stamp(self.now),
            }
        ]


class _Handler(BaseHTTPRequestHandler):
    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(length) if length else b""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self.cluster.lock:
            self.cluster.asked.append(f"{self.command} {parts.path}")
            fault = self._fault(parts.path)
            if fault == "cut before":
                self.close_connection = True
                return
            code, answer = self._answer(parts.path, query, json.loads(data) if data else None)
            if fault == "cut after":
                self.close_connection = True
                return
            if fault is not None:
                code, answer = int(fault), "the proxy has no upstream\n"
            self._send(code, answer)

    def _answer(self, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if self.headers.get("Authorization") != f"Bearer {self.cluster.token}":
            return 401, status(401, "Unauthorized", "Unauthorized")
        if body is not None:
            self.cluster.bodies.append(body)
            schemas.check(body)
        return self.cluster.answer(self.command, path, query, body)

    def _fault(self, path: str) -> str | None:
        for place, (where, what) in enumerate(self.cluster.faults):
            method, _, part = where.partition(" ")
            if method == self.command and part in path:
                del self.cluster.faults[place]
                return what
        return None

    def _send(self, code: int, answer: Any) -> None:
        if isinstance(answer, dict):
            if answer["kind"] not in {"LocalQueue", "WorkloadList"}:  # Kueue's own
                schemas.check(answer)
            data, kind = json.dumps(answer).encode(), "application/json"
        else:
            data, kind = answer if isinstance(answer, bytes) else answer.encode(), "text/plain; charset=utf-8"
        self.send_response_only(code)
        self.send_header("Date", self.cluster.now.strftime("%a, %d %b %Y %H:%M:%S GMT"))
        if code >= 400 and self.cluster.retry_after:
            self.send_header("Retry-After", self.cluster.retry_after)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815  the library calls them so

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def status(code: int, reason: str, message: str, name: str = "", *, success: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Success" if success else "Failure",
    }
    if not success:
        made |= {"message": message, "reason": reason, "code": code}
    return made | ({"details": {"name": name, "group": "batch", "kind": "jobs"}} if name else {})


def not_found(name: str) -> dict[str, Any]:
    return status(404, "NotFound", f'jobs.batch "{name}" not found', name)


def ended_pod(phase: str, code: int, reason: str, message: str = "") -> dict[str, Any]:
    """Return the status of a pod whose container has ended."""
    ended = {"exitCode": code, "reason": reason, **({"message": message} if message else {})}
    return {"phase": phase, "containerStatuses": [container_status(terminated=ended)]}


def container_status(**state: Any) -> dict[str, Any]:
    return {"name": "job", "ready": False, "restartCount": 0, "image": "i", "imageID": "", "state": state}


def waiting(reason: str, message: str) -> dict[str, Any]:
    """Return the status of a pod whose container waits for this."""
    state = {"waiting": {"reason": reason, "message": message}}
    return PENDING | {"containerStatuses": [container_status(**state)]}


UNSCHEDULABLE = PENDING | {
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/4 nodes are available: 4 Insufficient nvidia.com/gpu.",
        }
    ]
}


def fail(job: dict[str, Any], reason: str, message: str, now: datetime) -> None:
    moment = stamp(now)
    condition = {
        "type": "Failed",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
    }
    job["status"] |= {"conditions": [condition], "failed": 1}


def _list(kind: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": f"{kind}List", "metadata": {"resourceVersion": "1"}, "items": items}


def _group(name: str) -> dict[str, Any]:
    version = {
        "groupVersion": f"{name}/{'v1beta2' if 'kueue' in name else 'v1'}",
        "version": "v1beta2" if "kueue" in name else "v1",
    }
    return {"name": name, "versions": [version], "preferredVersion": version}


def running(folder: Path, **changes: Any) -> Iterator[Cluster]:
    """Yield a cluster for as long as a test takes."""
    cluster = Cluster(folder, **changes)
    try:
        yield cluster
    finally:
        cluster.close()
