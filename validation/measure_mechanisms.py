#!/usr/bin/env python3
"""Measures mechanisms of a real Redis/Valkey server: a line of JSON for each case, as `capsim validate` reads them.

    measure_mechanisms.py --server /usr/bin/redis-server --label redis-7.0.15-debian mechanisms.cases.json > out.jsonl
    measure_mechanisms.py ... --only purge mechanisms.cases.json       # cases whose name contains this

The cases are a JSON list of objects with `name`, `kind`, `config` (directives) and the kind's own parameters; kinds are the
functions `run_...` below.  Every case starts a server of its own on loopback (`--port`, default 6801; a replica takes the next
port).  Needs Python 3.9 and nothing else.  Sizes are bytes, times seconds, rates a second; `t` counts from the begin of
writing.  `docs/validation.md` says what each figure is.
"""
import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time


# ---------------------------------------------------------------- connections
class Conn:
    """A connection that speaks RESP2."""

    def __init__(self, port, receive_buffer=None):
        self.s = socket.socket()
        if receive_buffer:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.s.connect(("127.0.0.1", port))
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""

    def _more(self):
        got = self.s.recv(1 << 18)
        if not got:
            raise ConnectionError("closed")
        self.buf += got

    def reply(self):
        while b"\r\n" not in self.buf:
            self._more()
        line, self.buf = self.buf.split(b"\r\n", 1)
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            n = int(rest)
            if n < 0:
                return None
            while len(self.buf) < n + 2:
                self._more()
            value, self.buf = self.buf[:n], self.buf[n + 2:]
            return value
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        raise ValueError(line)

    def send(self, data):
        self.s.sendall(data)

    def call(self, *args):
        self.send(encode(*args))
        reply = self.reply()
        if isinstance(reply, RuntimeError):
            raise reply
        return reply

    def pump(self, commands, batch=256):
        for at in range(0, len(commands), batch):
            part = commands[at:at + batch]
            self.send(b"".join(part))
            for _ in part:
                reply = self.reply()
                if isinstance(reply, RuntimeError):
                    raise reply

    def info(self, section="everything"):
        return fields(self.call("INFO", section))

    def close(self):
        self.s.close()


def fields(text):
    pairs = (line.partition(":") for line in text.decode().split("\r\n"))
    return {key: number(value) for key, _, value in pairs if value}


def number(text):
    try:
        value = float(text)
        return int(value) if value.is_integer() else value
    except ValueError:
        return text


def encode(*args):
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        arg = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(arg), arg))
    return b"".join(parts)


class Server:
    def __init__(self, binary, config, port):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise SystemExit(f"port {port} is taken")
        self.port, self.dir = port, tempfile.mkdtemp(prefix="mechanisms-")
        args = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", self.dir, "--daemonize", "no",
                "--logfile", os.path.join(self.dir, "log")]
        for key, value in {"save": "", "appendonly": "no", **(config or {})}.items():
            args += ["--" + key, str(value)]
        self.process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                self.c = Conn(port)
                if self.c.call("PING") == "PONG":
                    return
            except (OSError, RuntimeError):
                time.sleep(0.05)
        raise SystemExit("the server did not start: " + open(os.path.join(self.dir, "log")).read())

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


# ---------------------------------------------------------------- keys and values
NOISE = bytes(33 + b % 93 for b in random.Random(7).randbytes(1 << 21))


def key_name(i, length):
    return b"k" + str(i).encode().rjust(length - 1, b"0")


def blob(n, i):
    """`n` printable bytes that do not compress; the first is a letter, so that it is no integer."""
    at = (i * 7919) % (len(NOISE) - n)
    return b"v" + NOISE[at:at + n - 1]


def set_key(case, i, salt=0):
    return encode("SET", key_name(i, case["key_len"]), blob(case["size"], i + salt))


def written(case):
    """Ids of the keys that are written over: in a row, or at random (`order`)."""
    draw = random.Random(case.get("seed", 1))
    i = 0
    while True:
        yield draw.randrange(case["n"]) if case["order"] == "random" else i % case["n"]
        i += 1


