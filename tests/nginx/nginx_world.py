"""The real nginx with the shipped files, moved to free ports and a folder of the test; and what stands behind it."""

import asyncio
import datetime as dt
import ipaddress
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from redis_world import free_port

SHIPPED = Path(__file__).parents[2] / "nginx"
NAME = "www.example.gov.cn"
"""The name that the shipped files are written for."""
DEADLINE = 45.0


def make_certificate(folder):
    """A self-signed certificate for NAME, as nginx reads it: fullchain.pem and key.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(1))
    certificate = builder.add_extension(names, critical=False).sign(key, SHA256())
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def make_client(folder, name):
    """An authority of its own and a client's certificate by it: NAME-authority.pem, and NAME.pem with its key."""
    made = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (f"{name} CA", name)]
    for place, path in enumerate((f"{name}-authority.pem", f"{name}.pem")):
        builder = x509.CertificateBuilder(names[0], names[place], keys[place].public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(made).not_valid_after(made + dt.timedelta(1))
        builder = builder.add_extension(x509.BasicConstraints(ca=place == 0, path_length=None), critical=True)
        certificate = builder.sign(keys[0], SHA256())
        key = keys[place].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / path).write_bytes(certificate.public_bytes(Encoding.PEM) + key)
    return folder / f"{name}.pem"


class Nginx:
    """The shipped configuration, running.

    Attributes:
        port: TLS.
        plain_port: plain HTTP.
        edge: the Unix socket that it expects the edge on.
        unrecorded: its own records.

    `changes` are directives of tongguan.conf with another value, for a test that needs one; with `asks` it asks for
    client certificates, by the lines that are commented out as shipped; with `office` it serves the back office too.
    """

    def __init__(self, folder, *, asks=False, office=False, **changes):
        self.folder = folder
        self._asks = asks
        self._office = office
        self._changes = changes
        self.port, self.plain_port, self.office_port = free_port(), free_port(), free_port()
        self.edge, self.console = folder / "edge.sock", folder / "console.sock"
        self.unrecorded = folder / "unrecorded.jsonl"
        make_certificate(folder)
        shutil.copytree(SHIPPED / "snippets", folder / "snippets")
        for name in ("nginx.conf", "tongguan.conf", "console.conf"):
            (folder / name).write_text(self._moved((SHIPPED / name).read_text()))
        for snippet in (folder / "snippets").iterdir():
            snippet.write_text(self._here(snippet.read_text()))

    def _moved(self, text):
        """A shipped file for this folder and these ports; nothing else of it is changed."""
        text = "\n".join(line for line in text.splitlines() if "listen [::]:" not in line) + "\n"
        for shipped, here in {
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "listen 8443": f"listen 127.0.0.1:{self.office_port}",
            "listen 80": f"listen 127.0.0.1:{self.plain_port}",
            "unix:/run/tongguan-console/console.sock": f"unix:{self.console}",
            "unix:/run/tongguan/edge.sock": f"unix:{self.edge}",
            "/etc/nginx/tls": str(self.folder),
            "/var/log/nginx": str(self.folder),
            "/run/nginx.pid": str(self.folder / "nginx.pid"),
            "user www-data;": "user root;" if os.geteuid() == 0 else "",
            "worker_processes auto": "worker_processes 1",
            "worker_rlimit_nofile 32768": "worker_rlimit_nofile 1024",
            "worker_connections 8192": "worker_connections 512",
        }.items():
            text = text.replace(shipped, here)
        for directive, value in self._changes.items():
            text = re.sub(rf"(?m)^(\s*){directive} .*?;", rf"\1{directive} {value};", text)
        if self._asks:
            text = re.sub(r"(?m)^( *)# (?=ssl_client_certificate |ssl_verify_client )", r"\1", text)
        office = f"    include {self.folder}/console.conf;\n" if self._office else ""
        return self._here(text.replace("http {", f"http {{\n{self._temporary()}{office}"))

    def _here(self, text):
        return text.replace("include snippets/", f"include {self.folder}/snippets/")

    def _temporary(self):
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        return "".join(f"    {kind}_temp_path {self.folder}/{kind};\n" for kind in kinds)

    @contextmanager
    def running(self):
        """Start it, and end it by its id."""
        command = ["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-g", "daemon off;"]
        with (self.folder / "said.txt").open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        try:
            wait_until(lambda: process.poll() is not None or listens(self.port), f"nginx, see {self.folder}")
            assert process.poll() is None, (self.folder / "said.txt").read_text()
            yield self
        finally:
            process.terminate()
            process.wait(DEADLINE)

    def tls(self, *protocols, shows=None):
        """What a client that knows the certificate offers, by ALPN, and the certificate that it shows (a file)."""
        context = ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))
        if shows is not None:
            context.load_cert_chain(shows)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    async def connect(self, name=NAME, source="127.0.0.1", shows=None):
        """A TLS connection from an address of this machine; `name` is what the handshake asks for."""
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.tls("http/1.1", shows=shows), server_hostname=name, local_addr=(source, 0)
        )

    async def ask(self, head, body=b"", **options):
        """Send raw bytes on a connection of their own (`Host` and the end of the head are added); gives the Answer."""
        reader, writer = await self.connect(**options)
        host = b"" if b"\nhost:" in head.lower() else f"\r\nHost: {NAME}".encode()
        async with asyncio.timeout(DEADLINE):
            with closing(writer):
                writer.write(head + host + b"\r\nConnection: close\r\n\r\n" + body)
                return Answer(await reader.read())

    def curl(self, target, *options):
        """Ask with curl, target as it stands; gives what it wrote."""
        url = f"https://{NAME}:{self.port}{target}"
        resolve = ["--resolve", f"{NAME}:{self.port}:127.0.0.1", "--cacert", str(self.folder / "fullchain.pem")]
        command = ["curl", "-sS", "--noproxy", "*", "--path-as-is", *resolve, *options, url]
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True).stdout


