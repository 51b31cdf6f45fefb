"""The shipped nginx configuration in a real nginx, before a program that notes what arrives and before the site."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.deploy.conftest import DEPLOY, ROOT, eventually, free_port, running

MEBIBYTE = 1 << 20
UPLOAD_BYTES = 200 * MEBIBYTE
ROLES = ("pages", "uploads", "hosts", "streams")
UPLOADS = [("POST", "/submit/final/"), ("PUT", "/worker/v1/batches/5f0c/outputs/case.nii.gz?fence=1")]
MAIN = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


@dataclass
class Edge:
    """A running nginx."""

    folder: Path
    http: int
    https: int
    master: int = 0

    def plain(self) -> HTTPConnection:
        return HTTPConnection("localhost", self.http, timeout=30)

    def secure(self) -> HTTPSConnection:
        trust = ssl.create_default_context(cafile=str(self.folder / "tls" / "fullchain.pem"))
        return HTTPSConnection("localhost", self.https, timeout=30, context=trust)

    def resident_bytes(self) -> int:
        """Of all its processes together."""
        children = Path(f"/proc/{self.master}/task/{self.master}/children").read_text().split()
        statuses = [Path(f"/proc/{pid}/status").read_text() for pid in (str(self.master), *children)]
        return sum(int(text.split("VmRSS:")[1].split()[0]) for text in statuses) * 1024

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[HTTPResponse, bytes]:
        connection = self.secure()
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return response, response.read()


@contextmanager
def running_nginx() -> Iterator[Edge]:
    """nginx with the shipped configuration: only its ports and folders are the test's."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.fail("nginx is missing: apt-get install nginx-light", pytrace=False)
    with tempfile.TemporaryDirectory(prefix="rexg-edge-") as name:
        edge = Edge(Path(name), free_port(), free_port())
        make_certificate(edge.folder / "tls")
        acme = edge.folder / "acme" / ".well-known" / "acme-challenge"
        acme.mkdir(parents=True)
        (acme / "token").write_text("proof")
        (edge.folder / "site.conf").write_text(relocated((DEPLOY / "nginx.conf").read_text(), edge))
        user = "user root;" if os.geteuid() == 0 else ""
        (edge.folder / "nginx.conf").write_text(MAIN.format(user=user, folder=edge.folder))
        log = edge.folder / "log"
        with running([nginx, "-p", name, "-c", f"{name}/nginx.conf"], log=log) as process:
            edge.master = process.pid
            assert eventually(lambda: process.poll() is not None or (edge.folder / "nginx.pid").exists())
            assert process.poll() is None, log.read_text()
            yield edge


@pytest.fixture
def edge() -> Iterator[Edge]:
    with running_nginx() as edge:
        yield edge


def relocated(configuration: str, edge: Edge) -> str:
    moves = {
        "/etc/rexg/tls": f"{edge.folder}/tls",
        **{f"/run/rexg/{role}.sock": f"{edge.folder}/{role}.sock" for role in ROLES},
        "/etc/rexg/nginx/": f"{DEPLOY}/nginx/",
        "/var/lib/rexg-public": f"{edge.folder}/public",
        "/var/www/acme": f"{edge.folder}/acme",
        "listen 80 ": f"listen 127.0.0.1:{edge.http} ",
        "listen [::]:80 ": f"listen [::1]:{edge.http} ",
        "listen 443 ": f"listen 127.0.0.1:{edge.https} ",
        "listen [::]:443 ": f"listen [::1]:{edge.https} ",
    }
    for old, new in moves.items():
        assert old in configuration
        configuration = configuration.replace(old, new)
    return configuration


def make_certificate(folder: Path) -> None:
    folder.mkdir()
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")),
        ],
        check=True,
        capture_output=True,
    )


@dataclass
class Upstream:
    """Stands where gunicorn stands, in all its roles; counts bodies' bytes as they come. It may die below an upload."""

    received: int = 0
    dies: bool = False
    requests: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)  # which was asked