def load(c, case):
    for at in range(0, case["n"], 4000):
        c.pump([set_key(case, i) for i in range(at, min(case["n"], at + 4000))])


# ---------------------------------------------------------------- readings
def pick(info, names, t):
    return {"t": round(t, 3), **{name: info[name] for name in names if name in info}}


def settle(c, limit=10):
    """Until `used_memory` has stood still for 0.6 s."""
    last, same, end = None, 0, time.time() + limit
    while time.time() < end and same < 6:
        used = c.info("memory")["used_memory"]
        same, last = (same + 1, used) if used == last else (0, used)
        time.sleep(0.1)


def slowed(c, case):
    """A child takes `save_seconds`: a positive delay sleeps so many microseconds a key, a negative one once in so many keys."""
    every = case["n"] * 60e-6 / case["save_seconds"]
    delay = -round(every) if every >= 2 else int(case["save_seconds"] * 1e6 / case["n"])
    c.call("CONFIG", "SET", "rdb-key-save-delay", delay)


def second_begun(c):
    """How far the second of the server's clock is gone."""
    return int(c.call("TIME")[1]) / 1e6


def thin(timeline, names, every=0.25):
    """What a record keeps of a timeline: `names` of a row each `every` seconds, of those around a change of a flag
    (`..._in_progress`, `connected_slaves`, `state`, `link`), and of the one in which each name is largest."""
    flags = [n for n in names if n.endswith("in_progress") or n in ("connected_slaves", "state", "link")]
    keep, last = set(), -1.0
    for i, row in enumerate(timeline):
        if row["t"] >= last + every:
            keep.add(i)
            last = row["t"]
        if i and any(row.get(n) != timeline[i - 1].get(n) for n in flags):
            keep |= {i - 1, i}
    for name in names:
        if timeline and isinstance(timeline[0].get(name), int):
            keep.add(max(range(len(timeline)), key=lambda i: timeline[i].get(name, 0)))
    return [{n: timeline[i][n] for n in ["t", *names] if n in timeline[i]} for i in sorted(keep)]


# What records keep of a kind's timeline.
KEPT = {"aof": ["used_memory", "mem_aof_buffer", "aof_current_size", "aof_rewrite_in_progress"],
        "clients": ["used_memory", "mem_clients_normal", "evicted_clients", "sent"],
        "soft-limit": ["used_memory", "mem_clients_normal", "sent"],
        "full-sync": ["used_memory", "mem_total_replication_buffers", "rdb_bgsave_in_progress", "connected_slaves", "state", "link"]}


# ---------------------------------------------------------------- kinds
AOF = ["used_memory", "used_memory_peak", "mem_aof_buffer", "aof_current_size", "aof_base_size", "aof_rewrite_in_progress",
       "aof_last_cow_size", "aof_delayed_fsync"]


def run_aof(case, srv, _):
    """Keys are loaded into a server with an append-only file, then written over (`order` random or sequential) in bursts (one pipeline each) at `rate` for
    `duration`; BGREWRITEAOF at `rewrite_at`, its child slowed to `save_seconds`.  Readings stand at the end of a burst, in the
    same pipeline: what that burst appended is still in the buffer."""
    c = srv.c
    load(c, case)
    settle(c)
    slowed(c, case)
    before, timeline, done, begun, last, ids = c.info(), [], 0, None, 0.0, written(case)
    t0 = time.time()
    while time.time() - t0 < case["duration"]:
        now = time.time() - t0
        if begun is None and now >= case["rewrite_at"]:
            c.call("BGREWRITEAOF")
            begun = round(time.time() - t0, 3)
        if (done + case["burst"]) / case["rate"] <= now:
            commands = [set_key(case, next(ids), 1) for _ in range(case["burst"])]
            reads = now >= last + 0.05
            c.send(b"".join(commands + ([encode("INFO", "everything")] if reads else [])))
            for _ in commands:
                c.reply()
            if reads:
                timeline.append(pick(fields(c.reply()), AOF, now))
                last = now
            done += case["burst"]
        else:
            time.sleep(0.001)
    wall = time.time() - t0
    time.sleep(1.2)
    return {"before": pick(before, AOF, 0), "begun": begun, "writes": done, "wall": round(wall, 3),
            "achieved_rate": done / wall, "largest_mem_aof_buffer": max(row["mem_aof_buffer"] for row in timeline),
            "timeline": timeline, "end": pick(c.info(), AOF, time.time() - t0)}


