import { connect } from "node:net";
import { serveMetrics, type MetricsServer } from "../../../lib/hook/metrics-server";

/** The first line of the answer to what no library would send. */
function statusLine(server: MetricsServer, request: string): Promise<string> {
  const { hostname, port } = new URL(server.endpoint);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let text = "";
    socket.setEncoding("utf8").on("data", (part: string) => (text += part));
    socket.on("error", reject).on("close", () => resolve(text.split("\r\n")[0] as string));
    socket.end(`${request} HTTP/1.1\r\nhost: hook\r\nconnection: close\r\n\r\n`);
  });
}

test("a path that is none, a method that writes and figures that cannot be told are answered, and it serves on", async () => {
  let isTold = true;
  const server = await serveMetrics({ host: "127.0.0.1", port: 0 }, () => {
    if (!isTold) throw new Error("no figures");
    return "up 1\n";
  });
  try {
    expect(await statusLine(server, "GET //")).toBe("HTTP/1.1 404 Not Found");
    expect(await statusLine(server, "POST /metrics")).toBe("HTTP/1.1 405 Method Not Allowed");
    isTold = false;
    expect(await statusLine(server, "GET /metrics")).toBe("HTTP/1.1 500 Internal Server Error");
    isTold = true;
    expect(await statusLine(server, "GET /metrics?now=1")).toBe("HTTP/1.1 200 OK");
  } finally {
    await server.close();
  }
});
