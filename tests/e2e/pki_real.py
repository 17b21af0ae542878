#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The project's own PKI through real clients (design: TLS 15).

    pki_real.py all PKI EXPECTED WORK

Runs in a network of its own, which it finishes: the far side is a server with a port for each line of
EXPECTED (tests/data/pki/expected.tsv), made by pki_defects.sh for the present time. Clients that verify
nothing fetch each of them under the shim: Python on every platform, curl on Android, a sample with wget and
openssl s_client. What they are told, what the event says, and whether a request arrived must be as
EXPECTED says. Prints a line for each difference and a summary; exit status 0 if there is none.

    pki_real.py serve PORTS LOG     the far side: PORTS is JSON, LOG gets what arrived
    pki_real.py try CASES           the Python client

NETLEASH_BUILD names the build.
"""

import base64
import json
import os
import re
import selectors
import socket
import ssl
import subprocess
import sys
import threading
import warnings

# TLS 1.0 and 1.1 are old, and that is what they are here for.
warnings.simplefilter("ignore", DeprecationWarning)

HERE = os.path.dirname(os.path.realpath(__file__))
BUILD = os.environ.get("NETLEASH_BUILD") or os.path.join(HERE, "../../build")
CIPHERS = "ALL:!aNULL:!eNULL:@SECLEVEL=0"
CURVES = "P-256:P-384:P-521:X25519:P-224:P-192"
FIRST_PORT = 20000
FAR = "198.51.100.7"                        # behind a router: only what was resolved may be reached
NEIGHBOURS = ["192.0.2.1", "192.0.2.2", "2001:db8::1"]  # on the LAN: dialled by address
PLATFORMS = ["android", "ios", "devtools", "strict"]    # columns of EXPECTED
REQUEST = "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"

# What a real server or client cannot do, each with its reason. (A certificate that was issued before a
# rule came into effect, and lasts until today, there is none: those lines, with a time of their own in
# EXPECTED, go through the verifier alone, tests/unit/test_verifier.)
NO_SERVER = {
    "ends-next-second": "valid for one more second when it is made",
    "wildcard-all": "a single label is no domain that a policy lists",
}
# The certificate message cannot be read by the program's own library: it gives up before anybody is asked.
# For TLS that nobody hooks the message is read here, and the rule is named (see opaque()).
UNREADABLE = {"empty", "truncated", "inter-damaged", "no-certificate", "bytes-behind"}
# Keys that TLS 1.3 has no signature for
OLD_KEYS = {"key-p192", "key-p224", "key-explicit", "key-dsa"}

# Real handshakes with that key have one more fault, which comes first: its suites know no ECDHE.
OTHERWISE = {("key-dsa", "strict"): "50:cipher"}

RULES = {"self-signed": "certificate.self_signed", "tls-version": "tls.version", "cipher": "tls.cipher"}


def bracketed(host):
    return "[%s]" % host if ":" in host else host


def read_keys(pki):
    with open(os.path.join(pki, "keys"), encoding="ascii") as f:
        return dict(line.split() for line in f)


def read_cases(expected):
    cases, skipped = [], []
    with open(expected, encoding="utf-8") as f:
        for line in f:
            fields = line.rstrip("\n").split("\t")
            if line.startswith("#") or len(fields) < 10:
                continue
            name, chain, host, now, store, session = fields[:6]
            case = {"name": name, "chain": chain, "host": "api.example.com" if host == "-" else host,
                    "store": store, "session": "" if session == "-" else session,
                    "expected": {p: OTHERWISE.get((name, p), e) for p, e in zip(PLATFORMS, fields[6:10])}, "port": FIRST_PORT + len(cases)}
            if now != "-":
                skipped.append((name, "is about a day in the past"))
            elif name in NO_SERVER:
                skipped.append((name, NO_SERVER[name]))
            elif ":" in case["host"] and not os.path.exists("/proc/net/if_inet6"):
                skipped.append((name, "no IPv6 here"))
            else:
                if case["session"].endswith(("009e", "009c")):
                    case["chain"] = "key-rsa2048"       # those suites are RSA's
                cases.append(case)
    return cases, skipped


# --- The far side ------------------------------------------------------------------------------

def ders_of(pem):
    with open(pem, encoding="ascii") as f:
        return [base64.b64decode("".join(body.split())) for body in
                re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END", f.read(), re.S)]


def context_of(pki, key, case, number):
    """An ordinary server's settings; None where OpenSSL takes no such certificate for one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    versions = {"0301": ssl.TLSVersion.TLSv1, "0302": ssl.TLSVersion.TLSv1_1,
                "0303": ssl.TLSVersion.TLSv1_2, "0304": ssl.TLSVersion.TLSv1_3}
    suites = {"c02b": "ECDHE-ECDSA-AES128-GCM-SHA256", "009e": "DHE-RSA-AES128-GCM-SHA256",
              "009c": "AES128-GCM-SHA256"}
    version, _, suite = case["session"].partition("/")
    context.set_ciphers((suites[suite] + ":@SECLEVEL=0") if suite in suites else CIPHERS)
    if not version:                         # half of them each
        version = "0303" if number % 2 or case["chain"] in OLD_KEYS else "0304"
    context.minimum_version = context.maximum_version = versions[version]
    context.load_dh_params(os.path.join(pki, "dh.pem"))
    if case["chain"] in UNREADABLE | {"key-explicit"}:
        return None
    context.load_cert_chain(os.path.join(pki, case["chain"] + ".pem"),
                            os.path.join(pki, key + ".key"))
    return context