CLIENTS = ["used_memory", "used_memory_peak", "mem_clients_normal", "evicted_clients", "total_commands_processed",
           "client_output_buffer_limit_disconnections"]


def listed(c):
    """`CLIENT LIST`: name to (omem, tot-mem)."""
    rows = [dict(f.split("=", 1) for f in line.split(" ") if "=" in f) for line in c.call("CLIENT", "LIST").decode().splitlines()]
    return {row["name"]: (int(row["omem"]), int(row["tot-mem"])) for row in rows if row.get("name")}


def watch(states, here, sent, now):
    """Notes for each client when its buffer first has grown, its last sight and when it was gone."""
    for name, state in states.items():
        if name in here:
            omem, total = here[name]
            if "grown" not in state and omem > 60_000:
                state["grown"] = {"t": round(now, 3), "sent": sent[state["group"]], "omem": omem}
            state["last"] = {"t": round(now, 3), "sent": sent[state["group"]], "omem": omem, "tot_mem": total}
        elif "gone" not in state:
            state["gone"] = round(now, 3)


def run_clients(case, srv, _):
    """Subscribers that never read, in `groups` (each: `subscribers`, `message` bytes, `rate`), on channels `ch0`, `ch1`, …;
    `maxmemory-clients` evicts the largest.  Receive buffers of 4 KB: the kernel holds little, and what it holds is recorded as
    messages sent and `omem` when a buffer first has grown."""
    c, states, held = srv.c, {}, []
    c.call("CLIENT", "NO-EVICT", "ON")
    for g, group in enumerate(case["groups"]):
        for i in range(group["subscribers"]):
            sub = Conn(srv.port, 4096)
            name = f"g{g}-{i}"
            sub.call("CLIENT", "SETNAME", name)
            sub.call("SUBSCRIBE", f"ch{g}")
            held.append(sub)
            states[name] = {"group": g}
    before, timeline, last = c.info(), [], 0.0
    sent = [0] * len(case["groups"])
    phase, t0 = second_begun(c), time.time()
    messages = [encode("PUBLISH", f"ch{g}", blob(group["message"], g)) for g, group in enumerate(case["groups"])]
    while time.time() - t0 < case["duration"]:
        now, due = time.time() - t0, []
        for g, group in enumerate(case["groups"]):
            more = min(int(now * group["rate"]) - sent[g], 200)
            if more > 0:
                due.append((g, more))
                sent[g] += more
        if due:
            c.pump([messages[g] for g, more in due for _ in range(more)])
        if now >= last + 0.05:
            watch(states, listed(c), sent, now)
            timeline.append({**pick(c.info(), CLIENTS, now), "sent": list(sent)})
            last = now
        time.sleep(0.002)
    wall = time.time() - t0
    return {"before": pick(before, CLIENTS, 0), "phase": phase, "sent": sent, "wall": round(wall, 3), "clients": states,
            "largest_mem_clients_normal": max(row["mem_clients_normal"] for row in timeline),
            "timeline": timeline, "end": pick(c.info(), CLIENTS, wall)}


