/** What is seen of the server from outside: metrics, health, readiness, log lines. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { lxcfsCommand } from "../support/project.ts";
import { run, tryRun } from "../support/run.ts";
import { Server } from "../support/server.ts";
import { waitFor } from "../support/wait.ts";
import { metricAt, statusOf, statusWhen } from "./control.ts";

/** A server starts in half a second, and in many on a machine that is busy with other tests. */
const PATIENCE_MS = 60_000;
const PYTHON = "/usr/bin/python3";

/** The page as Prometheus's own Python client reads it, which refuses what is malformed. */
const PARSE = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([[f.name, f.type, f.documentation,
    [[s.name, s.labels, s.value] for s in f.samples]]
    for f in text_string_to_metric_families(sys.stdin.read())]))`;

interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly (readonly [string, Readonly<Record<string, string>>, number])[];
}

function parse(page: string): Map<string, Family> {
  const told = JSON.parse(run([PYTHON, "-c", PARSE], { input: page })) as [
    string,
    string,
    string,
    Family["samples"],
  ][];
  return new Map(
    told.map(([name, type, help, samples]) => [name, { name, type, help, samples }] as const),
  );
}

const noParser =
  tryRun([PYTHON, "-c", "import prometheus_client.parser"]).status === 0
    ? false
    : "needs Debian's python3-prometheus-client";

void describe("metrics", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  let socket: string;
  const get = (path: string): string =>
    tryRun([
      ...["curl", "-s", "-w", "%{http_code}", "--unix-socket", socket],
      `http://lxcfs${path}`,
    ]).stdout;
  const page = (): string => get("/metrics").replace(/200$/, "");

  before(async () => {
    socket = join(run(["mktemp", "-d", "/tmp/lxcfs-metrics-XXXXXX"]).trim(), "metrics.sock");
    lab = await Lab.open({ args: ["--metrics", socket] });
    const container = await lab.container({ limits: { memoryBytes: 64 << 20 } });
    for (const file of ["meminfo", "stat", "uptime"]) container.read(`/proc/${file}`);
    await waitFor("the socket", () => existsSync(socket));
  });
  after(async () => {
    await lab?.close();
    assert.ok(!existsSync(socket), "the socket is left behind");
    run(["rmdir", join(socket, "..")]);
  });

  void test("are a page that Prometheus reads", { skip: noParser }, () => {
    const families = parse(page());
    for (const { name, type, help, samples } of families.values()) {
      assert.match(name, /^lxcfs_[a-z0-9_]+$/);
      assert.match(help, /^[A-Z].*\.$/, name);
      const keys = samples.map(([sample, labels]) => JSON.stringify([sample, labels]));
      assert.equal(new Set(keys).size, keys.length, `${name} has samples twice`);
      assert.ok(["counter", "gauge", "histogram"].includes(type), `${name} is a ${type}`);
      for (const [sample, , value] of samples) {
        assert.ok(Number.isFinite(value) && value >= 0, `${sample} ${value}`);
        if (type === "counter") assert.match(sample, /_total$/);
      }
    }
    const latency = families.get("lxcfs_request_duration_seconds");
    const buckets = latency?.samples.filter(([sample]) => sample.endsWith("_bucket")) ?? [];
    assert.equal(buckets.at(-1)?.[1]["le"], "+Inf");
    for (const [index, [, , value]] of buckets.entries()) {
      assert.ok(value >= (buckets[index - 1]?.[2] ?? 0), "buckets are cumulative");
    }
    const count = latency?.samples.find(([sample]) => sample.endsWith("_count"));
    assert.equal(count?.[2], buckets.at(-1)?.[2]);
    assert.ok((count?.[2] ?? 0) > 0);
  });

  void test("tell what is asked for", { skip: noParser }, () => {
    const families = parse(page());
    const sum = (name: string, wanted: Readonly<Record<string, string>> = {}): number => {
      const family = families.get(`lxcfs_${name}`);
      assert.ok(family, `${name} is missing`);
      const chosen = family.samples.filter(([, labels]) =>
        Object.entries(wanted).every(([key, value]) => labels[key] === value),
      );
      return chosen.reduce((total, [, , value]) => total + value, 0);
    };
    for (const file of ["proc/meminfo", "proc/stat", "proc/uptime"]) {
      assert.ok(sum("requests", { file, result: "ok" }) > 0, file);
      assert.equal(sum("requests", { file, result: "error" }), 0, file);
    }
    assert.ok(sum("containers_seen") >= 1);
    assert.ok(sum("container_reads") >= 3);
    assert.ok(sum("workers") >= 1);
    for (const cache of ["containers", "pid_namespaces", "texts", "history"]) {
      assert.ok(sum("cache_entries", { cache }) >= 1, cache);
    }
    assert.equal(sum("cache_entries", { cache: "open_files" }), 0);
    for (const name of ["restarts", "resends", "upgrades", "deadline_misses", "refused_calls"]) {
      assert.equal(sum(name), 0, name);
    }
    assert.equal(sum("mounts_adopted") + sum("mounts_healed"), 0);
    assert.ok(sum("resident_memory_bytes") > 1 << 20);
  });

  void test("health and readiness: a read through the mount, in time", () => {
    assert.equal(get("/healthz"), "ok\n200");
    assert.match(get("/readyz"), /^ok \d+\.\d ms\n200$/);
    assert.match(get("/nothing"), /404$/);
    const { mountpoint } = lab.server;
    run(["mount", "-t", "tmpfs", "none", mountpoint]);
    try {
      assert.match(get("/readyz"), /ENOENT.*\n503$/);
      assert.equal(get("/healthz"), "ok\n200");
    } finally {
      run(["umount", mountpoint]);
    }
    assert.match(get("/readyz"), /200$/);
  });

  void test("outlive a killed server", async () => {
    const before = /\{file="proc\/uptime",result="ok"\} (\d+)/.exec(page())?.[1];
    process.kill(statusOf(lab.server).serverPid, "SIGKILL");
    const succeeded = (): boolean => /^lxcfs_restarts_total 1$/m.test(page());
    await waitFor("its successor", succeeded, PATIENCE_MS);
    const now = /\{file="proc\/uptime",result="ok"\} (\d+)/.exec(page())?.[1];
    assert.ok(Number(now) >= Number(before), `${before}, then ${now}`);
  });
});