@pytest.fixture
def upstream(edge: Edge) -> Iterator[Upstream]:
    noted = Upstream()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            noted.requests.append(self.path)
            noted.roles.append(Path(str(self.server.server_address)).stem)
            left = int(self.headers["Content-Length"] or 0)
            if left and noted.dies:
                self.close_connection = True
                return
            while left and (chunk := self.rfile.read1(min(left, MEBIBYTE))):
                left -= len(chunk)
                noted.received += len(chunk)
            body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
            self.send_response(200)
            self.send_header("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
            self.send_header("Content-Length", str(len(body)))
            with suppress(BrokenPipeError):  # a test that has seen enough hangs up
                self.end_headers()
                self.wfile.write(body)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    with ExitStack() as stack:
        for role in ROLES:
            server = socketserver.ThreadingUnixStreamServer(str(edge.folder / f"{role}.sock"), Handler)
            stack.enter_context(server)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        yield noted


def test_http_is_sent_to_https(edge: Edge, upstream: Upstream) -> None:
    connection = edge.plain()
    connection.request("GET", "/leaderboard/?phase=final", headers={"Host": "challenge.example.org"})
    response = connection.getresponse()
    assert response.status == 301
    assert response.headers["Location"] == "https://challenge.example.org/leaderboard/?phase=final"
    assert upstream.requests == []


def test_only_the_proof_of_a_certificate_is_served_without_tls(edge: Edge, upstream: Upstream) -> None:
    connection = edge.plain()
    connection.request("GET", "/.well-known/acme-challenge/token")
    assert connection.getresponse().read() == b"proof"


def test_the_servers_hsts_header_passes(edge: Edge, upstream: Upstream) -> None:
    response, _ = edge.ask("GET", "/")
    assert response.headers.get_all("Strict-Transport-Security") == ["max-age=31536000; includeSubDomains"]


@pytest.mark.parametrize("path", ["/", "/account/login/", *(path for _, path in UPLOADS), "/worker/v1/hello"])
def test_what_a_client_claims_about_scheme_and_address_is_replaced(edge: Edge, upstream: Upstream, path: str) -> None:
    claims = {
        "X-Forwarded-Proto": "http",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Host": "evil.example.org",
        "X-Forwarded-Port": "1",
        "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9;proto=http",
    }
    _, body = edge.ask("GET", path, headers=claims)
    seen = json.loads(body)
    assert {name: value for name, value in seen.items() if name.startswith("x-") or name == "forwarded"} == {
        "x-forwarded-proto": "https",
        "x-forwarded-for": "127.0.0.1",
    }


def test_a_hosts_token_and_a_browsers_cookie_pass(edge: Edge, upstream: Upstream) -> None:
    _, body = edge.ask("POST", "/worker/v1/hello", b"{}", {"Authorization": "Bearer token", "Cookie": "a=b"})
    seen = json.loads(body)
    assert (seen["authorization"], seen["cookie"]) == ("Bearer token", "a=b")


def test_each_request_goes_to_the_processes_that_are_for_it(edge: Edge, upstream: Upstream) -> None:
    asked = {
        ("GET", "/runs/3/masks/case_001.nii.gz"): "uploads",  # may take long, as an upload
        ("GET", "/runs/3/results.json"): "uploads",
        ("GET", "/runs/3/logs/1/2/"): "uploads",
        ("GET", "/runs/3/logs/"): "pages",
        ("GET", "/runs/3/"): "pages",
        ("GET", "/data/val/images/case_001.nii.gz"): "pages",  # a moment: nginx hands it out
        ("POST", "/submit/"): "pages",  # takes no upload
        ("GET", "/submit/dev/"): "pages",
        ("POST", "/submit/dev/"): "uploads",
        ("POST", "/worker/v1/hello"): "hosts",
        ("GET", "/runs/7/events/"): "streams",
    }
    for method, path in asked:
        edge.ask(method, path)
    assert dict(zip(asked, upstream.roles, strict=True)) == asked


@pytest.mark.parametrize(("method", "path"), UPLOADS, ids=["archive", "mask"])
def test_an_upload_arrives_while_it_is_sent_and_takes_no_memory_or_disk(
    edge: Edge, upstream: Upstream, method: str, path: str
) -> None:
    edge.ask("GET", "/")
    before, chunk = edge.resident_bytes(), os.urandom(MEBIBYTE)
    connection = edge.secure()
    connection.putrequest(method, path)
    connection.putheader("Content-Length", str(UPLOAD_BYTES))
    connection.endheaders()
    for _ in range(10):
        connection.send(chunk)
    assert eventually(lambda: upstream.received > 9 * MEBIBYTE), "the first tenth is there before the rest was sent"
    largest = 0
    for sent in range(10, UPLOAD_BYTES // MEBIBYTE):
        connection.send(chunk)
        if sent % 10 == 0:
            largest = max(largest, edge.resident_bytes())
    assert connection.getresponse().status == 200
    assert upstream.received == UPLOAD_BYTES
    assert largest - before < 8 * MEBIBYTE
    assert [path for path in (edge.folder / "body").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("method", "path"), UPLOADS, ids=["archive", "mask"])
def test_an_upload_whose_process_dies_is_to_be_sent_again_and_not_too_large(
    edge: Edge, upstream: Upstream, method: str, path: str
) -> None:
    """The page that says so takes no large body; a host would not try again, and a team look for what is too large."""
    upstream.dies = True
    connection = edge.secure()
    connection.putrequest(method, path)
    connection.putheader("Content-Length", str(UPLOAD_BYTES))
    connection.endheaders()
    connection.send(b"x" * 3 * MEBIBYTE)
    assert connection.getresponse().status == 503
    assert upstream.requests == [path, "/refused/503/"]


def test_a_page_takes_no_large_body(edge: Edge, upstream: Upstream) -> None:
    response, _ = edge.ask("POST", "/team/", b"x" * (3 * MEBIBYTE))
    assert response.status == 413
    assert upstream.requests == ["/refused/413/"], "the words for it"
    assert upstream.received == 0


def test_a_host_may_report_as_much_as_the_server_takes(edge: Edge, upstream: Upstream) -> None:
    response, _ = edge.ask("POST", "/worker/v1/batches/5f0c/report", b"x" * (32 * MEBIBYTE))
    assert response.status == 200


def test_uploads_may_be_larger_than_any_phase_takes_by_default(edge: Edge, upstream: Upstream) -> None:
    from leaderboard.models import Phase

    largest = Phase._meta.get_field("max_archive_bytes").default + Phase._meta.get_field("output_bytes").default
    for method, path in UPLOADS:
        connection = edge.secure()
        connection.putrequest(method, path)
        connection.putheader("Content-Length", str(largest))
        connection.endheaders()
        connection.send(b"x" * MEBIBYTE)
        assert eventually(lambda: upstream.received == MEBIBYTE), "passed on, not refused"
        connection.close()
        upstream.received = 0


def test_guessing_passwords_is_slowed_down_and_reading_the_form_is_not(edge: Edge, upstream: Upstream) -> None:
    statuses = [edge.ask("POST", "/account/login/", b"login=a")[0].status for _ in range(100)]
    assert statuses[:60] == [200] * 60
    assert 429 in statuses
    assert {edge.ask("GET", "/account/login/")[0].status for _ in range(40)} == {200}


# --- the real site behind it ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The server as in production, on the tests' database, behind its nginx."""
    from django.conf import settings

    store = tmp_path_factory.mktemp("cases")
    store.chmod(0o700)
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{settings.DATABASES['default']['NAME']}").geturl()
    with running_nginx() as edge:
        for role in ("uploads", "hosts"):
            (edge.folder / f"{role}.sock").symlink_to("pages.sock")  # one process without a role serves all
        environment = {
            **os.environ,
            "DATABASE_URL": database,
            "SITE_URL": f"https://localhost:{edge.https}",
            "SECRET_KEY": "Kq3vT9wYb2LxR7mZp5NcH8sGd4JfW6aE1uXoV0tQyB",
            "EMAIL_HOST": "mail.example.org",
            "STORE_DIR": str(store),
            "GUNICORN_CMD_ARGS": f"--workers=1 --bind=unix:{edge.folder}/pages.sock",
        }
        log = edge.folder / "web.log"
        command = [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn_settings.py"]
        with running(command, log=log, env=environment, cwd=ROOT):
            assert eventually(lambda: is_well(environment, edge), seconds=90), log.read_text()
            yield edge


def is_well(environment: dict[str, str], edge: Edge) -> bool:
    """What compose asks."""
    command = [sys.executable, "deploy/healthcheck.py", f"{edge.folder}/pages.sock"]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=False).returncode == 0


def sign_in_page(site: Edge) -> tuple[HTTPResponse, str]:
    """The form's response and its CSRF token."""
    response, _ = site.ask("GET", "/account/login/")
    assert response.status == 200, (site.folder / "web.log").read_text()[-3000:]
    return response, response.headers["Set-Cookie"].split("rexg_csrf=")[1].split(";")[0]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/account/login/", "/static/site/base.css", "/no-such-page"])
def test_every_answer_of_the_real_site_has_hsts(site: Edge, path: str) -> None:
    response, _ = site.ask("GET", path)
    assert response.headers["Strict-Transport-Security"].startswith("max-age=31536000")


@pytest.mark.django_db
def test_the_real_sites_cookies_are_for_tls_alone(site: Edge) -> None:
    response, _ = sign_in_page(site)
    assert "Secure" in response.headers["Set-Cookie"]


@pytest.mark.django_db
def test_behind_the_socket_the_real_site_still_knows_who_tries_to_sign_in(site: Edge) -> None:
    """gunicorn sees no address there; without nginx's word every try would be refused, or all share one limit."""
    _, token = sign_in_page(site)
    address = f"https://localhost:{site.https}"
    form = f"csrfmiddlewaretoken={token}&login=alice%40example.org&password=guess".encode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": f"rexg_csrf={token}",
        "Origin": address,
        "Referer": f"{address}/account/login/",
    }
    response, body = site.ask("POST", "/account/login/", form, headers)
    assert response.status == 200
    assert b"do not belong together" in body


@pytest.mark.django_db
def test_the_real_site_sends_whoever_comes_without_tls_away(site: Edge) -> None:
    with socket.socket(socket.AF_UNIX) as direct:
        direct.connect(str(site.folder / "pages.sock"))
        direct.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = direct.recv(4096).decode()
    assert " 301 " in answer.splitlines()[0]
    assert "Location: https://localhost/" in answer