def run_soft_limit(case, srv, _):
    """One client that never reads, until it is disconnected or `duration` is over.  `class` normal: it sends GET of one value of
    `size` bytes at `rate`; pubsub: it is subscribed, messages of `size` bytes are published at `rate`.  `phase` is how far the
    second of the server's clock was gone at `t` 0: a soft limit counts whole seconds."""
    c = srv.c
    reader = Conn(srv.port, 4096)
    reader.call("CLIENT", "SETNAME", "reader")
    normal = case["class"] == "normal"
    if normal:
        c.call("SET", "k", blob(case["size"], 1))
        command = encode("GET", "k")
    else:
        reader.call("SUBSCRIBE", "ch")
        command = encode("PUBLISH", "ch", blob(case["size"], 1))
    states, timeline, sent, dropped, last = {"reader": {"group": 0}}, [], 0, None, 0.0
    before, phase, t0 = c.info(), second_begun(c), time.time()
    while time.time() - t0 < case["duration"] and not dropped:
        now = time.time() - t0
        due = min(int(now * case["rate"]) - sent, 500)
        if due > 0:
            try:
                if normal:
                    reader.send(command * due)
                else:
                    c.pump([command] * due)
            except OSError:
                pass
            sent += due
        if now >= last + 0.05:
            watch(states, listed(c), [sent], now)
            timeline.append({**pick(c.info(), CLIENTS, now), "sent": sent})
            dropped, last = states["reader"].get("gone"), now
        time.sleep(0.002)
    wall = time.time() - t0
    return {"before": pick(before, CLIENTS, 0), "phase": phase, "dropped": dropped, "sent": sent, "wall": round(wall, 3),
            "client": states["reader"], "timeline": timeline, "end": pick(c.info(), CLIENTS, wall)}


LAZY = ["used_memory", "used_memory_rss", "lazyfree_pending_objects", "lazyfreed_objects"]


def run_lazyfree(case, srv, _):
    """`n` keys of `type` string, or one key of that many elements (scores at random), deleted by one `command` (DEL or UNLINK of the key, or
    FLUSHALL with SYNC or ASYNC); `INFO memory` every 10 ms.  `usec` is how long the server says that the command took."""
    c, worker = srv.c, Conn(srv.port)
    n, size, kind = case["n"], case["size"], case["type"]
    if kind == "string":
        load(c, case)
    else:
        key = key_name(0, case["key_len"])
        draw = random.Random(case.get("seed", 1))
        one = {"hash": lambda j: (key_name(j, 12), blob(size, j)), "set": lambda j: (key_name(j, size),),
               "list": lambda j: (blob(size, j),), "zset": lambda j: (draw.random(), key_name(j, size))}[kind]
        name = {"hash": "HSET", "set": "SADD", "list": "RPUSH", "zset": "ZADD"}[kind]
        for at in range(0, n, 500):
            c.pump([encode(name, key, *[x for j in range(at, min(n, at + 500)) for x in one(j)])])
    settle(c)
    before, command = c.info(), case["command"].split()
    args = command if command[0] == "FLUSHALL" else command + [key_name(0, case["key_len"])]
    t0 = time.time()
    worker.send(encode(*args))
    timeline = []
    while time.time() - t0 < case["duration"]:
        timeline.append(pick(c.info("memory"), LAZY, time.time() - t0))
        time.sleep(0.01)
    stats = c.info("commandstats")["cmdstat_" + command[0].lower()]
    usec = int(dict(f.split("=") for f in stats.split(","))["usec"])
    still = [i for i, row in enumerate(timeline[1:], 1) if row["used_memory"] == timeline[i - 1]["used_memory"]]
    kept = [row for i, row in enumerate(timeline) if i not in still]
    return {"before": pick(before, LAZY, 0), "usec": usec, "timeline": kept, "end": pick(c.info(), LAZY, time.time() - t0)}


PAGES = ["used_memory", "used_memory_rss", "allocator_allocated", "allocator_active", "allocator_resident"]


def run_purge(case, srv, _):
    """`n` keys are loaded, a `share` of them deleted (`order` random or sequential), then MEMORY PURGE: readings before the load,
    after it, 0.3 s after the deletes, 0.3 s after the purge (cron takes the allocator's figures ten times a second), and 2 s
    later."""
    c, marks, t0 = srv.c, [], time.time()

    def mark(label, rest):
        time.sleep(rest)
        marks.append({"label": label, **pick(c.info(), PAGES, time.time() - t0)})

    mark("empty", 1.0)
    worker, begin = Conn(srv.port), time.time() - t0
    load(worker, case)
    loaded = time.time() - t0
    worker.close()
    settle(c)
    mark("loaded", 1.0)
    order = list(range(case["n"]))
    if case["order"] == "random":
        random.Random(case.get("seed", 1)).shuffle(order)
    gone = order[:int(case["n"] * case["share"])]
    deleting = time.time() - t0
    worker = Conn(srv.port)
    worker.pump([encode("DEL", key_name(i, case["key_len"])) for i in gone])
    worker.close()
    deleted = time.time() - t0
    mark("deleted", 0.3)
    purged = time.time() - t0
    c.call("MEMORY", "PURGE")
    took = time.time() - t0 - purged
    mark("purged", 0.3)
    mark("2 s later", 1.7)
    times = {"load": [begin, loaded], "delete": [deleting, deleted], "purge": [purged, purged + took]}
    return {"times": {k: [round(t, 3) for t in v] for k, v in times.items()}, "marks": marks}


