# SPDX-License-Identifier: MIT
"""The test network as data: which host has which address, serves what, and is called how.

Every address is from a documentation, private or otherwise special range; all of them exist
only inside the namespaces of one `lab run`.
"""

CLIENT4, CLIENT6, CLIENT_LL = "192.0.2.10", "2001:db8:1::10", "fe80::10"
CLIENT1 = "198.18.5.10"                     # on lan1, a second interface
ROUTER4, ROUTER6 = "192.0.2.1", "2001:db8:1::1"
PEER4, PEER6, PEER_LL = "192.0.2.20", "2001:db8:1::20", "fe80::20"
CLIENT_MAC, FAR_MAC = "02:00:00:00:00:10", "02:00:00:00:00:20"
DNS, DNS2 = "198.51.100.53", "198.51.100.54"
EVIL4, EVIL6 = "203.0.113.66", "2001:db8:66::66"
MANY = ["198.51.100.%d" % n for n in range(101, 121)]
BIG = ["198.51.100.%d" % n for n in range(160, 220)]        # named, not there: for a long answer

# Addresses of the far side by interface; the rest of its addresses live on its loopback.
ON_W0 = [ROUTER4 + "/24", PEER4 + "/24", ROUTER6 + "/64", PEER6 + "/64", PEER_LL + "/64"]
ON_W1 = ["198.18.5.1/24", "198.18.5.20/24"]

# label -> addresses, {port: service}; the label is the name of its log.
# Services: http, https (both speak WebSocket too), tls11 tls12 tls13 (https, that version only),
# h2 (https that prefers HTTP/2), echo, banner (speaks first), sink (reads, never answers), full
# (nobody accepts: the queue is full after one), dns.
HOSTS = {
    "web": (["198.51.100.11", "2001:db8:2::11"],
            {80: "http", 443: "https", 8080: "https", 8443: "https",
             4431: "tls11", 4432: "tls12", 4433: "tls13", 4434: "sink", 4435: "full", 4436: "h2"}),
    "play": (["198.51.100.12"], {80: "http", 443: "https", 8443: "https"}),
    "raw": (["198.51.100.13"], {443: "https", 2525: "banner", 7000: "echo", 9000: "echo",
                                9100: "sink"}),
    "cdn": (["198.51.100.14", "2001:db8:2::14"], {80: "http", 443: "https"}),
    "v6only": (["2001:db8:2::15"], {80: "http", 443: "https", 9000: "echo"}),
    "up": (["198.51.100.16"], {443: "https"}),
    "other": (["198.51.100.17"], {80: "http", 443: "https"}),
    "list": (["198.51.100.18"], {443: "https"}),
    "closed": (["198.51.100.19"], {}),
    "dns": ([DNS], {53: "dns"}),
    "dns2": ([DNS2], {53: "dns"}),
    "many": (MANY, {443: "https"}),
    "peer": ([PEER4, PEER6, PEER_LL],
             {80: "http", 8080: "http", 443: "https", 7000: "echo", 9000: "echo", 2525: "banner"}),
    "peer1": (["198.18.5.20"], {80: "http", 9000: "echo"}),
    "router": ([ROUTER4, ROUTER6, "198.18.5.1"], {}),
    "priv": (["10.99.0.5"], {80: "http", 443: "https", 9000: "echo"}),
    "cgnat": (["100.64.9.9"], {80: "http", 443: "https", 9000: "echo"}),
    "meta": (["169.254.169.254"], {80: "http", 443: "https", 9000: "echo"}),
    "evil": ([EVIL4, EVIL6], {53: "dns", 80: "http", 443: "https", 8443: "https", 7000: "echo",
                              9000: "echo"}),
    "shared": (["203.0.113.77"], {80: "http", 443: "https"}),
}

# label -> UDP ports that answer with what they got. 443: whoever tries QUIC is seen.
UDP_ECHO = {
    "raw": [443, 9001], "web": [443], "peer": [9001], "peer1": [9001], "evil": [443, 9001],
    "priv": [9001], "cgnat": [9001], "meta": [9001], "play": [9001],
}

# Datagrams to everybody: received and logged by the host "cast", not answered.
CAST = [("192.0.2.255", 9001), ("255.255.255.255", 9001), ("239.1.2.3", 9001),
        ("224.0.0.251", 5353), ("239.255.255.250", 1900), ("ff02::1", 9001), ("ff02::fb", 5353)]

BLACKHOLE = "198.51.100.20"                 # swallows packets: a connect() that hangs

