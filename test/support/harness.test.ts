/** The harness itself, proved against Debian's lxcfs and the kernel. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "./container.ts";
import { projectRoot } from "./project.ts";
import { peerInstalled, Server } from "./server.ts";
import { waitFor } from "./wait.ts";

const MIB = 1 << 20;

void test("a container has its own limits, pids and cgroup root, and leaves nothing", async () => {
  const container = await Container.start({
    depth: 3,
    limitLevel: 2,
    limits: { memoryBytes: 64 * MIB, cpuQuotaUs: 50_000, cpuset: "0" },
  });
  try {
    assert.equal(container.exec(["sh", "-c", "echo $$; ls -d /proc/1"]).split("\n")[1], "/proc/1");
    for (const line of container.read("/proc/self/cgroup").trim().split("\n")) {
      assert.match(line, /:\/$/, `${line} is not the root of the container's cgroup namespace`);
    }
    assert.equal(container.exec(["nproc"]).trim(), "1");
    const memory =
      container.cgroups.file("memory.limit_in_bytes", `${container.cgroups.top}/1`) ??
      container.cgroups.file("memory.max", `${container.cgroups.top}/1`);
    assert.ok(memory, "no memory limit file");
    assert.equal(readFileSync(memory, "utf8").trim(), String(64 * MIB));
  } finally {
    container.stop();
  }
  assert.deepEqual(container.cgroups.left(), []);
});

void test("a container in a user namespace has its root mapped", async () => {
  const container = await Container.start({ userBase: 200_000 });
  try {
    assert.match(container.read("/proc/self/uid_map"), /^\s*0\s+200000\s+65536$/m);
    assert.equal(container.exec(["id", "-u"]).trim(), "0");
  } finally {
    container.stop();
  }
});

void test("a container can share another's pid namespace", async () => {
  const first = await Container.start();
  const second = await Container.start({ pidNamespaceOf: first.initPid });
  try {
    const namespace = (container: Container): string =>
      container.exec(["readlink", "/proc/self/ns/pid"]);
    assert.equal(namespace(second), namespace(first));
    assert.notEqual(second.cgroups.path, first.cgroups.path);
  } finally {
    second.stop();
    first.stop();
  }
});

void test("a server's files are bound over the container's own", { skip: noPeer() }, async () => {
  const server = await Server.start({ kind: "peer" });
  let container: Container | undefined;
  try {
    container = await Container.start({
      limits: { memoryBytes: 64 * MIB },
      mountpoint: server.mountpoint,
    });
    assert.match(container.read("/proc/meminfo"), /^MemTotal: +65536 kB$/m);
    assert.deepEqual(server.pids(), [server.process.pid]);
  } finally {
    container?.stop();
    await server.stop();
  }
  assert.ok(!existsSync(server.directory));
});

void test("a test killed with SIGKILL leaves no mount, process or cgroup", async () => {
  const victim = spawn(process.execPath, [join(projectRoot, "dist/test/support/victim.js")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  victim.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  await waitFor("the victim has started", () => said.endsWith("\n"), 20_000);
  const { cgroup, init, directory } = parseVictim(said);
  assert.ok(existsSync(cgroup) && existsSync(`/proc/${init}`));
  victim.kill("SIGKILL");
  await waitFor("the cgroup is removed", () => !existsSync(cgroup));
  await waitFor("the container is gone", () => !existsSync(`/proc/${init}`));
  if (directory === undefined) return;
  await waitFor("the mount is gone", () => {
    return !readFileSync("/proc/self/mountinfo", "utf8").includes(directory);
  });
  await waitFor("the directory is removed", () => !existsSync(directory));
});

function parseVictim(line: string): { cgroup: string; init: string; directory?: string } {
  const [cgroup, init, directory] = line.trim().split(" ");
  assert.ok(cgroup !== undefined && init !== undefined);
  return directory === undefined ? { cgroup, init } : { cgroup, init, directory };
}

function noPeer(): string | false {
  return peerInstalled() ? false : "Debian's lxcfs is not installed";
}
