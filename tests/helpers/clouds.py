"""Stand-ins for the services of Kubernetes and AWS Batch on the loopback: each job that is sent runs here, in a process."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

MEANT = {0: "SUCCEEDED"}


class Service(BaseHTTPRequestHandler):
    """Answers as much of both interfaces as the executors use. `jobs`: what was sent, by its name."""

    jobs: dict[str, dict]
    ended: dict[str, int]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        if self.path.endswith("/jobs"):
            spec = body["spec"]["template"]["spec"]["containers"][0]
            self._run(body["metadata"]["name"], spec, [*spec["command"], *spec["args"]])
            self._say(body)
        elif self.path == "/v1/submitjob":
            self._run(body["jobName"], body, body["containerOverrides"]["command"])
            self._say({"jobName": body["jobName"], "jobId": body["jobName"]})
        elif self.path == "/v1/describejobs":
            (name,) = body["jobs"]
            state = {None: "RUNNING", 0: "SUCCEEDED"}.get(self.ended.get(name), "FAILED")
            self._say({"jobs": [{"jobId": name, "jobName": name, "jobQueue": "q", "startedAt": 0, "status": state}]})
        else:  # a secret, or a job that shall be ended
            self._say({})

    def do_GET(self) -> None:
        if self.path.endswith("/status"):
            code = self.ended.get(self.path.split("/")[-2])
            self._say({"status": {} if code is None else {"failed" if code else "succeeded": 1}})
        else:
            self._say({"items": []})  # of pods: their jobs tell the state

    def do_DELETE(self) -> None:
        self._say({})

    def _run(self, name: str, spec: dict, words: list[str]) -> None:
        """Start the command of a job in an empty folder, as in a container of its own."""
        self.jobs[name] = spec

        def work() -> None:
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            spec["output"] = done.stdout
            self.ended[name] = done.returncode

        threading.Thread(target=work).start()

    def _say(self, answer: dict) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def service(folder: Path) -> Iterator[tuple[dict[str, str], dict[str, dict]]]:
    """While this is open, a service answers. Yields the variables that lead an executor to it, and the jobs it was sent."""
    handler = type("Handler", (Service,), {"jobs": {}, "ended": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}"
        known = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": address}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
        }
        (folder / "kube.yaml").write_text(yaml.safe_dump(known))
        variables = {
            "KUBECONFIG": str(folder / "kube.yaml"),
            "AWS_ENDPOINT_URL_BATCH": address,
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
        }
        try:
            yield variables, handler.jobs
        finally:
            server.shutdown()