def vector(size, data):
    return len(data).to_bytes(size, "big") + data


def raw_server(sock, ders):
    """TLS 1.2 as far as the certificate, from bytes that no library would send."""
    hello = b""
    while len(hello) < 5 or len(hello) < 5 + int.from_bytes(hello[3:5], "big"):
        data = sock.recv(65536)
        if not data:
            return b""
        hello += data
    suites_at = 5 + 4 + 2 + 32 + 1 + hello[5 + 4 + 2 + 32]
    offered = hello[suites_at + 2:suites_at + 2 + int.from_bytes(hello[suites_at:suites_at + 2], "big")]
    suite = b"\xc0\x2b"
    assert suite in [offered[i:i + 2] for i in range(0, len(offered), 2)]
    server_hello = b"\x03\x03" + os.urandom(32) + vector(1, b"") + suite + b"\0" + vector(
        2, b"\xff\x01\x00\x01\x00")                     # secure renegotiation
    certificate = vector(3, b"".join(vector(3, der) for der in ders))
    stream = b"".join(bytes([kind]) + vector(3, body) for kind, body in
                      ((2, server_hello), (11, certificate), (14, b"")))
    for at in range(0, len(stream), 16000):
        sock.sendall(b"\x16\x03\x03" + vector(2, stream[at:at + 16000]))
    sock.settimeout(20)
    got = b""
    while True:
        data = sock.recv(65536)
        if not data:
            return got
        got += data


def serve(ports, log_path):
    with open(ports, encoding="utf-8") as f:
        plan = json.load(f)
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    keys, select, state = read_keys(plan["pki"]), selectors.DefaultSelector(), {}
    for number, case in enumerate(plan["cases"]):
        ders = ders_of(os.path.join(plan["pki"], case["chain"] + ".pem"))
        state[case["port"]] = (context_of(plan["pki"], keys[case["chain"]], case, number), ders)
        for address in [case["host"]] if case["host"] in NEIGHBOURS else [FAR]:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listener = socket.create_server((address, case["port"]), family=family)
            select.register(listener, selectors.EVENT_READ, case["port"])

    def one(sock, port):
        context, ders = state[port]
        try:
            sock.settimeout(20)
            if context is None:
                # A handshake message in the clear that is no alert would be the second flight.
                if raw_server(sock, ders)[:1] not in (b"", b"\x15"):
                    os.write(log, b"%d flight\n" % port)
                return
            with context.wrap_socket(sock, server_side=True) as tls:
                if tls.recv(4096):
                    os.write(log, b"%d request\n" % port)
                    tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            sock.close()

    print("ready", flush=True)
    while True:
        for key, _ in select.select():
            sock, _ = key.fileobj.accept()
            threading.Thread(target=one, args=(sock, key.data), daemon=True).start()


# --- The Python client ---------------------------------------------------------------------------