class Answer:
    """An answer's bytes, taken apart: `status`, `fields` by lower-case name, `body`."""

    def __init__(self, received):
        head, _, self.body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        pairs = (line.partition(":") for line in lines)
        self.fields = {name.lower(): value.strip() for name, _, value in pairs}


class Recorder:
    """Stands where the edge would: keeps the head and the body of each request as they came, and says 204.

    Attributes:
        heads: request heads, raw.
        bodies: blocks of bodies, as they arrived.
    """

    def __init__(self, answer=b"HTTP/1.1 204 No Content\r\n\r\n"):
        self.heads = []
        self._writers = set()
        self.bodies = asyncio.Queue()
        self._answer = answer

    @asynccontextmanager
    async def at(self, path):
        """Listen on a Unix socket."""
        server = await asyncio.start_unix_server(self._take, path)
        try:
            yield self
        finally:
            server.close()
            path.unlink(missing_ok=True)  # Python 3.13 removes it by itself

    async def _take(self, reader, writer):
        self._writers.add(writer)
        with closing(writer):
            while head := await _head(reader):
                self.heads.append(head)
                if b"transfer-encoding: chunked" in head.lower():
                    await self._take_chunks(reader)
                writer.write(self._answer)

    async def _take_chunks(self, reader):
        while size := int(await reader.readline(), 16):
            self.bodies.put_nowait(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)

    def cut(self):
        """Close every connection."""
        for writer in self._writers:
            writer.close()

    @property
    def line(self):
        """Request line of the only request."""
        [head] = self.heads
        return head.split(b"\r\n")[0]

    @property
    def fields(self):
        """Fields of the only request, in order, names in lower case."""
        [head] = self.heads
        lines = head.decode("latin-1").rstrip().split("\r\n")[1:]
        return [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]


async def _head(reader):
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def wait_until(holds, what):
    """Look again and again, with a deadline."""
    ends = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < ends, f"not in time: {what}"
        time.sleep(0.02)


def listens(port):
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def edge_behind(nginx, places):
    """A second edge of the sandbox, configured as nginx/README.md says; gives the path of its access records."""
    folder = nginx.folder / "edge"
    shutil.copytree(places.edge, folder)
    records = nginx.folder / "access.jsonl"
    settings = yaml.safe_load((folder / "gateway.yaml").read_text())
    settings |= {
        "listen": f"unix:{nginx.edge}",
        "management": f"unix:{nginx.folder / 'management.sock'}",
        "hosts": [NAME, f"{NAME}:{nginx.port}"],
        "scheme": "https",
        "trusted_proxies": ["unix"],
    }
    settings["records"] |= {"access": f"file:{records}", "application": f"file:{nginx.folder / 'application.jsonl'}"}
    (folder / "gateway.yaml").write_text(yaml.safe_dump(settings))
    (folder / "items" / "uploads.yaml").write_text(UPLOADS)
    command = [sys.executable, "-m", "gateway.cli", "--config", str(folder / "gateway.yaml"), "serve"]
    said = nginx.folder / "edge.txt"
    with said.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        wait_until(lambda: process.poll() is not None or "tongguan serves on" in said.read_text(), f"edge, see {said}")
        assert process.poll() is None, said.read_text()
        yield records
    finally:
        process.terminate()
        process.wait(DEADLINE)


UPLOADS = """\
items:
  - code: "11350100M0009000XP3352010012001"
    name: 材料上传
    category: guides
    audience: [anyone]
    system: assistant
    operations: [{id: uploads, method: POST, path: /uploads}]
    channels: [web]
    reauthorize: []
    limits: {body: 32MiB, timeout: 20s}
"""
