"""What tests of a registry that is killed share: the server, connections to it, and what counts as a failure."""
import hashlib
import http.client
import os
import subprocess

ERRORS = (OSError, http.client.HTTPException)


class Failure(Exception):
    pass


class Killed(Exception):
    pass


def check(condition, *what):
    if not condition:
        raise Failure(" ".join(str(one) for one in what))


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Server:
    """An ingotd of a data folder; its log goes on in FOLDER/ingotd.log."""

    def __init__(self, folder, data, checkpoint, environment):
        self.killing = False
        with open(os.path.join(folder, "ingotd.log"), "ab") as log:
            self.process = subprocess.Popen(["ingotd", "--data", data, "--listen", "127.0.0.1:0", "--checkpoint", checkpoint],
                                            stdout=subprocess.PIPE, stderr=log, env=environment)
        line = self.process.stdout.readline().decode()
        check("http://" in line, "ingotd does not start:", line)
        self.host = line.split("http://")[1].strip()

    def end(self, number):
        self.killing = True
        self.process.send_signal(number)
        self.process.wait()
        self.process.stdout.close()


class Wire:
    """A connection that is opened anew where it has to be. An error is Killed after the kill, before it a failure."""

    def __init__(self, server):
        self.server = server
        self.connection = http.client.HTTPConnection(server.host, timeout=60)

    def ask(self, method, path, body=None, headers=None):
        """The answer's status, its bytes, and itself."""
        try:
            self.connection.request(method, path, body, headers or {})
            answer = self.connection.getresponse()
            return answer.status, answer.read(), answer
        except ERRORS as error:
            if self.server.killing:
                raise Killed() from error
            raise Failure(f"{method} {path}: {error!r} from a server that nobody has killed") from error