def attempt(case):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(CIPHERS)
    host = case["host"]
    try:
        with socket.create_connection((host, case["port"]), 20) as raw:
            name = None if host in NEIGHBOURS or host == "192.0.2.1" else host
            with context.wrap_socket(raw, server_hostname=name) as sock:
                sock.sendall((REQUEST % bracketed(host)).encode())
                return "ok" if sock.recv(15) == b"HTTP/1.1 200 OK" else "no answer"
    except ssl.SSLCertVerificationError as e:
        return "certificate %d" % e.verify_code
    except ssl.SSLError as e:
        return "ssl %s" % e.reason
    except OSError as e:
        return "os %s" % e.errno


def try_cases(path):
    with open(path, encoding="utf-8") as f:
        cases = json.load(f)
    json.dump({case["name"]: attempt(case) for case in cases}, sys.stdout)


# --- TLS that nobody hooks: the least that is a client --------------------------------------------

def opaque(case):
    name = case["host"].encode()
    extensions = b"".join((
        b"\x00\x00" + vector(2, vector(2, b"\x00" + vector(2, name))),
        b"\x00\x0a" + vector(2, vector(2, b"\x00\x17")),
        b"\x00\x0b" + vector(2, vector(1, b"\x00")),
        b"\x00\x0d" + vector(2, vector(2, b"\x04\x03\x04\x01"))))
    hello = b"\x03\x03" + os.urandom(32) + vector(1, b"") + vector(2, b"\xc0\x2b\x00\xff") + \
        vector(1, b"\x00") + vector(2, extensions)
    with socket.create_connection((case["host"], case["port"]), 20) as sock:
        sock.sendall(b"\x16\x03\x01" + vector(2, b"\x01" + vector(3, hello)))
        stream = b""
        while not stream.endswith(b"\x0e\x00\x00\x00"):     # server hello done
            data = sock.recv(65536)
            if not data:
                return "closed"
            stream += data
        try:
            sock.sendall(b"\x16\x03\x03" + vector(2, b"\x10" + vector(3, vector(1, b"\x04" + bytes(64)))))
        except PermissionError:
            return "EACCES"
        return "sent"


# --- All of it -----------------------------------------------------------------------------------

def run(*args):
    subprocess.run(args, check=True)


def network(ipv6):
    """The far side's process (it waits for its orders on standard input), and a cable to it."""
    far = subprocess.Popen(["unshare", "-n", sys.executable, "-c",
                            "import os, sys; print('up', flush=True); line = input(); "
                            "os.execv(sys.executable, [sys.executable] + line.split())"],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    far.stdout.readline()
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "c0", "type", "veth", "peer", "name", "w0", "netns", str(far.pid))
    near = ["addr add 192.0.2.9/24 dev c0", "link set c0 up", "route add 198.51.100.0/24 via 192.0.2.1"]
    there = ["link set lo up", "addr add 192.0.2.1/24 dev w0", "addr add 192.0.2.2/24 dev w0",
             "addr add %s/32 dev lo" % FAR, "link set w0 up"]
    if ipv6:
        near.insert(0, "addr add 2001:db8::9/64 dev c0 nodad")
        there.insert(1, "addr add 2001:db8::1/64 dev w0 nodad")
    for line in there:
        run("nsenter", "-t", str(far.pid), "-n", "ip", *line.split())
    for line in near:
        run("ip", *line.split())
    return far


def policy(work, cases, store, platform, pki):
    def digest(name):
        with open(os.path.join(pki, name + ".sha256"), encoding="ascii") as f:
            return f.read().strip()

    cert = "trust_dir = \"%s\";" % os.path.join(pki, "store" if store == "-" else store)
    if store.startswith("extra"):
        cert = "trust_dir = \"%s\"; extra_ca = [ \"%s/root.crt\" ];" % (
            os.path.join(pki, "store-empty" if store == "extra-alone" else "store"), pki)
    elif store.startswith("distrust-"):
        cert = "trust_dir = \"%s/store\"; distrust = [ \"%s\" ];" % (pki, digest(store[9:]))
    names = sorted({c["host"] for c in cases if c["host"] not in NEIGHBOURS})
    path = os.path.join(work, "%s-%s.cfg" % (platform, store.strip("-") or "store"))
    with open(path, "w", encoding="utf-8") as f:
        f.write("appid = \"wx0123456789abcdef\"; platform = \"%s\"; cert: { %s };\n"
                "domains: { request = [ %s ]; };\n" %
                (platform, cert, ", ".join("\"https://%s\"" % n for n in names)))
    return path


