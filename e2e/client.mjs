// Socket.IO clients under a test's control: npm socket.io-client, unmodified.
// client.py speaks the same with Debian's python3-socketio.
//
// Commands come on stdin, one JSON object a line; what happens goes to stdout
// the same way. Every line names its client.
//
//   {"do":"open","client":"a","url":"http://…","namespace":"/graph","auth":{…},
//    "options":{"transports":["polling"]}}
//   {"do":"emit","client":"a","name":"…","args":[…],"ack":7}   ack: answered by {"type":"ack","ack":7,…}
//   {"do":"close","client":"a"}      the client says goodbye
//   {"do":"reopen","client":"a"}     and comes back
//   {"do":"drop","client":"a"}       its transport breaks; it reconnects by itself
//   {"do":"ping"}                    answered by {"type":"pong"}
//
//   {"client":"a","type":"connect","sid":"…","recovered":false,"transport":"polling"}
//   {"client":"a","type":"upgrade","transport":"websocket"}
//   {"client":"a","type":"event","name":"graph:node-created","args":[{…}]}
//   {"client":"a","type":"disconnect","reason":"…"}
//   {"client":"a","type":"error","message":"…","data":{…}}
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const sockets = new Map();
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

function open({ client, url, namespace, auth, options }) {
  const socket = io(url + (namespace === "/" ? "" : namespace), {
    forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 500, auth, ...options,
  });
  sockets.set(client, socket);
  socket.on("connect", () => {
    const { engine } = socket.io;
    say({ client, type: "connect", sid: socket.id, recovered: socket.recovered, transport: engine.transport.name });
    engine.once("upgrade", (transport) => say({ client, type: "upgrade", transport: transport.name }));
  });
  socket.on("connect_error", (error) => say({ client, type: "error", message: error.message, data: error.data }));
  socket.on("disconnect", (reason) => say({ client, type: "disconnect", reason }));
  socket.onAny((name, ...args) => say({ client, type: "event", name, args }));
}

const commands = {
  open,
  emit({ client, name, args, ack }) {
    const more = ack === undefined ? [] : [(...answer) => say({ client, type: "ack", ack, args: answer })];
    sockets.get(client).emit(name, ...args, ...more);
  },
  close: ({ client }) => sockets.get(client).disconnect(),
  reopen: ({ client }) => sockets.get(client).connect(),
  drop: ({ client }) => sockets.get(client).io.engine.close(),
  ping: () => say({ type: "pong" }),
};

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const command = JSON.parse(line);
  commands[command.do](command);
});
lines.on("close", () => process.exit(0));
