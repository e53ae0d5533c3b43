import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from "node:fs";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { after, describe, it } from "node:test";
import { MountProbe, serveHealth } from "./health.ts";
import { nodeMetrics, type MetricsSources } from "./metrics.ts";

const PORT = 0;

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(PORT, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function ask(port: number, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    get({ port, path, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
    }).on("error", reject);
  });
}

describe("probes of the agent", () => {
  const dir = mkdtempSync(`${tmpdir()}/lxcfs-health-`);
  const file = `${dir}/proc/meminfo`;
  mkdirSync(`${dir}/proc`);
  after(() => rmSync(dir, { recursive: true }));
  const state = { complaints: [] as string[], stuck: false };

  it("tell started, ready and alive apart", async () => {
    const port = await freePort();
    const health = await serveHealth(
      {
        probe: new MountProbe(dir, 200),
        complaints: () => [...state.complaints],
        stuck: () => state.stuck,
        metrics: () => Promise.resolve("counted 1\n"),
      },
      [port],
    );
    const statusOf = async (path: string) => (await ask(port, path)).status;
    try {
      // Nothing is mounted yet: neither started nor ready, and no reason to be ended.
      assert.deepEqual(
        [await statusOf("/startupz"), await statusOf("/readyz"), await statusOf("/healthz")],
        [503, 503, 200],
      );
      writeFileSync(file, "MemTotal:       1024 kB\n");
      assert.equal(await statusOf("/startupz"), 200);
      assert.equal(await statusOf("/readyz"), 200);
      // The runtime does not know us: not ready, alive.
      state.complaints.push("not registered with the runtime");
      assert.deepEqual(await ask(port, "/readyz"), {
        status: 503,
        text: "not registered with the runtime\n",
      });
      assert.equal(await statusOf("/healthz"), 200);
      state.complaints.length = 0;
      // A server that hangs: not ready within a time, alive, and started for good.
      rmSync(file);
      spawnSync("mkfifo", [file]);
      const hung = await ask(port, "/readyz");
      assert.equal(hung.status, 503);
      assert.match(hung.text, /read through the mount: no answer in 200 ms/);
      assert.equal(await statusOf("/startupz"), 200);
      assert.equal(await statusOf("/healthz"), 200);
      // A request of the runtime that is stuck is the one thing a restart mends.
      state.stuck = true;
      assert.equal(await statusOf("/healthz"), 503);
      assert.deepEqual(await ask(port, "/metrics"), { status: 200, text: "counted 1\n" });
      assert.equal(await statusOf("/other"), 404);
    } finally {
      // Ends the read that hangs.
      closeSync(openSync(file, "w"));
      health.close();
    }
  });
});

describe("metrics of the node", () => {
  const dir = mkdtempSync(`${tmpdir()}/lxcfs-metrics-`);
  after(() => rmSync(dir, { recursive: true }));
  const sources = {
    hand: { outcomes: new Map([["attach done", 3]]), containers: new Map([["heal", 2]]) },
    work: { skipped: new Map([["not-opted-in", 4]]) },
    probe: () => Promise.resolve({ ok: true, milliseconds: 2 }),
    nriReady: () => true,
    serverSocket: `${dir}/metrics.sock`,
  } as unknown as MetricsSources;

  it("are the agent's, and the server's while it answers", async () => {
    const own = await nodeMetrics(sources);
    assert.match(own, /^lxcfs_agent_jobs_total\{kind="attach",status="done"\} 3$/m);
    assert.match(own, /^lxcfs_agent_skipped_total\{reason="not-opted-in"\} 4$/m);
    assert.match(own, /^lxcfs_agent_healed_total 2$/m);
    assert.match(own, /^lxcfs_agent_mount_up 1$/m);
    assert.match(own, /^lxcfs_agent_mount_read_seconds 0\.002$/m);
    assert.match(own, /^lxcfs_agent_nri_ready 1$/m);
    const server = createServer((_, response) => response.end("lxcfs_restarts_total 0\n"));
    await new Promise<void>((resolve) => server.listen(sources.serverSocket, resolve));
    try {
      assert.equal(await nodeMetrics(sources), `${own}lxcfs_restarts_total 0\n`);
    } finally {
      server.close();
    }
  });
});
