// Stands between our client and Prism, and hangs up on the first answer to each kind of change: so that what is asked after an
// answer that did not come is asked, too. What is looked for by a tag is not there at first, so that it is made.
import { createServer, request } from "node:http";

const [port, upstream] = process.argv.slice(2);
const known = new Set();
createServer((asked, answer) => {
  const kind = `${asked.method} ${asked.url.split("?")[0].replace(/\/\d+/g, "/N")}`;
  const isNew = !known.has(kind);
  const isFirst = asked.method !== "GET" && isNew;
  known.add(kind);
  if (asked.method === "GET" && /\/git\/ref\/|\/releases\/tags\//.test(kind) && isNew) {
    answer.writeHead(404, { "content-type": "application/json" });
    return void answer.end('{"message":"Not Found"}');
  }
  const { host, ...headers } = asked.headers;
  const sent = request(`${upstream}${asked.url}`, { method: asked.method, headers }, (got) => {
    if (isFirst) return void (got.resume(), asked.socket.destroy());
    answer.writeHead(got.statusCode, got.headers);
    got.pipe(answer);
  });
  sent.on("error", () => asked.socket.destroy());
  asked.pipe(sent);
}).listen(Number(port), "127.0.0.1");
