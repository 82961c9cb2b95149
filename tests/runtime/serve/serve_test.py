#!/usr/bin/env python3
"""`qama serve` as its clients see it.

    tests/runtime/serve/serve_test.py [--program build/release/bin/qama] [TEST...]

Answers must equal those of `qama classify`, whatever the way in, the batch and the other clients.
"""
import argparse
import base64
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from server import MODELS, PATIENCE, ROOT, Server, UnixConnection, binary_request

PROGRAM = ROOT / "build/release/bin/qama"
IMAGES = ROOT / "runtime/examples/images"
SHOE = (IMAGES / "shoe.png").read_bytes()
PNG = {"Content-Type": "image/png"}
REVIEWS = ["What a film!", "The worst two hours of my life.", "don't bother"]
COUNT = 6  # images of the made data set


def classify(model, *inputs):
    """What `qama classify` says: label and probabilities, an input each."""
    out = subprocess.run([str(PROGRAM), "classify", "-q", "--json", "--top", "1000", "-m",
                          str(MODELS / f"{model}.safetensors"), *map(str, inputs)],
                         capture_output=True, text=True, check=True).stdout
    answers = []
    for line in out.splitlines():
        answer = json.loads(line)
        top = sorted(answer["top"], key=lambda guess: guess["class"])
        answers.append((answer["label"], [guess["probability"] for guess in top]))
    return answers


def answers_of(reply):
    """The same of a reply."""
    count = len(reply["label"])
    each = len(reply["probabilities"]) // count
    return [(reply["label"][i], reply["probabilities"][i * each:(i + 1) * each])
            for i in range(count)]


def figure(server, name, model=None):
    """A figure of /metrics."""
    text = server.ask("GET", "/metrics")[2].decode()
    label = "{" if model is None else f'{{model="{model}"'
    for line in text.splitlines():
        if line.startswith(name + label) or (model is None and line.startswith(name + " ")):
            return float(line.rsplit(" ", 1)[1])
    raise KeyError(name)


def wait_for(condition):
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.01)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        dice = random.Random(1)
        cls.pixels = [dice.randbytes(784) for _ in range(COUNT)]
        cls.file = cls.folder / "images-idx3-ubyte"
        cls.file.write_bytes(struct.pack(">4I", 2051, COUNT, 28, 28) + b"".join(cls.pixels))
        cls.expected = classify("fashion-mnist-qama", *[f"{cls.file}:{i}" for i in range(COUNT)])
        cls.shoe = classify("fashion-mnist-qama", IMAGES / "shoe.png")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def refused(self, answer, status, name):
        self.assertEqual(answer[0], status, answer)
        self.assertTrue(answer[1].startswith(name + ": "), answer)


