#!/usr/bin/env python3
"""https from the outside: curl and openssl are the clients, beside our own.

    tls_test.py BINARY
"""

import hashlib
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BINARY = ""


def eventually(condition, limit=30):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(*words, text=""):
    return subprocess.run([str(word) for word in words], input=text, capture_output=True, text=True,
                          timeout=30)


class Server:
    """`tessera serve` or `up` over one data folder; may be stopped and started again."""

    def __init__(self, folder, *options, command="serve", address="127.0.0.1"):
        self.data = pathlib.Path(folder, "data")
        self.port = free_port()
        self.words = [BINARY, command, "--data", self.data, "--listen", f"{address}:{self.port}",
                      *options]
        self.context = self.data / "context.yaml"
        self.ca = self.data / "tls" / "ca.pem"
        self.process = None

    def start(self):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([str(word) for word in self.words], stdout=self.log,
                                        stderr=subprocess.STDOUT)
        if not eventually(self.ready):
            self.log.seek(0)
            raise TimeoutError("the server did not become ready: " + self.log.read())

    def ready(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            raise RuntimeError("the server ended: " + self.log.read())
        return self.context.exists() and self.tessera("get", "tiers").returncode == 0

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
        if self.process:
            self.process.wait(timeout=20)
            self.log.close()

    def tessera(self, *words):
        return run(BINARY, "--context", self.context, *words)

    def field(self, name):
        return re.search(rf'^{name}: "?([^"\n]+)', self.context.read_text(), re.M).group(1)

    def curl(self, url, *options):
        return run("curl", "--silent", "--show-error", "--max-time", "10", "--cacert", self.ca,
                   *options, url)

    def s_client(self, *options):
        return run("openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-CAfile", self.ca,
                   "-verify_return_error", *options)

    def certificate(self, *what):
        shown = self.s_client().stdout
        pem = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", shown, re.S)
        return run("openssl", "x509", "-noout", *what, text=pem.group(0)).stdout


class TlsTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def server(self, *options, **more):
        server = Server(self.folder.name, *options, **more)
        self.addCleanup(server.stop)
        server.start()
        return server

    def test_curl_and_openssl_verify_the_chain_by_the_ca_file(self):
        server = self.server("--tls", "--tls-name", "fleet.test")
        answer = server.curl(f"https://127.0.0.1:{server.port}/healthz", "--tlsv1.2")
        self.assertEqual((answer.returncode, answer.stdout), (0, "ok\n"), answer.stderr)
        answer = server.curl(f"https://fleet.test:{server.port}/healthz",
                             "--resolve", f"fleet.test:{server.port}:127.0.0.1")
        self.assertEqual((answer.returncode, answer.stdout), (0, "ok\n"), answer.stderr)
        shown = server.s_client("-verify_hostname", "fleet.test")
        self.assertIn("Verify return code: 0 (ok)", shown.stdout)
        self.assertIn("TLSv1.3", shown.stdout)
        self.assertIn("Verify return code: 0 (ok)", server.s_client("-tls1_2").stdout)

    def test_nothing_older_than_tls_1_2_is_spoken(self):
        server = self.server("--tls")
        refused = server.s_client("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("alert protocol version", refused.stderr)
        # Forward secrecy only.
        refused = server.s_client("-tls1_2", "-cipher", "AES256-GCM-SHA384")
        self.assertNotEqual(refused.returncode, 0)

    def test_the_certificate_is_for_the_address_and_the_names_that_were_given(self):
        server = self.server("--tls", "--tls-name", "fleet.test", "--tls-name", "10.1.2.3")
        names = server.certificate("-ext", "subjectAltName,extendedKeyUsage")
        for name in ("DNS:fleet.test", "IP Address:10.1.2.3", "IP Address:127.0.0.1",
                     "TLS Web Server Authentication"):
            self.assertIn(name, names)
        other = server.curl(f"https://other.test:{server.port}/healthz",
                            "--resolve", f"other.test:{server.port}:127.0.0.1")
        self.assertEqual(other.returncode, 60, other.stderr)

    def test_who_listens_everywhere_says_by_which_names(self):
        refused = run(BINARY, "serve", "--data", self.folder.name + "/data", "--tls",
                      "--listen", f"0.0.0.0:{free_port()}")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("--tls-name", refused.stderr)
        server = self.server("--tls", "--tls-name", "fleet.test", address="0.0.0.0")
        names = server.certificate("-ext", "subjectAltName")
        for name in ("DNS:fleet.test", "DNS:localhost", "IP Address:127.0.0.1"):
            self.assertIn(name, names)
        self.assertNotIn("0.0.0.0", names)
        self.assertEqual(server.field("server"), f"https://127.0.0.1:{server.port}")

    def test_the_pin_is_the_cas_and_outlives_a_restart(self):
        server = self.server("--tls")
        der = subprocess.run(["openssl", "x509", "-in", server.ca, "-outform", "der"],
                             capture_output=True, timeout=30, check=True).stdout
        pin = "sha256:" + hashlib.sha256(der).hexdigest()
        self.assertEqual(server.field("pin"), pin)
        self.assertEqual((server.data / "tls" / "authority.pem").stat().st_mode & 0o777, 0o600)
        first = server.certificate("-serial")
        server.stop()
        server.start()
        self.assertEqual(server.field("pin"), pin)
        self.assertNotEqual(server.certificate("-serial"), first)
        self.assertEqual(server.tessera("get", "tiers").returncode, 0)

    def test_a_context_with_another_pin_is_refused_and_says_what_to_do(self):
        server = self.server("--tls")
        text = server.context.read_text().replace(server.field("pin"), "sha256:" + "0" * 64)
        other = pathlib.Path(self.folder.name, "other.yaml")
        other.write_text(text)
        refused = run(BINARY, "--context", other, "get", "tiers")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("`pin:`", refused.stderr)

    def test_plain_http_on_a_tls_port_and_tls_on_a_plain_one(self):
        server = self.server("--tls")
        answer = server.curl(f"http://127.0.0.1:{server.port}/healthz")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertIn("write https://", answer.stdout)
        server.stop()
        server.words.remove("--tls")
        server.start()
        answer = server.curl(f"https://127.0.0.1:{server.port}/healthz")
        self.assertEqual(answer.returncode, 35, answer.stderr)
        text = server.context.read_text().replace("http://", "https://")
        secure = pathlib.Path(self.folder.name, "secure.yaml")
        secure.write_text(text)
        refused = run(BINARY, "--context", secure, "get", "tiers")
        self.assertIn("write http://", refused.stderr)

    def test_a_whole_fleet_runs_over_https(self):
        fleet = pathlib.Path(__file__).parents[2] / "examples" / "three-tier.yaml"
        server = self.server("--tls", "--fleet", fleet, command="up")
        self.assertTrue(eventually(
            lambda: "ready" in server.tessera("get", "nodes").stdout), server.tessera("get", "nodes"))
        asked = server.tessera("request", "--team", "vision", "--memory", "10GB", "--isolation",
                               "partition", "--for", "1h")
        self.assertEqual(asked.returncode, 0, asked.stderr)
        watched = subprocess.run(
            ["curl", "--silent", "--max-time", "3", "--cacert", server.ca, "--header",
             f"Authorization: Bearer {server.field('token')}",
             f"https://127.0.0.1:{server.port}/v1/watch?since=0"],
            capture_output=True, text=True, timeout=30)
        self.assertIn("event: ", watched.stdout)


class JoinTest(unittest.TestCase):
    """Agents that join a control plane elsewhere, each in a process of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        fleet = self.folder / "fleet.yaml"
        fleet.write_text("""\
kind: Pool
metadata: {name: h100}
spec: {model: H100-80GB-SXM5, tiers: [production]}
---
kind: Node
metadata: {name: node-1}
spec: {pool: h100, gpus: 2}
---
kind: Node
metadata: {name: node-2}
spec: {pool: h100, gpus: 2}
""")
        self.server = Server(folder.name, "--tls", "--fleet", fleet, "--agent-certificates", "12s")
        self.addCleanup(self.server.stop)
        self.server.start()
        self.agents = []
        self.addCleanup(self.stop_agents)
        self.tokens = 0

    def stop_agents(self):
        for agent in self.agents:
            agent.kill()
            agent.wait(timeout=10)
            agent.stdout.close()

    def token(self, node="node-1", *options):
        self.tokens += 1
        made = self.server.tessera("token", f"join-{self.tokens}", "--node", node, "--join", *options)
        self.assertEqual(made.returncode, 0, made.stderr)
        return made.stdout.strip()

    def agent_words(self, data, *options):
        return [BINARY, "agent", "--data", str(self.folder / data), "--simulate", "H100-80GB-SXM5",
                "--gpus", "2", *options]

    def agent(self, data, *options):
        agent = subprocess.Popen(self.agent_words(data, *options), stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        self.agents.append(agent)
        return agent

    def refused(self, data, *options):
        done = run(*self.agent_words(data, *options))
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stderr

    def phase(self, node):
        lines = [line.split() for line in self.server.tessera("get", "nodes").stdout.splitlines()]
        return next((" ".join(line) for line in lines if line and line[0] == node), "")

    def is_ready(self, node):
        return "ready" in self.phase(node)

    def serial(self, data):
        return run("openssl", "x509", "-noout", "-serial", "-in",
                   self.folder / data / "identity.pem").stdout

    def test_an_agent_joins_and_is_its_node(self):
        self.agent("one", "--join", self.token())
        self.assertTrue(eventually(lambda: self.is_ready("node-1")), self.phase("node-1"))
        identity = self.folder / "one" / "identity.pem"
        self.assertEqual(identity.stat().st_mode & 0o777, 0o600)
        shown = run("openssl", "x509", "-noout", "-subject", "-ext", "extendedKeyUsage", "-in",
                    identity).stdout
        self.assertIn("node-1", shown)
        self.assertIn("TLS Web Client Authentication", shown)
        who = self.server.curl(f"https://127.0.0.1:{self.server.port}/v1/whoami", "--cert", identity,
                               "--key", identity)
        self.assertIn('"subject":"node-1"', who.stdout, who.stderr)
        other = self.server.curl(
            f"https://127.0.0.1:{self.server.port}/v1/agent/nodes/node-2/certificate", "--cert",
            identity, "--key", identity, "--data", '{"request":""}')
        self.assertIn("Forbidden", other.stdout)

    def test_a_token_is_good_once_and_from_a_file(self):
        token = self.folder / "token"
        token.write_text(self.token() + "\n")
        first = self.agent("one", "--join", token)
        self.assertTrue(eventually(lambda: self.is_ready("node-1")))
        self.assertIn("was used", self.refused("two", "--join", token))
        # Whoever has joined does not need it again, and goes on renewing.
        first.kill()
        first.wait(timeout=10)
        before = self.serial("one")
        for options in (("--join", token), ()):
            again = self.agent("one", *options)
            self.assertTrue(eventually(lambda: self.serial("one") != before))
            before = self.serial("one")
            self.assertTrue(self.is_ready("node-1"))
            again.kill()
            again.wait(timeout=10)

    def test_a_context_that_is_named_wins_over_what_was_joined(self):
        agent = self.agent("one", "--join", self.token())
        self.assertTrue(eventually(lambda: self.is_ready("node-1")))
        agent.kill()
        agent.wait(timeout=10)
        words = self.agent_words("one")
        done = run(words[0], "--context", self.folder / "absent.yaml", *words[1:])
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("absent.yaml", done.stderr)

    def test_whom_to_join_is_known_before_the_secret_is_said(self):
        good = self.token()
        bad = re.sub("sha256:[0-9a-f]+", "sha256:" + "0" * 64, good)
        self.assertIn("CA that is not trusted", self.refused("one", "--join", bad))
        self.agent("one", "--join", good)
        self.assertTrue(eventually(lambda: self.is_ready("node-1")))

    def test_garbage_is_no_token(self):
        self.assertIn("cannot read it", self.refused("one", "--join", "absent"))
        for text in (",", "join1,", "join1,https://127.0.0.1:1,node-1,sha256:00,tsj_x", "/dev/null"):
            self.assertIn("join token", self.refused("one", "--join", text))

    def test_the_agent_renews_before_its_certificate_ends(self):
        agent = self.agent("one", "--join", self.token())
        self.assertTrue(eventually(lambda: self.is_ready("node-1")))
        serials = {self.serial("one")}
        end = time.monotonic() + 26  # twice its life
        while time.monotonic() < end:
            self.assertTrue(self.is_ready("node-1"), self.phase("node-1"))
            serials.add(self.serial("one"))
            time.sleep(0.2)
        self.assertGreaterEqual(len(serials), 3)
        self.assertIsNone(agent.poll())

    def test_deleting_its_key_shuts_an_agent_out(self):
        self.agent("one", "--join", self.token())
        self.assertTrue(eventually(lambda: self.is_ready("node-1")))
        gone = self.server.tessera("delete", "token", "certificate-node-1")
        self.assertEqual(gone.returncode, 0, gone.stderr)
        identity = self.folder / "one" / "identity.pem"
        who = self.server.curl(f"https://127.0.0.1:{self.server.port}/v1/whoami", "--cert", identity,
                               "--key", identity)
        self.assertIn("Unauthenticated", who.stdout)

    def key(self, data):
        return run("openssl", "x509", "-noout", "-pubkey", "-in",
                   self.folder / data / "identity.pem").stdout

    # A new token was ignored for as long as the old certificate held.
    def test_an_agent_that_was_shut_out_is_let_in_by_a_new_token(self):
        used = self.token()
        first = self.agent("one", "--join", used)
        self.assertTrue(eventually(lambda: self.is_ready("node-1")))
        before = self.key("one")
        gone = self.server.tessera("delete", "token", "certificate-node-1")
        self.assertEqual(gone.returncode, 0, gone.stderr)
        first.kill()
        first.wait(timeout=10)
        second = self.agent("one", "--join", self.token())
        self.assertTrue(eventually(lambda: self.key("one") != before))
        identity = self.folder / "one" / "identity.pem"
        who = self.server.curl(f"https://127.0.0.1:{self.server.port}/v1/whoami", "--cert", identity,
                               "--key", identity)
        self.assertIn('"subject":"node-1"', who.stdout, who.stderr)
        # A token that cannot be used costs an agent nothing that it has.
        second.kill()
        second.wait(timeout=10)
        third = self.agent("one", "--join", used)
        self.assertIn("warning: not joined anew", third.stdout.readline())
        self.assertIsNone(third.poll())

    def test_an_agents_token_alone_is_not_believed(self):
        made = self.server.tessera("token", "bearer", "--node", "node-2")
        self.assertEqual(made.returncode, 0, made.stderr)
        context = self.folder / "agent.yaml"
        context.write_text(made.stdout)
        refused = run(BINARY, "--context", context, "get", "nodes")
        self.assertIn("--join", refused.stderr)


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
