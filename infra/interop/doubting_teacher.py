"""A teacher behind OpenAI's protocol that sometimes thinks otherwise at first, for preference pairs: prints its address and serves until it is ended."""

import collections
import hashlib
import http.server
import json
import threading

asked, lock = collections.Counter(), threading.Lock()


def number(text: str, below: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % below


def answer(prompt: str) -> str:
    if "\n## Rubric\n" in prompt:
        return json.dumps({"reason": "It is what it is.", "score": 1 + number(prompt, 10)})
    if "\n## Row\n" in prompt:
        row = prompt.rsplit("\n## Row\n", 1)[1]
        return json.dumps({"input": "What stands in " + row, "output": f"thing {number(row, 1000)}"})
    row = json.loads(prompt.rsplit("\n## Input\n", 1)[1]).removeprefix("What stands in ")
    with lock:
        asked[row] += 1
        first = asked[row] == 1
    if first and number(row, 3) == 0:
        return "At first sight. The answer is another thing."
    return f"It follows. The answer is thing {number(row, 1000)}."


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        self.reply({"object": "list", "data": [{"id": "doubting", "object": "model"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = answer(request["messages"][-1]["content"])
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        self.reply({"id": "1", "object": "chat.completion", "created": 1, "model": "doubting", "choices": [choice], "usage": usage})

    def reply(self, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()
