"""A Hub on this machine that takes what huggingface_hub sends, and keeps it."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub:
    """What was sent: repositories with their settings, and files by repository and name."""

    def __init__(self):
        self.repositories, self.files, self.tokens = {}, {}, set()
        self.refuses = False


@contextmanager
def hub() -> Iterator[tuple[Hub, str]]:
    """A running Hub and its address."""
    kept = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept.tokens.add(self.headers.get("Authorization"))
            path = self.path
            if kept.refuses:
                self._answer({"error": "no"}, 403)
            elif path == "/api/repos/create":
                asked = json.loads(body)
                name = f"{asked['organization']}/{asked['name']}"
                kept.repositories[name] = asked
                self._answer({"url": f"{address}/{name}", "id": name, "name": name})
            elif path == "/api/validate-yaml":
                self._answer({"errors": [], "warnings": []})
            elif "/preupload/" in path:
                names = [file["path"] for file in json.loads(body)["files"]]
                files = [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]
                self._answer({"files": files})
            elif "/commit/" in path:
                name = path.removeprefix("/api/models/").partition("/commit/")[0]
                for line in body.decode().splitlines():
                    entry = json.loads(line)
                    if entry["key"] == "file":
                        content = base64.b64decode(entry["value"]["content"])
                        kept.files[name, entry["value"]["path"]] = content
                url = f"{address}/{name}/commit/0"
                self._answer({"commitUrl": url, "commitOid": "0" * 40})
            else:
                self._answer({"error": path}, 404)

        def do_GET(self):
            self._answer({"error": self.path}, 404)

        def _answer(self, content, status=200):
            sent = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept, address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