A, CNAME, PTR, AAAA, HTTPS = 1, 5, 12, 28, 65
# name -> [(type, value)]
ZONE = {
    "api.example.com": [(A, "198.51.100.11")],
    "a.api.example.com": [(A, "198.51.100.11")],
    "www.example.com": [(A, "198.51.100.11")],
    "example.com": [(A, "198.51.100.11")],
    "play.example.com": [(A, "198.51.100.12")],
    "up.example.com": [(A, "198.51.100.16")],
    "cdn.example.com": [(A, "198.51.100.14"), (AAAA, "2001:db8:2::14"),
                        (HTTPS, ("http/1.1", "198.51.100.14"))],
    "dual.example.com": [(A, "198.51.100.11"), (AAAA, "2001:db8:2::11")],
    "raw.example.com": [(A, "198.51.100.13")],
    "udp.example.com": [(A, "198.51.100.13")],
    "list.example.com": [(A, "198.51.100.18")],
    "closed.example.com": [(A, "198.51.100.19")],
    "blackhole.example.com": [(A, BLACKHOLE)],
    "lan.example.com": [(A, PEER4)],
    "lan6.example.com": [(AAAA, PEER6)],
    "priv.example.com": [(A, "10.99.0.5")],
    "cgnat.example.com": [(A, "100.64.9.9")],
    "linklocal.example.com": [(A, "169.254.169.254")],
    "loop.example.com": [(A, "127.0.0.1")],
    "loop6.example.com": [(AAAA, "::1")],
    "mapped.example.com": [(AAAA, "::ffff:127.0.0.1")],
    "mapped-web.example.com": [(AAAA, "::ffff:198.51.100.11")],
    "zero.example.com": [(A, "0.0.0.0")],
    "own.example.com": [(A, CLIENT4)],
    "own1.example.com": [(A, CLIENT1)],
    "mcast.example.com": [(A, "239.1.2.3")],
    "multi.example.com": [(A, "198.51.100.11"), (A, "127.0.0.1"), (A, "198.51.100.12")],
    "cname.example.com": [(CNAME, "other.example.org")],
    "other.example.org": [(A, "198.51.100.17")],
    "cname-evil.example.com": [(CNAME, "evil.example.net")],
    "cnameloop.example.com": [(CNAME, "cnameloop2.example.com")],
    "cnameloop2.example.com": [(CNAME, "cnameloop.example.com")],
    "xn--bcher-kva.example.com": [(A, "198.51.100.11")],
    "many.example.com": [(A, a) for a in MANY],
    "big.example.com": [(A, a) for a in BIG],
    "v6only.example.com": [(AAAA, "2001:db8:2::15")],
    "slow.example.com": [(A, "198.51.100.11")],         # answered after SLOW_S
    "rebind.example.com": [],                           # REBIND, one after the other
    "shared-a.example.com": [(A, "203.0.113.77")],
    "shared-b.example.com": [(A, "203.0.113.77")],
    "evil.example.net": [(A, EVIL4), (AAAA, EVIL6)],
    "evil4.example.net": [(A, EVIL4)],
    "expired.example.com": [(A, "198.51.100.11")],
    "selfsigned.example.com": [(A, "198.51.100.11")],
    "wrongname.example.com": [(A, "198.51.100.11")],
    "leafonly.example.com": [(A, "198.51.100.11")],
    "api.example.com.corp.example": [(A, EVIL4)],       # the search domain's trap
    "short.corp.example": [(A, "198.51.100.11")],
    "11.100.51.198.in-addr.arpa": [(PTR, "api.example.com")],
}
SLOW_S = 2.0
REBIND = ["198.51.100.11", "127.0.0.1"]
SERVFAIL = {"refused.example.com"}
DROP = {"drop.example.com"}                             # never answered

# In /etc/hosts alone, so the name server must not be asked.
HOSTS_FILE = {"hosts.example.com": "198.51.100.11", "hosts-evil.example.net": EVIL4}
SEARCH = "corp.example"

# Server name -> the certificate pki.sh made for it; any other name gets the host's usual one.
CERTS = {n + ".example.com": n for n in
         ("shared-a", "shared-b", "expired", "selfsigned", "wrongname", "leafonly")}
CERTS.update({"evil.example.net": "evil", "evil4.example.net": "evil"})
CERT_OF_HOST = {"evil": "evil", "shared": "shared-a"}


def label_of(address):
    """The host that has @address, or None."""
    for label, (addresses, _) in HOSTS.items():
        if address in addresses:
            return label
    return None
