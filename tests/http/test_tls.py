"""TLS, over real sockets: what clients get, what goes on while files change, and what those get who speak otherwise."""

import concurrent.futures
import contextlib
import hashlib
import os
import pickle
import re
import socket
import ssl
import subprocess
import time
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from s3ish.cli import cert
from s3ish.clock import Clock
from s3ish.http import certificates
from s3ish.http.certificates import CertificateError, Certificates
from tests.server.support import PATIENCE_SECONDS, code_of, receive_all, receive_answer, send, status_of
from tests.waiting import wait_until

GET = b"GET /ok HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /ok HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def make(folder, *hosts):
    return cert.write(folder, hosts, datetime.now(UTC), days=1, replace=True)


def trusting(*files, check_hostname=True):
    context = ssl.create_default_context()
    context.check_hostname = check_hostname
    for each in files:
        context.load_verify_locations(each.authority)
    return context


def plain(server):
    opened = socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS)
    opened.settimeout(PATIENCE_SECONDS)
    return opened


def read_body(connection):
    """Read an answer, and return how many bytes its body had."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    count, length = len(body), int(re.search(rb"content-length: (\d+)", head)[1])
    while count < length:
        count += len(connection.recv(65536)) or length
    return count


@pytest.fixture
def server(start, tls):
    return start(tls=tls, header_timeout_seconds=30, body_timeout_seconds=30)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
def test_both_versions_are_spoken_and_the_application_is_told_which(server, tls, version):
    trust = trusting(tls)
    trust.minimum_version = trust.maximum_version = version
    with trust.wrap_socket(plain(server), server_hostname="localhost") as connection:
        send(connection, GET)
        assert status_of(receive_answer(connection)) == 200
    assert server.application.secured == [("https", version.name.removeprefix("TLSv").replace("_", "."))]


def test_an_older_version_is_refused_by_the_handshake(server, tls):
    trust = trusting(tls)
    trust.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.deprecated_call():
        trust.minimum_version, trust.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError), plain(server) as opened:
        trust.wrap_socket(opened, server_hostname="localhost")


@pytest.mark.parametrize("sent", [GET, b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", b"OPTIONS"])
def test_a_client_that_speaks_plain_http_is_answered(server, sent):
    with plain(server) as connection:
        send(connection, sent)
        answer = receive_all(connection)
    assert status_of(answer) == 400
    assert code_of(answer) == "InvalidRequest"
    assert b"This port speaks HTTPS" in answer
    assert server.application.requests == []
    assert server.works()


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\xff\xffnonsense", bytes(range(128, 256)) * 10, b"\x00", b"ssh-2.0-x\r\n"]
)
def test_a_client_that_speaks_nonsense_is_cut_off(server, sent):
    with plain(server) as connection:
        send(connection, sent)
        connection.shutdown(socket.SHUT_WR)
        assert not receive_all(connection).startswith(b"HTTP")
    assert server.works()


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_a_handshake_that_never_ends_is_cut_off(start, tls, sent):
    server = start(tls=tls, header_timeout_seconds=0.2)
    with plain(server) as connection:
        send(connection, sent)
        assert receive_all(connection) == b""
    wait_until(lambda: server.connections == 0)
    assert server.application.refusals == [("RequestTimeout", "", True)]


def test_a_handshake_that_never_ends_makes_room_for_a_newcomer(start, tls):
    server = start(tls=tls, connections=2, header_timeout_seconds=60)
    with plain(server) as first, plain(server):
        wait_until(lambda: server.connections == 2)
        assert server.works()
        assert first.recv(1) == b""


def test_a_client_that_leaves_in_the_handshake_leaves_nothing_behind(server):
    for sent in (b"", b"\x16\x03\x01"):
        with plain(server) as connection:
            send(connection, sent)
    wait_until(lambda: server.connections == 0)


@pytest.mark.parametrize("leave", ["close_notify", "end", "reset"])
def test_a_client_that_leaves_in_a_body_is_missed(server, leave):
    connection = server.connect()
    send(connection, b"PUT /stored HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + bytes(40_000))
    assert server.application.begun.acquire(timeout=PATIENCE_SECONDS)
    if leave == "close_notify":
        connection.setblocking(False)
        with contextlib.suppress(ssl.SSLError):
            connection.unwrap()
    elif leave == "end":
        connection.shutdown(socket.SHUT_WR)
    else:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    assert server.application.disconnected.wait(PATIENCE_SECONDS)
    connection.close()
    wait_until(lambda: server.connections == 0)


def test_an_end_is_told_from_a_cut(server):
    with server.connect() as connection:
        connection.suppress_ragged_eofs = False
        send(connection, LAST)
        assert receive_all(connection).endswith(b"/ok 0")  # a cut would have raised SSLEOFError


@pytest.mark.parametrize("megabytes", [1, 100])
def test_long_bodies_go_up_and_down(server, megabytes):
    piece = os.urandom(1 << 20)
    digest = hashlib.md5()
    with server.connect() as connection:
        connection.sendall(b"PUT /stored HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (megabytes << 20))
        for _ in range(megabytes):
            connection.sendall(piece)
            digest.update(piece)
        assert receive_answer(connection).endswith(digest.hexdigest().encode())
        for _ in range(0, megabytes, 16):
            send(connection, b"GET /whole HTTP/1.1\r\nHost: h\r\n\r\n")
            assert read_body(connection) == 16 << 20


def test_a_client_that_reads_slowly_holds_the_server_back(server):
    with server.connect() as connection:
        send(connection, b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(0.2)
        assert read_body(connection) == 64 << 20


def test_several_requests_in_one_record_are_answered_in_order(server):
    with server.connect() as connection:
        targets = [b"/%d" % number for number in range(50)]
        send(connection, b"".join(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % target for target in targets))
        for target in targets:
            assert receive_answer(connection).endswith(target + b" 0")


def test_one_byte_in_each_record(server):
    with server.connect() as connection:
        for byte in LAST:
            connection.sendall(bytes([byte]))
        assert receive_all(connection).endswith(b"/ok 0")


def test_many_clients_at_once(server):
    def one(number):
        body = os.urandom(100_000 + number)
        with server.connect() as connection:
            connection.sendall(b"PUT /stored HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            return receive_answer(connection).endswith(hashlib.md5(body).hexdigest().encode())

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(100)))


def test_a_session_is_taken_up_again(server, tls):
    trust = trusting(tls)
    trust.maximum_version = ssl.TLSVersion.TLSv1_2  # where it is known at the end of the handshake
    with trust.wrap_socket(plain(server), server_hostname="localhost") as first:
        session = first.session
    with trust.wrap_socket(plain(server), server_hostname="localhost", session=session) as second:
        assert second.session_reused


def test_a_record_that_was_changed_ends_the_connection(server, tls):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(tls).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with plain(server) as raw:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65536))
        raw.sendall(outgoing.read())
        client.write(GET)
        record = bytearray(outgoing.read())
        record[-1] ^= 1
        raw.sendall(record)
        wait_until(lambda: server.connections == 0)
    assert server.application.requests == []


def test_openssl_is_content(server, tls):
    asked = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", str(tls.authority), "-quiet"]
    ran = subprocess.run(
        [*asked, "-verify_return_error", "-verify_hostname", "localhost", "-alpn", "http/1.1"],
        input=LAST,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    assert ran.stdout.endswith(b"/ok 0")


class Names:
    """A server with certificates for some hosts, and clients that name one."""

    def __init__(self, start, files, groups):
        self.files = [make(files / str(number), *hosts) for number, hosts in enumerate(groups)]
        self.server = start(tls=self.files, header_timeout_seconds=30)

    def shown(self, host):
        """Return which certificate a client gets that asks for a host."""
        trust = trusting(*self.files, check_hostname=False)
        with trust.wrap_socket(plain(self.server), server_hostname=host) as connection:
            names = [name for _, name in connection.getpeercert()["subjectAltName"]]
            send(connection, LAST)
            assert status_of(receive_all(connection)) == 200
        return names[0]


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("one.test", "one.test"),
        ("ONE.test", "one.test"),
        ("also.one.test", "one.test"),
        ("two.test", "two.test"),
        ("bucket.two.test", "two.test"),
        ("a.bucket.two.test", "one.test"),
        ("three.test", "one.test"),
        (None, "one.test"),
    ],
)
def test_a_host_gets_its_certificate(start, tmp_path, host, shown):
    names = Names(start, tmp_path, [["one.test", "also.one.test"], ["two.test", "*.two.test"]])
    assert names.shown(host) == shown


# --- files that change


@pytest.fixture
def log(monkeypatch):
    """What is logged of certificates."""
    told = []

    class Log:
        def info(self, event, **fields):
            told.append((event, fields))

        error = info

    monkeypatch.setattr(certificates, "log", Log())
    return told


class Hands:
    """A clock that a test moves."""

    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock():
    return Hands()


def shown_by(held):
    """Return the host of the certificate that a connection of now gets."""
    client_in, client_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    ours = client.wrap_bio(client_in, client_out)
    server_in, server_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = held.context().wrap_bio(server_in, server_out, server_side=True)
    for _ in range(4):
        for side in (ours, theirs):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            server_in.write(client_out.read())
            client_in.write(server_out.read())
    found = x509.load_der_x509_certificate(ours.getpeercert(True))
    hosts = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return hosts.get_values_for_type(x509.DNSName)[0]


def held_by(clock, *files):
    held = Certificates(clock, tuple(str(it.certificate) for it in files), tuple(str(it.key) for it in files))
    held.load()
    return held


def test_new_files_are_used_for_new_connections(tmp_path, clock, log):
    held = held_by(clock, make(tmp_path, "old.test"))
    make(tmp_path, "new.test")
    clock.now += 0.5
    assert shown_by(held) == "old.test"  # they are not looked at for every connection
    clock.now += 1
    assert shown_by(held) == "new.test"
    assert [event for event, _ in log] == ["the certificates have been read again"]
    clock.now += 10
    assert shown_by(held) == "new.test"
    assert len(log) == 1


def test_files_are_read_again_when_that_is_asked_for(tmp_path, clock, log):
    held = held_by(clock, make(tmp_path, "old.test"))
    make(tmp_path, "new.test")
    held.load_again()
    assert shown_by(held) == "new.test"
    assert [event for event, _ in log] == ["the certificates have been read again"]


def test_a_link_that_leads_elsewhere_is_a_change(tmp_path, clock, log):
    make(tmp_path / "1", "old.test")
    make(tmp_path / "2", "new.test")
    (tmp_path / "now").symlink_to(tmp_path / "1")
    folder = tmp_path / "now"
    held = Certificates(clock, (str(folder / "cert.pem"),), (str(folder / "key.pem"),))
    assert shown_by(held) == "old.test"
    folder.unlink()
    folder.symlink_to(tmp_path / "2")
    clock.now += 2
    assert shown_by(held) == "new.test"


@pytest.mark.parametrize("change", ["other key", "nonsense", "away", "empty"])
def test_files_that_cannot_be_used_leave_those_before_in_use(tmp_path, clock, log, change):
    files = make(tmp_path, "old.test")
    held = held_by(clock, files)
    if change == "other key":
        files.key.write_bytes(make(tmp_path / "other", "new.test").key.read_bytes())
    elif change == "away":
        files.key.unlink()
    else:
        files.certificate.write_text({"nonsense": "-----BEGIN CERTIFICATE-----\nAAAA\n", "empty": ""}[change])
    for _ in range(3):
        clock.now += 2
        assert shown_by(held) == "old.test"
    ((event, fields),) = log  # said once
    assert event == "the certificates cannot be used; those before them stay in use"
    assert str(tmp_path) in fields["cause"]
    make(tmp_path, "new.test")
    clock.now += 2
    assert shown_by(held) == "new.test"


@pytest.mark.parametrize("part", ["certificate", "key"])
def test_files_that_cannot_be_used_are_named(tmp_path, clock, part):
    files = make(tmp_path, "a.test")
    path = getattr(files, part)
    for content, says in (
        (None, f"cannot read {path}: No such file"),
        ("", "holds no certificate" if part == "certificate" else f"{path} cannot be used with"),
        (make(tmp_path / "other", "b.test").key.read_text(), "no certificate" if part == "certificate" else "not the"),
    ):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        with pytest.raises(CertificateError, match=says):
            held_by(clock, files)


def test_a_key_that_is_encrypted_is_refused_without_a_question(tmp_path, clock):
    files = make(tmp_path, "a.test")
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(CertificateError, match="is encrypted"):
        held_by(clock, files)


def test_one_file_may_hold_certificate_and_key(tmp_path, clock):
    files = make(tmp_path, "a.test")
    both = tmp_path / "both.pem"
    both.write_bytes(files.key.read_bytes() + files.certificate.read_bytes())
    assert shown_by(Certificates(clock, (str(both),))) == "a.test"


def test_they_travel_to_another_process_as_names_of_files(tmp_path):
    held = held_by(Clock(), make(tmp_path, "a.test"))
    assert shown_by(pickle.loads(pickle.dumps(held))) == "a.test"


def test_connections_stay_open_while_files_change(start, tmp_path):
    files = make(tmp_path, "localhost")
    server = start(tls=files, header_timeout_seconds=30)
    with server.connect() as connection:
        send(connection, GET)
        receive_answer(connection)
        renewed = make(tmp_path, "localhost")

        def renewed_is_shown():
            try:
                with trusting(renewed).wrap_socket(plain(server), server_hostname="localhost"):
                    return True
            except ssl.SSLCertVerificationError:
                return False

        wait_until(renewed_is_shown)
        send(connection, GET)
        assert status_of(receive_answer(connection)) == 200