class Protocol(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = Server(PROGRAM, models=("fashion-mnist-qama", "imdb-qama"))

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()
        super().tearDownClass()

    def get(self, path):
        status, _, body = self.server.ask("GET", path)
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def test_health_and_metadata(self):
        self.assertEqual(self.get("/v2/health/live"), {"live": True})
        self.assertEqual(self.get("/v2/health/ready"), {"ready": True})
        self.assertEqual(self.get("/v2")["name"], "qama")
        for path in ("", "/versions/1"):
            model = self.get("/v2/models/fashion-mnist-qama" + path)
            self.assertEqual(model["inputs"], [{"name": "image", "datatype": "UINT8",
                                                "shape": [-1, 28, 28, 1]}])
            self.assertEqual([o["name"] for o in model["outputs"]],
                             ["label", "probabilities", "logits"])
        self.assertEqual(self.get("/v2/models/imdb-qama")["inputs"][0]["datatype"], "BYTES")
        self.assertEqual(self.get("/v2/models/imdb-qama/ready"), {"ready": True})

    def test_an_image_file_is_the_body(self):
        status, reply = self.server.infer(SHOE, PNG)
        self.assertEqual((status, answers_of(reply)), (200, self.shoe))

    def test_files_in_a_tensor(self):
        text = base64.b64encode(SHOE).decode()
        body = {"id": "7", "inputs": [{"name": "image", "datatype": "BYTES", "shape": [2],
                                       "data": [text, text]}],
                "parameters": {"sample_index": 0}}
        self.assertEqual(answers_of(self.server.infer(body)[1])[0], self.shoe[0])
        data = struct.pack("<I", len(SHOE)) + SHOE
        reply = self.server.infer(*binary_request("image", "BYTES", [1], data))[1]
        self.assertEqual(answers_of(reply), self.shoe)

    def test_a_batch_of_pixels_has_the_indices_of_the_data_set(self):
        data = b"".join(self.pixels)
        tensor = {"name": "image", "datatype": "UINT8", "shape": [COUNT, 28, 28, 1]}
        reply = self.server.infer({"inputs": [{**tensor, "data": list(data)}]})[1]
        self.assertEqual(answers_of(reply), self.expected)
        nested = [[[[p] for p in row] for row in zip(*[iter(image)] * 28)]
                  for image in self.pixels]
        reply = self.server.infer({"inputs": [{**tensor, "data": nested}]})[1]
        self.assertEqual(answers_of(reply), self.expected)
        for binary in (False, True):
            request = binary_request("image", "UINT8", [COUNT, 28, 28, 1], data, binary)
            self.assertEqual(answers_of(self.server.infer(*request)[1]), self.expected)
        for i in range(COUNT):
            request = binary_request("image", "UINT8", [1, 28, 28, 1], self.pixels[i],
                                     sample_index=i)
            self.assertEqual(answers_of(self.server.infer(*request)[1]), [self.expected[i]])

    def test_an_index_in_the_query(self):
        by_query = self.server.infer(SHOE, PNG, query="?sample_index=5")[1]
        body = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                            "data": [base64.b64encode(SHOE).decode()]}],
                "parameters": {"sample_index": 5}}
        self.assertEqual(by_query, self.server.infer(body)[1])

    def test_texts(self):
        expected = [classify("imdb-qama", "--text", text)[0] for text in REVIEWS]
        for text, answer in zip(REVIEWS, expected):
            reply = self.server.infer(text.encode(), {"Content-Type": "text/plain; charset=utf-8"},
                                      name="imdb-qama")[1]
            self.assertEqual(answers_of(reply), [answer])
            body = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1, 1],
                                "data": [[text]]}]}
            self.assertEqual(answers_of(self.server.infer(body, name="imdb-qama")[1]), [answer])

    def test_chosen_outputs(self):
        body = {"id": "a", "inputs": [{"name": "image", "datatype": "UINT8",
                                       "shape": [1, 28, 28, 1], "data": [0] * 784}],
                "outputs": [{"name": "logits", "parameters": {"binary_data": True}},
                            {"name": "label"}]}
        status, headers, data = self.server.ask(
            "POST", "/v2/models/fashion-mnist-qama/versions/1/infer", json.dumps(body))
        self.assertEqual(status, 200)
        reply = json.loads(data[:int(headers["Inference-Header-Content-Length"])])
        self.assertEqual((reply["id"], reply["model_name"], reply["model_version"]),
                         ("a", "fashion-mnist-qama", "1"))
        self.assertEqual([o["name"] for o in reply["outputs"]], ["logits", "label"])

    def test_many_requests_on_a_connection(self):
        connection = self.server.connect()
        for _ in range(20):
            self.assertEqual(answers_of(self.server.infer(SHOE, PNG, connection)[1]), self.shoe)
        connection.close()

    def test_requests_one_after_the_other_without_waiting(self):
        head = (f"POST /v2/models/fashion-mnist-qama/infer HTTP/1.1\r\nHost: a\r\n"
                f"Content-Type: image/png\r\nContent-Length: {len(SHOE)}\r\n\r\n").encode()
        with socket.create_connection(("127.0.0.1", self.server.port), PATIENCE) as one:
            one.sendall((head + SHOE) * 5 + b"GET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n")
            data = b""
            while part := one.recv(65536):
                data += part
        self.assertEqual(data.count(b"HTTP/1.1 200 OK"), 6)
        self.assertEqual(data.count(b'"Sneaker"'), 5)

    def test_what_is_not_there(self):
        for method, path, status, name in (
                ("GET", "/", 404, "NOT_FOUND"), ("GET", "/v2/models/x", 404, "NOT_FOUND"),
                ("GET", "/v2/models/imdb-qama/versions/2", 404, "NOT_FOUND"),
                ("POST", "/v2/models/imdb-qama/train", 404, "NOT_FOUND"),
                ("GET", "/v2/models/imdb-qama/infer", 405, "REQUEST_BAD_METHOD"),
                ("POST", "/v2/health/live", 405, "REQUEST_BAD_METHOD"),
                ("DELETE", "/v2/models/imdb-qama", 405, "REQUEST_BAD_METHOD"),
                ("PUT", "/metrics", 405, "REQUEST_BAD_METHOD"),
                ("GET", "/v2/models/" + "a" * 9000, 431, "INVALID_ARGUMENT")):
            got, _, body = self.server.ask(method, path)
            self.refused((got, json.loads(body)["error"]), status, name)

    def test_a_wrong_method_hears_the_right_one(self):
        for path, allow in (("/v2", "GET, HEAD"), ("/metrics", "GET, HEAD"),
                            ("/v2/models/imdb-qama/ready", "GET, HEAD"),
                            ("/v2/models/imdb-qama/infer", "POST")):
            status, headers, _ = self.server.ask("PATCH", path)
            self.assertEqual((status, headers["Allow"]), (405, allow))

    def test_an_answer_to_head_has_no_body(self):
        """It would be read as the beginning of the next answer."""
        connection = self.server.connect()
        for path in ("/v2", "/v2/health/live", "/v2/models/imdb-qama/infer", "/none"):
            connection.request("HEAD", path)
            answer = connection.getresponse()
            self.assertGreater(int(answer.headers["Content-Length"]), 0)
            answer.read()
            self.assertEqual(json.loads(self.server.ask("GET", "/v2", None, None, connection)[2])
                             ["name"], "qama")
        connection.close()
        both = b"HEAD /v2 HTTP/1.1\r\n\r\nGET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n"
        self.assertEqual(self.raw(both).count(b"\r\n\r\nHTTP/1.1 200 OK"), 1)

    def test_the_type_of_a_body_has_no_case(self):
        for kind in ("Image/PNG", "IMAGE/png ; a=b"):
            status, reply = self.server.infer(SHOE, {"Content-Type": kind})
            self.assertEqual((status, answers_of(reply)), (200, self.shoe))

    def test_bad_requests(self):
        def tensor(**keys):
            return {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 28, 28, 1],
                                "data": [0] * 784, **keys}]}
        bad = "INVALID_ARGUMENT"
        for body, headers, name in (
                (b"", None, bad), (b"{", None, bad), (b"[]", None, bad),
                (b"[" * 5000, None, bad), (b'{"inputs":[],"inputs":[]}', None, bad),
                ({"inputs": []}, None, bad), ({"inputs": [1]}, None, bad),
                ({**tensor(), "more": 1}, None, bad),
                (tensor(name="x"), None, bad), (tensor(datatype="INT8"), None, bad),
                (tensor(shape=[1, 28, 28]), None, bad), (tensor(shape=[0, 28, 28, 1]), None, bad),
                (tensor(shape=[2, 28, 28, 1]), None, bad),
                (tensor(shape=[-1, 28, 28, 1]), None, bad),
                (tensor(shape=[1 << 60, 28, 28, 1]), None, bad), (tensor(shape=5), None, bad),
                (tensor(data=[0] * 783), None, bad), (tensor(data=[0] * 785), None, bad),
                (tensor(data=[256] * 784), None, bad), (tensor(data=["0"] * 784), None, bad),
                (tensor(data=[0.5] * 784), None, bad),
                (tensor(parameters={"binary_data_size": 3}), None, bad),
                (tensor(parameters=[]), None, bad),
                (tensor(datatype="BYTES", shape=[1], data="AAAA"), None, bad),
                ({**tensor(), "outputs": [{"name": "x"}]}, None, bad),
                ({**tensor(), "outputs": [{"name": "label", "more": 1}]}, None, bad),
                ({**tensor(), "outputs": ["label"]}, None, bad),
                ({**tensor(), "outputs": [{"name": "label", "parameters": 1}]}, None, bad),
                ({**tensor(), "outputs": [{"name": "label", "parameters": {"binary_data": 1}}]},
                 None, bad),
                ({**tensor(), "parameters": {"binary_data_output": "yes"}}, None, bad),
                ({**tensor(), "parameters": "none"}, None, bad),
                ({**tensor(), "parameters": {"sample_index": -1}}, None, bad),
                ({**tensor(), "parameters": {"sample_index": (1 << 64) - 1}}, None, bad),
                (tensor(datatype="BYTES", shape=[1], data=["no base64!"]), None, bad),
                (tensor(datatype="BYTES", shape=[1], data=["AAA"]), None, bad),
                (tensor(datatype="BYTES", shape=[1], data=["AB=="]), None, bad),
                (tensor(datatype="BYTES", shape=[1], data=["AAAA"]), None, "IMAGE_BAD_FORMAT"),
                (SHOE[:40], PNG, "IMAGE_BAD_FORMAT"), (b"", PNG, "IMAGE_BAD_FORMAT"),
                (b"What a film!", {"Content-Type": "text/plain"}, "MODEL_WRONG_KIND"),
                (b"{}", {"Inference-Header-Content-Length": "3"}, bad),
                (b"{}", {"Inference-Header-Content-Length": "-1"}, bad)):
            self.refused(self.server.infer(body, headers), 400, name)
        self.refused(self.server.infer(*binary_request("image", "UINT8", [1, 28, 28, 1], b"a")),
                     400, bad)
        self.refused(self.server.infer(*binary_request("image", "BYTES", [1], b"\xff" * 7)), 400,
                     bad)
        nan = struct.pack("<f", float("nan")) * 784
        self.refused(self.server.infer(*binary_request("image", "FP32", [1, 1, 28, 28], nan)), 400,
                     "PROBLEM_BAD_VALUE")
        self.refused(self.server.infer(b"\xff\xfe", {"Content-Type": "text/plain"},
                                       name="imdb-qama"), 400, "TEXT_BAD_ENCODING")
        self.assertEqual(answers_of(self.server.infer(SHOE, PNG)[1]), self.shoe)

    def raw(self, data, *parts):
        """What comes back until the server hangs up."""
        with socket.create_connection(("127.0.0.1", self.server.port), PATIENCE) as one:
            out = b""
            try:
                for part in (data, *parts):
                    one.sendall(part)
                while part := one.recv(65536):
                    out += part
            except ConnectionError:
                pass
        return out

    def test_lying_peers(self):
        line = b"POST /v2/models/fashion-mnist-qama/infer HTTP/1.1\r\n"
        for data, status in (
                (line + b"Content-Length: 1000000000\r\n\r\n", b"413"),
                (line + b"Content-Length: 99999999999999999999\r\n\r\n", b"411"),
                (line + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", b"411"),
                (line + b"Transfer-Encoding: chunked\r\n\r\n", b"411"),
                (line + b"\r\n", b"411"),
                (line + b"Content-Length : 1\r\n\r\na", b"411"),
                (line + b"Content-Length: 1\r\n X: folded\r\n\r\na", b"411"),
                (line + b"X: a\nContent-Length: 1\r\n\r\na", b"411"),
                (line + b": 1\r\n\r\n", b"411"),
                (line + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", b"415"),
                (line + b"X: " + b"a" * 100000, b"431"), (b"hello\r\n\r\n", b"400"),
                (b"GET /v2 HTTP/9.9\r\n\r\n", b"400")):
            self.assertTrue(self.raw(data).startswith(b"HTTP/1.1 " + status), data[:80])
        # Half-open and slow ones, more than may wait; the others are served.
        held = [socket.create_connection(("127.0.0.1", self.server.port), PATIENCE)
                for _ in range(300)]
        for one in held:
            try:
                one.sendall(line)
            except ConnectionError:
                pass  # it gave way
        self.assertEqual(answers_of(self.server.infer(SHOE, PNG)[1]), self.shoe)
        for one in held:
            one.close()

    def test_metrics(self):
        before = figure(self.server, "qama_samples_total", "fashion-mnist-qama")
        self.server.infer(SHOE, PNG)
        self.assertEqual(figure(self.server, "qama_samples_total", "fashion-mnist-qama"),
                         before + 1)
        self.assertGreaterEqual(figure(self.server, "qama_connections"), 1)


class Queue(Case):
    def test_answers_do_not_depend_on_the_batch(self):
        options = ("--threads", 2, "--batch", 4, "--batch-wait-us", 2000)
        with Server(PROGRAM, *options) as server:
            wrong = []

            def client(first):
                connection = server.connect()
                for turn in range(20):
                    i = (first + turn) % (COUNT + 1)
                    if i == COUNT:
                        got, expected = server.infer(SHOE, PNG, connection), self.shoe
                    else:
                        request = binary_request("image", "UINT8", [1, 28, 28, 1],
                                                 self.pixels[i], sample_index=i)
                        got, expected = server.infer(*request, connection), [self.expected[i]]
                    if got[0] != 200 or answers_of(got[1]) != expected:
                        wrong.append(got)
                connection.close()

            clients = [threading.Thread(target=client, args=(i,)) for i in range(8)]
            for one in clients:
                one.start()
            for one in clients:
                one.join()
            self.assertEqual(wrong, [])
            # The thread of the port fills no batch.
            self.assertEqual(figure(server, "qama_here_total", "fashion-mnist-qama"), 0)

    def test_answers_do_not_depend_on_the_thread(self):
        # One client after the other: short requests, and between them one of many samples.
        with Server(PROGRAM) as server:
            connection = server.connect()
            many = binary_request("image", "UINT8", [COUNT, 28, 28, 1], b"".join(self.pixels))
            for turn in range(40):
                i = turn % COUNT
                one = binary_request("image", "UINT8", [1, 28, 28, 1], self.pixels[i],
                                     sample_index=i)
                self.assertEqual(answers_of(server.infer(*one, connection)[1]), [self.expected[i]])
                if i == 0:
                    self.assertEqual(answers_of(server.infer(*many, connection)[1]), self.expected)
            connection.close()

    def test_a_full_queue_and_a_deadline(self):
        # Nothing is answered before the batch is full or a second is over.
        options = ("--batch", 8, "--batch-wait-us", 1000000, "--queue", 2)
        with Server(PROGRAM, *options) as server:
            got = []
            clients = [threading.Thread(target=lambda: got.append(server.infer(SHOE, PNG)))
                       for _ in range(2)]
            for one in clients:
                one.start()
            wait_for(lambda: figure(server, "qama_queue_length", server.name) == 2)
            status, headers, body = server.ask("POST", f"/v2/models/{server.name}/infer", SHOE, PNG)
            self.refused((status, json.loads(body)["error"]), 429, "SERVER_BUSY")
            self.assertEqual(headers["Retry-After"], "1")
            for one in clients:
                one.join()
            self.assertEqual([(s, answers_of(r)) for s, r in got], [(200, self.shoe)] * 2)
            self.refused(server.infer(SHOE, PNG, query="?timeout=1"), 504, "DEADLINE_EXCEEDED")
        with Server(PROGRAM, "--batch", 8, "--batch-wait-us", 1000000, "--request-ms", 100) as one:
            self.refused(one.infer(SHOE, PNG), 504, "DEADLINE_EXCEEDED")


class Life(Case):
    def test_drain_answers_what_is_under_way(self):
        with Server(PROGRAM, "--batch", 8, "--batch-wait-us", 500000) as server:
            got = []
            client = threading.Thread(target=lambda: got.append(server.infer(SHOE, PNG)))
            client.start()
            wait_for(lambda: figure(server, "qama_queue_length", server.name) == 1)
            self.assertEqual(server.end(), 0)
            client.join()
            self.assertEqual([(s, answers_of(r)) for s, r in got], [(200, self.shoe)])
            with self.assertRaises(ConnectionRefusedError):
                server.connect().connect()

    def test_drain_under_load_loses_nothing(self):
        """A request that was sent on an open connection before its last answer has an answer."""
        with Server(PROGRAM, "--threads", 2) as server:
            wrong, answered = [], []
            ended = threading.Event()

            def client():
                connection = server.connect()
                connection.connect()
                while True:
                    try:
                        status, headers, body = server.ask(
                            "POST", f"/v2/models/{server.name}/infer", SHOE, PNG, connection)
                    except (ConnectionError, http.client.HTTPException) as error:
                        wrong.append(error)
                        return
                    if status != 200 or b'"Sneaker"' not in body:
                        wrong.append(body)
                    answered.append(1)
                    if headers.get("Connection") == "close":
                        ended.set()
                        return

            clients = [threading.Thread(target=client) for _ in range(8)]
            for one in clients:
                one.start()
            wait_for(lambda: len(answered) > 50)
            self.assertEqual(server.end(), 0)
            for one in clients:
                one.join()
            self.assertEqual(wrong, [])
            self.assertTrue(ended.is_set())

    def test_reload_under_load(self):
        path = self.folder / "m.safetensors"
        names = ("fashion-mnist-qama", "mnist-qama")
        expected = {json.dumps(classify(name, f"{self.file}:0")): name for name in names}
        request = binary_request("image", "UINT8", [1, 28, 28, 1], self.pixels[0])
        shutil.copy(MODELS / f"{names[0]}.safetensors", path)
        with Server(PROGRAM, "--threads", 2, models=(str(path),)) as server:
            seen, wrong, stop = set(), [], threading.Event()

            def client():
                connection = server.connect()
                while not stop.is_set():
                    status, reply = server.infer(*request, connection)
                    name = status == 200 and expected.get(json.dumps(answers_of(reply)))
                    seen.add(name) if name else wrong.append((status, reply))
                connection.close()

            clients = [threading.Thread(target=client) for _ in range(4)]
            for one in clients:
                one.start()
            for turn in (1, 2, 3, 4):
                new = self.folder / "new"
                shutil.copy(MODELS / f"{names[turn % 2]}.safetensors", new)
                os.replace(new, path)
                server.signal(signal.SIGHUP)
                wait_for(lambda: figure(server, "qama_reloads_total", "m") == turn)
                status, reply = server.infer(*request)
                self.assertEqual(expected[json.dumps(answers_of(reply))], names[turn % 2])
            # A file that is none: the model stays.
            new.write_bytes(b"nothing")
            os.replace(new, path)
            server.signal(signal.SIGHUP)
            wait_for(lambda: figure(server, "qama_failed_reloads_total", "m") == 1)
            stop.set()
            for one in clients:
                one.join()
            self.assertEqual(server.infer(*request)[0], 200)
            self.assertEqual(wrong, [])
            self.assertEqual(seen, set(names))
            self.assertIn("MODEL_TRUNCATED", server.said())

    def test_killed_and_started_again(self):
        path = str(self.folder / "s.sock")
        for _ in range(2):
            with Server(PROGRAM, listen="unix:" + path) as server:
                self.assertEqual(
                    answers_of(server.infer(SHOE, PNG, UnixConnection(path))[1]), self.shoe)
                server.process.kill()
                server.process.wait()
                self.assertTrue(os.path.exists(path))
        with Server(PROGRAM, listen="unix:" + path) as server:
            with self.assertRaisesRegex(RuntimeError, "IO_ERROR"):
                Server(PROGRAM, listen="unix:" + path)
            self.assertEqual(server.end(), 0)
        self.assertFalse(os.path.exists(path))

    def test_a_socket_of_systemd(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            # systemd's socket is descriptor 3.
            prefix = ("/bin/sh", "-c",
                      f"exec 3<&{listener.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "sh")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(str(self.folder / "notify"))
                manager.settimeout(PATIENCE)
                with Server(PROGRAM, listen="systemd:", pass_fds=(listener.fileno(),),
                            prefix=prefix,
                            environment={"NOTIFY_SOCKET": str(self.folder / "notify")}) as server:
                    self.assertEqual(manager.recv(100), b"READY=1")
                    self.assertEqual(server.port, listener.getsockname()[1])
                    self.assertEqual(answers_of(server.infer(SHOE, PNG)[1]), self.shoe)
                    self.assertEqual(server.end(), 0)
                    self.assertEqual(manager.recv(100), b"STOPPING=1")
        with self.assertRaisesRegex(RuntimeError, "INVALID_ARGUMENT"):
            Server(PROGRAM, listen="systemd:")


class Door(Case):
    def credentials(self):
        key, certificate = self.folder / "key.pem", self.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                        "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        token = self.folder / "token"
        token.write_text("open sesame\n")
        os.chmod(token, 0o600)
        os.chmod(key, 0o600)
        return key, certificate, token

    def test_no_port_for_others_without_tls_and_token(self):
        key, certificate, token = self.credentials()
        tls = ("--tls-cert", certificate, "--tls-key", key)
        for options in ((), ("--token-file", token), tls):
            with self.assertRaisesRegex(RuntimeError, "DEVICE_AUTH"):
                Server(PROGRAM, *options, listen="0.0.0.0:0")
        os.chmod(token, 0o644)
        with self.assertRaisesRegex(RuntimeError, "DEVICE_AUTH"):
            Server(PROGRAM, *tls, "--token-file", token, listen="0.0.0.0:0")

    def test_tls_and_token(self):
        key, certificate, token = self.credentials()
        with Server(PROGRAM, "--tls-cert", certificate, "--tls-key", key, "--token-file", token,
                    listen="0.0.0.0:0") as server:
            context = ssl.create_default_context(cafile=certificate)

            def connect():
                return http.client.HTTPSConnection("127.0.0.1", server.port, context=context,
                                                   timeout=PATIENCE)
            shown = {"Authorization": "Bearer open sesame"}
            good = {**PNG, **shown}
            self.assertEqual(answers_of(server.infer(SHOE, good, connect())[1]), self.shoe)
            big = json.dumps({"inputs": [{"name": "image", "datatype": "UINT8",
                                          "shape": [100, 28, 28, 1],
                                          "data": [0] * 78400}]}).encode()
            connection = connect()
            for _ in range(3):
                self.assertEqual(server.infer(big, shown, connection)[0], 200)
            low = {**PNG, "Authorization": "bearer  open sesame"}
            self.assertEqual(answers_of(server.infer(SHOE, low, connect())[1]), self.shoe)
            for wrong in ("Bearer open", "Beare", "Bearer", "Bearer open sesame!",
                          "Basic open sesame", ""):
                self.refused(server.infer(b"", {"Authorization": wrong}, connect()), 401,
                             "REQUEST_UNAUTHORIZED")
            status, headers, _ = server.ask("GET", "/metrics", connection=connect())
            self.assertEqual((status, headers["WWW-Authenticate"]), (401, "Bearer"))
            self.assertEqual(server.ask("GET", "/v2/health/ready", connection=connect())[0], 200)

    def test_the_deployment(self):
        """The options and the probes of the manifest, with files of this test."""
        text = (ROOT / "runtime/serve/kubernetes/deployment.yaml").read_text()
        key, certificate, token = self.credentials()
        files = {"tls.crt": certificate, "tls.key": key, "token": token}
        options = re.findall(r"^ +- (--\S+)$", text, re.MULTILINE)
        options = [re.sub(r"/secret/(\S+)", lambda found: str(files[found[1]]), option)
                   for option in options if not option.startswith(("--model", "--listen"))]
        self.assertEqual(len(options), 4)
        os.chmod(token, 0o440)
        probes = re.findall(r"httpGet: {path: (\S+), port: https, scheme: HTTPS}", text)
        self.assertEqual(len(probes), 2)
        with Server(PROGRAM, *options, listen="0.0.0.0:0") as server:
            context = ssl.create_default_context(cafile=certificate)
            for path in probes:
                connection = http.client.HTTPSConnection("127.0.0.1", server.port,
                                                         context=context, timeout=PATIENCE)
                self.assertEqual(server.ask("GET", path, connection=connection)[0], 200)

    def test_the_inference_service(self):
        """The same of KServe's: over loopback, without TLS and token."""
        text = (ROOT / "runtime/serve/kubernetes/inference_service.yaml").read_text()
        options = re.findall(r"^ +- (--\S+)$", text, re.MULTILINE)
        self.assertEqual([option.partition("=")[0] for option in options],
                         ["--model", "--listen"])
        address, _, port = options[1].partition("=")[2].partition(":")
        self.assertEqual(re.findall(r"containerPort: (\d+)", text), [port])
        probes = re.findall(r"httpGet: {path: (\S+), port: (\d+)}", text)
        self.assertEqual([given for _, given in probes], [port])
        with Server(PROGRAM, listen=address + ":0") as server:
            self.assertEqual(server.ask("GET", probes[0][0])[0], 200)

    def test_wrong_options(self):
        model = MODELS / "fashion-mnist-qama.safetensors"
        for options, name in (
                (("--listen", "localhost"), "INVALID_ARGUMENT"),
                (("--listen", "127.0.0.1:66000"), "INVALID_ARGUMENT"),
                (("--listen", "unix:" + "a" * 200), "INVALID_ARGUMENT"),
                (("--tls-cert", "x"), "INVALID_ARGUMENT"),
                (("--token-file", "/nothing"), "IO_ERROR"),
                (("-m", model), "INVALID_ARGUMENT"), (("-m", "a b=x"), "INVALID_ARGUMENT"),
                (("--device", "nothing:"), "DEVICE_UNKNOWN"), (("-m", "a=/nothing"), "NOT_FOUND")):
            out = subprocess.run([PROGRAM, "serve", "-q", "-m", model, *options],
                                 capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual(out.returncode, 1, options)
            self.assertRegex(out.stderr, f"^qama: error: {name}: [^\n]*\n$")


def main():
    global PROGRAM
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    parser.add_argument("tests", nargs="*")
    arguments = parser.parse_args()
    PROGRAM = arguments.program.resolve()
    unittest.main(argv=[sys.argv[0], *arguments.tests], verbosity=2, warnings="ignore")


if __name__ == "__main__":
    main()