void test("mounts that are adopted and healed are counted", { skip: whyNoMounts() }, async () => {
  const server = await Server.start();
  const container = await Container.start({ mountpoint: server.mountpoint });
  const socket = join(server.directory, "metrics.sock");
  const startAgain = (): void => {
    const places = ["-p", join(server.directory, "lxcfs.pid")];
    places.push("--runtime-dir", join(server.directory, "run"), "--metrics", socket);
    spawn(lxcfsCommand, [...places, server.mountpoint], { stdio: "ignore" });
  };
  const counted = (name: string, count: number): Promise<boolean> =>
    waitFor(`${count} ${name}`, () => metricAt(socket, name) === count, PATIENCE_MS);
  try {
    process.kill(statusOf(server).holderPid, "SIGKILL");
    await waitFor("the holder has gone", () => server.process.signalCode !== null);
    startAgain();
    await counted("mounts_adopted_total", 1);
    assert.equal(metricAt(socket, "mounts_healed_total"), 0);
    const adopted = await statusWhen(server, "its holder", ({ holderAlive }) => holderAlive);
    process.kill(adopted.holderPid, "SIGKILL");
    process.kill(adopted.serverPid, "SIGKILL");
    await waitFor("the mount is dead", () => !server.answersNow());
    assert.throws(() => container.read("/proc/uptime"));
    startAgain();
    await waitFor(
      "a file is healed",
      () => metricAt(socket, "mounts_healed_total") > 0,
      PATIENCE_MS,
    );
    container.read("/proc/uptime");
  } finally {
    container.stop();
    server.kill();
  }
});

void test("metrics over TCP, and none unless asked for", { skip: whyNoMounts() }, async () => {
  const server = await Server.start();
  try {
    const listening = run(["ss", "-Hltnp"]);
    assert.ok(!listening.includes(`pid=${statusOf(server).serverPid},`), listening);
    await server.stop();
  } finally {
    server.kill();
  }
  const port = 20_000 + (process.pid % 20_000);
  const withPort = await Server.start({ args: ["--metrics", `127.0.0.1:${port}`] });
  const ask = (): string => tryRun(["curl", "-s", `http://127.0.0.1:${port}/metrics`]).stdout;
  try {
    await waitFor("the port", () => ask().includes("lxcfs_info"), PATIENCE_MS);
    await withPort.stop();
  } finally {
    withPort.kill();
  }
});

void test(
  "the log is one structured line an event, and quiet in ordinary life",
  {
    skip: whyNoMounts(),
  },
  async () => {
    const lab = await Lab.open();
    const container = await lab.container({ limits: { memoryBytes: 64 << 20 } });
    container.read("/proc/meminfo");
    // What fails in ordinary life: files that are not there, rights that are not had, readers that die.
    container.tryExec(["cat", join(lab.server.mountpoint, "proc/nothing")]);
    container.tryExec(["sh", "-c", "echo x > /proc/uptime"]);
    assert.throws(() => readFileSync(join(lab.server.mountpoint, "containers/1/proc/stat")));
    container.stop();
    await lab.close();
    for (const line of lab.server.output.trim().split("\n")) {
      assert.match(line, /^lxcfs: info: [a-z' ]+( \w+=("[^"]*"|\S+))*$/);
    }
  },
);
