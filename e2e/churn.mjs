// Churn for the soak: COUNT connects of the unmodified socket.io-client to
// URL, 16 at a time, in turn by its default transports, polling and websocket.
// Each joins, is greeted, asks and leaves. Prints {"lost", "unanswered"}.
import { io } from "socket.io-client";

const [url, count] = [process.argv[2], Number(process.argv[3])];
const ways = [undefined, ["polling"], ["websocket"]];
const patience = 20_000;
let next = 0, lost = 0, unanswered = 0;

function visit(n) {
  return new Promise((done) => {
    const transports = ways[n % ways.length];
    const socket = io(`${url}/graph`, { forceNew: true, reconnection: false, ...(transports && { transports }) });
    let connected = false;
    const end = (ok) => {
      clearTimeout(timer);
      if (!ok) connected ? unanswered++ : lost++;
      socket.disconnect();
      done();
    };
    const timer = setTimeout(() => end(false), patience);
    socket.on("connect", () => { connected = true; });
    socket.on("connect_error", () => end(false));
    socket.on("hello", () => socket.emit("ask", 2, (answer) => end(answer === 1)));
  });
}

await Promise.all(Array.from({ length: 16 }, async () => {
  while (next < count) await visit(next++);
}));
console.log(JSON.stringify({ lost, unanswered }));
