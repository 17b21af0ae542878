# SPDX-License-Identifier: MIT
"""The lab's name server: a question in, a log entry and an answer out (RFC 1035, 9460)."""

import ipaddress
import struct

import hosts

TYPE_NAMES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA",
              33: "SRV", 64: "SVCB", 65: "HTTPS", 255: "ANY"}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP = 0, 1, 2, 3, 4
TTL_S = 60

rebind_count = 0


def read_name(data, pos):
    """The name at @pos as text and the place after it. Questions hold no compression."""
    labels = []
    while True:
        n = data[pos]
        pos += 1
        if n == 0:
            return ".".join(labels), pos
        if n > 63 or pos + n > len(data):
            raise ValueError("bad label")
        labels.append(data[pos:pos + n].decode("latin-1"))
        pos += n


def encode_name(name):
    out = b""
    for label in name.split("."):
        out += bytes([len(label)]) + label.encode("ascii")
    return out + b"\0"


def rdata(rtype, value):
    if rtype in (hosts.A, hosts.AAAA):
        return ipaddress.ip_address(value).packed
    if rtype in (hosts.CNAME, hosts.PTR):
        return encode_name(value)
    alpn, hint = value                                  # HTTPS: priority 1, target "."
    alpn = bytes([len(alpn)]) + alpn.encode("ascii")
    return (struct.pack("!HBHH", 1, 0, 1, len(alpn)) + alpn +
            struct.pack("!HH", 4, 4) + ipaddress.ip_address(hint).packed)


def lookup(name, rtype):
    """(rcode, [(owner, type, ttl, value)]) for the lower-case @name."""
    global rebind_count
    records = []

    if name in hosts.SERVFAIL:
        return SERVFAIL, []
    for _ in range(8):                                  # a CNAME loop ends here
        if name not in hosts.ZONE:
            return (NOERROR if records else NXDOMAIN), records
        if name == "rebind.example.com":
            if rtype == hosts.A:
                value = hosts.REBIND[rebind_count % len(hosts.REBIND)]
                rebind_count += 1
                records.append((name, hosts.A, 0, value))
            return NOERROR, records
        entries = hosts.ZONE[name]
        alias = [v for t, v in entries if t == hosts.CNAME]
        if alias and rtype != hosts.CNAME:
            records.append((name, hosts.CNAME, TTL_S, alias[0]))
            name = alias[0]
            continue
        records += [(name, t, TTL_S, v) for t, v in entries if t == rtype]
        return NOERROR, records
    return SERVFAIL, []


def answer(data, udp):
    """(facts for the log, answer or None, seconds to wait before it) for one message."""
    if len(data) < 12:
        return {"malformed": data.hex()}, None, 0
    ident, flags, questions, _, _, extra = struct.unpack("!6H", data[:12])
    try:
        asked, pos = read_name(data, 12)
        rtype, rclass = struct.unpack("!HH", data[pos:pos + 4])
    except (ValueError, IndexError, struct.error):
        return {"malformed": data.hex()}, struct.pack("!6H", ident, 0x8001, 0, 0, 0, 0), 0
    pos += 4
    room = 65535
    opt = b""
    if udp:
        room = 512
    if extra and data[pos:pos + 3] == b"\0\0\x29":      # EDNS: the asker's own size
        if udp:
            room = max(512, struct.unpack("!H", data[pos + 3:pos + 5])[0])
        opt = struct.pack("!BHHIH", 0, 41, 4096, 0, 0)

    name = asked.lower()
    facts = {"name": name, "asked": asked, "type": TYPE_NAMES.get(rtype, str(rtype)), "id": ident}
    if flags >> 11 & 15 or questions != 1 or rclass != 1:
        rcode, records = NOTIMP, []
    else:
        rcode, records = lookup(name, rtype)
    body = b""
    for owner, t, ttl, value in records:
        data_t = rdata(t, value)
        owner_name = b"\xc0\x0c" if owner == name else encode_name(owner)
        body += owner_name + struct.pack("!HHIH", t, 1, ttl, len(data_t)) + data_t
    question = data[12:pos]
    count, cut = len(records), 0
    if 12 + len(question) + len(body) + len(opt) > room:
        count, body, cut = 0, b"", 0x0200               # TC: ask again over TCP
    head = struct.pack("!6H", ident, 0x8480 | cut | flags & 0x0100 | rcode, 1, count, 0,
                       1 if opt else 0)
    if name in hosts.DROP:
        return facts, None, 0
    return facts, head + question + body + opt, hosts.SLOW_S if name == "slow.example.com" else 0