class Run:
    def __init__(self, work):
        self.work, self.wrong, self.done, self.wanted = work, 0, {}, set()

    def leashed(self, config, command, text=""):
        events = os.path.join(self.work, "events")
        if os.path.exists(events):
            os.unlink(events)
        env = dict(os.environ, LD_PRELOAD=os.path.join(BUILD, "libnetleash.so"), NETLEASH_POLICY=config,
                   NETLEASH_EVENTS=events, OPENSSL_CONF=os.path.join(self.work, "openssl.cnf"))
        done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace",
                              input=text, timeout=120, check=False)
        found = {}
        if os.path.exists(events):
            with open(events, encoding="utf-8") as f:
                for event in map(json.loads, f):
                    if event.get("port", 0) >= FIRST_PORT:
                        found.setdefault(event["port"], []).append(event)
        return done, found

    def differs(self, client, platform, case, what):
        self.wrong += 1
        print("%s, %s, %s (port %d): %s instead of %s" % (
            client, platform, case["name"], case["port"], what, case["expected"][platform]))

    def judge(self, client, platform, case, passed, code, events, lines):
        """@code: what the client's library said, None if it says none."""
        self.done[client] = self.done.get(client, 0) + 1
        expected = case["expected"][platform]
        mine = events.get(case["port"], [])
        refused = [e for e in mine if e["event"] == "refused"]
        accepted = [e for e in mine if e["event"] == "connect" and "issuer" in e.get("tls", {})]
        if expected == "0":
            self.wanted.add(case["port"])
            if not passed or refused or not accepted:
                self.differs(client, platform, case, "%s %s %s" % (passed, refused, len(accepted)))
            return
        number, rule = expected.split(":")
        rule = RULES.get(rule, "certificate." + rule)
        if passed or accepted:
            self.differs(client, platform, case, "passed")
            return
        if case["name"] in UNREADABLE:
            return
        said = "%s, platform %s" % (rule, platform)
        if len(refused) != 1 or refused[0]["rule"] != said or (
                rule != "tls.version" and "(%s): " % number not in refused[0]["hint"] and
                not (number == "50" and refused[0]["hint"])):
            self.differs(client, platform, case, [(e["rule"], e["hint"]) for e in refused])
        elif code is not None and code != int(number) and rule != "tls.version":
            self.differs(client, platform, case, "library's code %s" % code)
        elif sum(":%d (" % case["port"] in line or ":%d refused" % case["port"] in line
                 for line in lines) != 1:
            self.differs(client, platform, case, "lines: %s" % lines)


