"""A running `qama serve`, for tests and benches."""
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODELS = ROOT / "weights" / "models"
PATIENCE = 120  # seconds, on a busy machine


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


class Server:
    """Ends with its block."""

    def __init__(self, program, *options, models=("fashion-mnist-qama",), listen="127.0.0.1:0",
                 environment=None, pass_fds=(), prefix=()):
        self.command = [*prefix, str(program), "serve", "--json", "--listen", listen]
        for model in models:
            path = pathlib.Path(model)
            self.command += ["-m", model if path.suffix or "=" in model
                             else str(MODELS / f"{model}.safetensors")]
        self.command += [str(option) for option in options]
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            pass_fds=pass_fds, env={**os.environ, **(environment or {})})
        line = self.process.stdout.readline()
        if not line:
            said = self.said_at_end()
            raise RuntimeError(said)
        self.port = json.loads(line)["port"]
        self.name = pathlib.Path(models[0]).name.removesuffix(".safetensors").split("=")[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def said_at_end(self):
        self.process.wait(PATIENCE)
        said = self.said()
        self.__exit__()
        return said

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """SIGTERM; the exit status."""
        self.signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def ask(self, method, path, body=None, headers=None, connection=None):
        """Status, headers and body."""
        one = connection or self.connect()
        one.request(method, path, body, headers or {})
        response = one.getresponse()
        data = response.read()
        if connection is None:
            one.close()
        return response.status, response.headers, data

    def infer(self, body, headers=None, connection=None, name=None, query=""):
        """Status and the reply: outputs by their name, or the error."""
        if isinstance(body, dict):
            body = json.dumps(body)
        status, headers, data = self.ask("POST", f"/v2/models/{name or self.name}/infer{query}",
                                         body, headers, connection)
        if status != 200:
            return status, json.loads(data)["error"]
        return status, outputs_of(headers, data)


def outputs_of(headers, data):
    """The values of a reply's tensors."""
    import struct
    length = headers.get("Inference-Header-Content-Length")
    reply = json.loads(data if length is None else data[:int(length)])
    behind = b"" if length is None else data[int(length):]
    out = {}
    for tensor in reply["outputs"]:
        if "data" in tensor:
            out[tensor["name"]] = tensor["data"]
            continue
        size = tensor["parameters"]["binary_data_size"]
        part, behind = behind[:size], behind[size:]
        letter = {"FP32": "f", "FP64": "d"}.get(tensor["datatype"])
        if letter:
            out[tensor["name"]] = list(struct.unpack(f"<{size // struct.calcsize(letter)}{letter}",
                                                     part))
            continue
        labels = []
        while part:
            count = struct.unpack_from("<I", part)[0]
            labels.append(part[4:4 + count].decode())
            part = part[4 + count:]
        out[tensor["name"]] = labels
    assert not behind, "bytes behind the last tensor"
    return out


def binary_request(name, datatype, shape, data, outputs_binary=True, **parameters):
    """Body and headers of the binary extension."""
    head = json.dumps({"parameters": {"binary_data_output": outputs_binary, **parameters},
                       "inputs": [{"name": name, "datatype": datatype, "shape": shape,
                                   "parameters": {"binary_data_size": len(data)}}]}).encode()
    return head + data, {"Inference-Header-Content-Length": str(len(head)),
                         "Content-Type": "application/octet-stream"}
