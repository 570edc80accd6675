// The peer of bench/server on Node's own socket.io: the same namespaces, room,
// event, payload and commands, so that one load client measures both.
//
// The first line on stdout is {"listening":PORT}. Commands come on stdin, one
// a line; bench/server/main.go documents them. The server ends with its stdin.
//
// It is set up as its makers advise for speed: no compression, the handshake
// request dropped once a connection stands, and emitting in slices, so that
// the sockets drain between them (one long loop of emits makes it slower).
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Server } from "socket.io";

const EVENT = "graph:property-changed";
const SLICE = Number(process.env.PEER_SLICE ?? 16);

const http = createServer();
const io = new Server(http, { serveClient: false, httpCompression: false, pingInterval: 25000, pingTimeout: 20000 });
io.engine.on("connection", (raw) => { raw.request = null; });

let emitted = 0, granted = 0, pumping = false, pad = "x";

function connected(socket) {
  socket.join("session_bench");
  socket.on("publish", (payload) => { emitted++; room.emit(EVENT, payload); });
}
for (const name of ["/graph", "/"]) io.of(name).on("connection", connected);
const room = io.of("/graph").to("session_bench");

function emit() {
  emitted++;
  room.emit(EVENT, {
    t: Number(process.hrtime.bigint()),
    n: emitted,
    seq: emitted,
    session_id: "bench",
    project_id: "0b7e5a52-7c0e-4c0c-9d43-0f6b7a1c2d3e",
    timestamp: new Date().toISOString(),
    command_id: "5f0f6f5e-52a3-4d1c-8a77-6a1f0d9b8c7d",
    actor: "anonymous",
    node_id: "c2a1b3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d",
    property_id: "notes",
    old_value: null,
    new_value: pad,
  });
}

function pump() {
  for (let k = 0; k < SLICE && emitted < granted; k++) emit();
  pumping = emitted < granted;
  if (pumping) setImmediate(pump);
}

function paced(rate, seconds) {
  const total = Math.round(rate * seconds), first = emitted, start = process.hrtime.bigint();
  const timer = setInterval(() => {
    const due = Math.min(total, Math.floor(Number(process.hrtime.bigint() - start) * rate / 1e9));
    while (emitted - first < due) emit();
    if (due < total) return;
    clearInterval(timer);
    reply({ done: "paced", emitted });
  }, 1);
}

function reply(value) { process.stdout.write(JSON.stringify(value) + "\n"); }

const commands = {
  pad: (bytes) => { pad = "x".repeat(bytes); },
  grant: (total) => { granted = total; if (!pumping) pump(); },
  paced,
  stats: () => reply({ done: "stats", emitted, clients: io.engine.clientsCount }),
  gc: () => { globalThis.gc?.(); reply({ done: "gc" }); },
};

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const [name, ...args] = line.trim().split(/\s+/);
  commands[name]?.(...args.map(Number));
});
lines.on("close", () => process.exit(0));
http.listen(0, "127.0.0.1", 4096, () => reply({ listening: http.address().port }));