def by_python(state, config, cases, platform):
    path = os.path.join(state.work, "cases.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(cases, f)
    done, events = state.leashed(config, [sys.executable, os.path.realpath(__file__), "try", path])
    lines = [line for line in done.stderr.splitlines() if line.startswith("netleash: ")]
    try:
        results = json.loads(done.stdout)
    except ValueError:
        sys.exit("the client failed: %s %s" % (done.stdout, done.stderr))
    for case in cases:
        result = results[case["name"]]
        code = int(result.split()[1]) if result.startswith("certificate ") else None
        if result.startswith("os "):
            state.differs("python", platform, case, result)
        elif result != "ok" and code is None and case["name"] not in UNREADABLE and \
                ":tls-version" not in case["expected"][platform]:
            state.differs("python", platform, case, result)
        state.judge("python", platform, case, result == "ok", code, events, lines)


def by_command(state, client, config, case, platform):
    host, port = case["host"], str(case["port"])
    url = "https://%s:%s/" % (bracketed(host), port)
    commands = {
        "curl -k": ["curl", "-sSk", "-m", "20", "--ciphers", CIPHERS, "--curves", CURVES, url],
        "wget": ["wget", "-nv", "-T", "20", "-t", "1", "-O", "/dev/null", "--no-check-certificate", url],
        "s_client": ["openssl", "s_client", "-quiet", "-connect", host + ":" + port, "-servername", host],
    }
    done, events = state.leashed(config, commands[client], REQUEST % bracketed(host))
    lines = [line for line in done.stderr.splitlines() if line.startswith("netleash: ")]
    expected, passed = case["expected"][platform], done.returncode == 0
    if client == "s_client":
        passed = "certificate verify failed" not in done.stderr
    if client == "curl -k" and expected != "0" and case["name"] not in UNREADABLE and \
            done.returncode != (35 if ":tls-version" in expected else 60):
        state.differs(client, platform, case, "exit status %d: %s" % (done.returncode, done.stderr))
    if client == "wget" and expected != "0" and done.returncode not in (4, 5):
        state.differs(client, platform, case, "exit status %d: %s" % (done.returncode, done.stderr))
    state.judge(client, platform, case, passed, None, events, lines)


SAMPLE = ["good", "leaf-expired", "not-yet", "days-398-1s", "leaf-only", "reversed", "selfsigned", "unknown-root",
          "other-host", "wildcard", "ip", "ip-other", "eku-client", "constraint-excluded", "key-rsa4096",
          "signature-broken"]


def everything(pki, expected, work):
    cases, skipped = read_cases(expected)
    ipv6 = os.path.exists("/proc/net/if_inet6")
    state = Run(work)
    with open(os.path.join(work, "openssl.cnf"), "w", encoding="ascii") as f:
        f.write("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMinProtocol = TLSv1\n"
                "Groups = %s\nSignatureAlgorithms = ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:"
                "rsa_pss_pss_sha256:rsa_pss_rsae_sha256:RSA+SHA256:RSA+SHA384:RSA+SHA512:DSA+SHA256:"
                "ECDSA+SHA1:RSA+SHA1\n" % CURVES)
    run("openssl", "genpkey", "-quiet", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out",
        os.path.join(pki, "dh.pem"))
    with open("/etc/hosts", "a", encoding="ascii") as f:
        f.writelines("%s %s\n" % (FAR, n) for n in sorted({c["host"] for c in cases} - set(NEIGHBOURS)))
    with open(os.path.join(work, "plan.json"), "w", encoding="utf-8") as f:
        json.dump({"pki": pki, "cases": cases}, f)
    log = os.path.join(work, "arrived")
    far = network(ipv6)
    os.environ["OPENSSL_CONF"] = os.path.join(work, "openssl.cnf")
    far.stdin.write("%s serve %s %s\n" % (os.path.realpath(__file__), os.path.join(work, "plan.json"), log))
    far.stdin.close()
    if far.stdout.readline() != "ready\n":
        sys.exit("the far side did not start")
    try:
        stores = sorted({c["store"] for c in cases})
        for platform in PLATFORMS:
            for store in stores:
                some = [c for c in cases if c["store"] == store]
                by_python(state, policy(work, some, store, platform, pki), some, platform)
        for case in cases:
            config = policy(work, [case], case["store"], "android", pki)
            by_command(state, "curl -k", config, case, "android")
            if case["name"] in UNREADABLE:
                done, events = state.leashed(config, [
                    sys.executable, "-c", "import sys; sys.path.insert(0, %r); import pki_real; "
                    "print(pki_real.opaque(%r))" % (HERE, case)])
                refused = [e for e in events.get(case["port"], []) if e["event"] == "refused"]
                rule = "certificate." + case["expected"]["android"].split(":")[1] + ", platform android"
                state.done["opaque"] = state.done.get("opaque", 0) + 1
                if done.stdout != "EACCES\n" or [e["rule"] for e in refused] != [rule]:
                    state.differs("opaque", "android", case, done.stdout + done.stderr)
            for client in ("wget", "s_client"):
                if case["name"] in SAMPLE and not (client == "s_client" and case["host"] in NEIGHBOURS):
                    by_command(state, client, config, case, "android")
    finally:
        far.kill()
        far.wait()
    # From the far side: where nobody may pass, nothing came; where somebody may, it did.
    with open(log, encoding="ascii") as f:
        arrived = {int(line.split()[0]): line.split()[1] for line in f}
    for case in cases:
        if (case["port"] in state.wanted) != (case["port"] in arrived):
            state.differs("far side", "android", case, arrived.get(case["port"], "nothing came"))
    print("%d of %d lines; %s" % (len(cases), len(cases) + len(skipped), ", ".join(
        "%s %d" % pair for pair in sorted(state.done.items()))))
    for reason in sorted({r for _, r in skipped}):
        print("not here: %d, %s" % (sum(r == reason for _, r in skipped), reason))
    print("%d differences" % state.wrong)
    return 1 if state.wrong else 0


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    elif sys.argv[1] == "try":
        try_cases(sys.argv[2])
    else:
        sys.exit(everything(*[os.path.realpath(path) for path in sys.argv[2:5]]))