SYNC = ["used_memory", "used_memory_peak", "mem_total_replication_buffers", "mem_replication_backlog", "mem_clients_slaves",
        "rdb_bgsave_in_progress", "rdb_last_cow_size", "connected_slaves", "master_repl_offset", "sync_full", "latest_fork_usec"]


def run_full_sync(case, srv, binary):
    """A replica attaches at `attach_at` to a primary that is written to at `rate` (SET over its `n` keys, `order` random or sequential); the child is
    slowed to `save_seconds`; writes end with `duration`.  Readings of both every 50 ms, and a second after the end."""
    c = srv.c
    replica = Server(binary, case.get("replica_config"), srv.port + 1)
    try:
        load(c, case)
        settle(c)
        slowed(c, case)
        empty = pick(replica.c.info(), SYNC, 0)
        before, timeline, done, attached, online, last = c.info(), [], 0, None, None, 0.0
        seen, ids = Conn(srv.port), written(case)
        t0 = time.time()
        while time.time() - t0 < case["duration"]:
            now = time.time() - t0
            if attached is None and now >= case["attach_at"]:
                replica.c.call("REPLICAOF", "127.0.0.1", srv.port)
                attached = round(time.time() - t0, 3)
            due = min(int(now * case["rate"]) - done, 500)
            if due > 0:
                c.pump([set_key(case, next(ids), 1) for _ in range(due)])
                done += due
            if now >= last + 0.05:
                info = seen.info()
                state = dict(f.split("=") for f in info["slave0"].split(",")) if "slave0" in info else {}
                row = {**pick(info, SYNC, now), "state": state.get("state"), "offset": number(state.get("offset", "0"))}
                other = replica.c.info("replication")
                row["link"] = other.get("master_link_status")
                online = online or (row["t"] if row["link"] == "up" else None)
                timeline.append(row)
                last = now
            time.sleep(0.002)
        wall = time.time() - t0
        time.sleep(1.0)
        end, theirs = c.info(), replica.c.info()
        return {"before": pick(before, SYNC, 0), "attached": attached, "online": online, "writes": done, "wall": round(wall, 3),
                "achieved_rate": done / wall, "timeline": timeline, "end": pick(end, SYNC, wall + 1), "replica_before": empty,
                "replica_end": {**pick(theirs, SYNC + ["used_memory_rss"], wall + 1), "keys": replica.c.call("DBSIZE")}}
    finally:
        replica.stop()


KINDS = {"aof": run_aof, "clients": run_clients, "soft-limit": run_soft_limit, "lazyfree": run_lazyfree, "purge": run_purge,
         "full-sync": run_full_sync}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, help="path of the server's binary")
    parser.add_argument("--label", required=True, help="name recorded with every result")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--port", type=int, default=6801)
    parser.add_argument("cases", help="a JSON file: a list of cases")
    args = parser.parse_args()
    for case in json.load(open(args.cases)):
        if args.only not in case["name"]:
            continue
        record, srv = {"server": args.label, "case": case}, None
        try:
            srv = Server(args.server, case.get("config"), args.port)
            info = srv.c.info("everything")
            record["version"] = info.get("valkey_version") or info["redis_version"]
            record["allocator"] = info["mem_allocator"]
            record["result"] = KINDS[case["kind"]](case, srv, args.server)
            if case["kind"] in KEPT:
                record["result"]["timeline"] = thin(record["result"]["timeline"], KEPT[case["kind"]])
        except (Exception, SystemExit) as error:  # the case is reported, and the next one measured
            record["error"] = repr(error)
            print(case["name"], repr(error), file=sys.stderr)
        finally:
            if srv:
                srv.stop()
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
