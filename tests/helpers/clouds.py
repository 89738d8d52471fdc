"""A stand-in for the services of Kubernetes and AWS Batch, on the loopback: each job that it is sent runs here."""

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


class Service(BaseHTTPRequestHandler):
    """Answers as much of both interfaces as the executors use."""

    sent: list[dict]  # what each job asked: memory in MB, gpus; then what it printed, "output"
    ended: dict[str, int]  # the exit code of each job that has ended, by its name
    lost: list[str]  # a rule whose next job is not run, as where a machine is taken away

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        if self.path.endswith("/jobs"):
            spec = body["spec"]["template"]["spec"]["containers"][0]
            most = spec["resources"]["limits"]
            asks = {"memory": int(most["memory"].removesuffix("M")), "gpus": int(most.get("nvidia.com/gpu", 0))}
            self._run(body["metadata"]["name"], [*spec["command"], *spec["args"]], asks)
            self._say(body)
        elif self.path == "/v1/submitjob":
            most = {one["type"]: int(one["value"]) for one in body["containerOverrides"]["resourceRequirements"]}
            asks = {"memory": most["MEMORY"], "gpus": most.get("GPU", 0)}
            self._run(body["jobName"], body["containerOverrides"]["command"], asks)
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

    def _run(self, name: str, words: list[str], asks: dict) -> None:
        """Start the command of a job in an empty folder, as in a container of its own."""
        self.sent.append(asks)
        if self.lost and f"--allowed-rules {self.lost[0]} " in words[-1]:
            self.lost.pop()
            self.ended[name] = 137
            return

        def work() -> None:
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            asks["output"] = done.stdout
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
def service(folder: Path, lost: str) -> Iterator[tuple[dict[str, str], list[dict]]]:
    """While this is open, a service answers. Yields the variables that lead an executor to it, and what it was sent.

    Args:
        folder: where a file with its address is put.
        lost: the rule whose first job is not run and fails.
    """
    handler = type("Handler", (Service,), {"sent": [], "ended": {}, "lost": [lost]})
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
            yield variables, handler.sent
        finally:
            server.shutdown()
