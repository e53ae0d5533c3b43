/**
 * How fast the webhook answers: recorded AdmissionReviews at a fixed rate to a server in a process
 * of its own on one CPU. Latency counts from when a request was due, so that a stall is charged to
 * everything it held up.
 *   node dist/test/k8s/webhook_load.js [REVIEWS_PER_SECOND] [SECONDS]
 * Prints one line of JSON; exit status 1 if p99 is 50 ms or more, or an answer was not 200.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { makeCa, makeServing } from "../../src/k8s/webhook/certificates.ts";
import { DEFAULT_SETTINGS } from "../../src/k8s/webhook/selection.ts";
import { WebhookServer } from "../../src/k8s/webhook/server.ts";
import { FileKeeper } from "../../src/k8s/webhook/keeper.ts";
import { reviewNames, reviewText } from "./reviews.ts";
import { Logger } from "../../src/sys/log.ts";

const NAME = "lxcfs-webhook.lxcfs.svc";

if (process.argv[2] === "--serve") await serve(process.argv[3] ?? "");
else
  process.exitCode = await measure(Number(process.argv[2] ?? 200), Number(process.argv[3] ?? 10));

/** The server's side: certificates from `dir`, the port on stdout, until stdin ends. */
async function serve(dir: string): Promise<void> {
  const log = new Logger("warn");
  const server = new WebhookServer({ settings: DEFAULT_SETTINGS, isReady: () => true, log });
  await new FileKeeper(dir, { onCertificate: server.use.bind(server), log }).tick();
  process.stdout.write(`${await server.listen(0, "127.0.0.1")}\n`);
  process.stdin.resume().on("end", () => process.exit(0));
}

async function measure(perSecond: number, seconds: number): Promise<number> {
  const dir = mkdtempSync(`${tmpdir()}/lxcfs-k8s-load-`);
  const lifetime = { fromMs: Date.now() - 60_000, untilMs: Date.now() + 3_600_000 };
  const ca = makeCa(lifetime);
  const serving = makeServing(ca, [NAME], lifetime);
  writeFileSync(`${dir}/tls.crt`, serving.cert);
  writeFileSync(`${dir}/tls.key`, serving.key);
  const script = process.argv[1] ?? "";
  const child = spawn("taskset", ["-c", "0", process.execPath, script, "--serve", dir], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  try {
    const port = await new Promise<number>((resolve) =>
      createInterface({ input: child.stdout }).once("line", (line) => resolve(Number(line))),
    );
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    const options = { host: "127.0.0.1", port, ca: ca.cert, servername: NAME, agent };
    const texts = reviewNames().map(reviewText);
    const latenciesMs: number[] = [];
    let failed = 0;
    const send = (body: string, dueMs: number) =>
      new Promise<void>((resolve) => {
        const sent = request({ ...options, method: "POST", path: "/mutate" }, (incoming) => {
          if (incoming.statusCode !== 200) failed++;
          incoming.resume().on("end", () => {
            latenciesMs.push(performance.now() - dueMs);
            resolve();
          });
        });
        sent.on("error", () => {
          failed++;
          resolve();
        });
        sent.end(body);
      });
    // Handshakes and compilation first: an API server's connections are long open ones.
    for (let warm = 0; warm < 20; warm++)
      await Promise.all(texts.slice(0, 16).map((text) => send(text, performance.now())));
    latenciesMs.length = 0;
    const startMs = performance.now();
    const pending: Promise<void>[] = [];
    for (let sent = 0; sent < perSecond * seconds; sent++) {
      const dueMs = startMs + (sent * 1000) / perSecond;
      while (performance.now() < dueMs)
        await new Promise((resolve) => setTimeout(resolve, dueMs - performance.now()));
      pending.push(send(texts[sent % texts.length] ?? "", dueMs));
    }
    await Promise.all(pending);
    agent.destroy();
    latenciesMs.sort((a, b) => a - b);
    const at = (share: number) =>
      Number((latenciesMs[Math.floor(latenciesMs.length * share)] ?? NaN).toFixed(2));
    const result = {
      perSecond,
      seconds,
      answered: latenciesMs.length,
      failed,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(0.9999),
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return failed === 0 && result.p99Ms < 50 ? 0 : 1;
  } finally {
    child.stdin.end();
    rmSync(dir, { recursive: true });
  }
}
