/** What runtimes write down, in their own layout below a directory of the test. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { readProcessStat } from "../host/proc_stat.ts";
import { containerd } from "./containerd.ts";
import { crun } from "./crun.ts";
import { docker } from "./docker.ts";
import { nspawn } from "./nspawn.ts";
import { podman } from "./podman.ts";
import { runc } from "./runc.ts";
import type { MachineRoots, Runtime, ScopedContainer } from "./types.ts";

const ID = "4a53".repeat(16);
const ME = process.pid;

void describe("runtimes' own records", () => {
  let directory: string;
  let roots: MachineRoots;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), "lxcfs-attach-runtimes-"));
    roots = { proc: "/proc", run: join(directory, "run"), varLib: join(directory, "lib") };
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  const write = (path: string, content: unknown): void => {
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  };
  const find = (runtime: Runtime, ...scoped: ScopedContainer[]): string[] =>
    runtime.find(roots, scoped).map(({ runtime, name, pid }) => `${runtime} ${name} ${pid}`);

  void it("give Docker's containers their names", () => {
    const scoped = { runtime: "docker", name: ID, pid: ME };
    assert.deepEqual(find(docker, scoped), [`docker ${ID} ${ME}`]);
    write(`lib/docker/containers/${ID}/config.v2.json`, { Name: "/web" });
    assert.deepEqual(find(docker, scoped), [`docker web ${ME}`]);
  });

  void it("give podman's containers their names", () => {
    write("lib/containers/storage/overlay-containers/containers.json", [
      { id: ID, names: ["db"] },
      { id: "other" },
    ]);
    assert.deepEqual(find(podman, { runtime: "podman", name: ID, pid: ME }), [`podman db ${ME}`]);
  });

  void it("tell containerd's tasks, but not those of Docker", () => {
    const task = "run/containerd/io.containerd.runtime.v2.task";
    write(`${task}/k8s.io/${ID}/init.pid`, String(ME));
    write(`${task}/k8s.io/${ID}/config.json`, {
      annotations: { "io.kubernetes.cri.container-name": "nginx" },
    });
    write(`${task}/default/plain/init.pid`, String(ME));
    write(`${task}/default/ended/init.pid`, "4194303");
    write(`${task}/moby/${ID}/init.pid`, String(ME));
    assert.deepEqual(find(containerd).sort(), [`containerd nginx ${ME}`, `containerd plain ${ME}`]);
  });

  void it("tell runc's and crun's containers, and not a later process with the same number", () => {
    const { startTicks } = readProcessStat("/proc", ME);
    write("run/runc/one/state.json", { init_process_pid: ME, init_process_start: startTicks });
    write("run/runc/two/state.json", { init_process_pid: ME, init_process_start: startTicks - 1 });
    write("run/crun/one/status", { pid: ME, "process-start-time": startTicks });
    write("run/crun/two/status", { pid: ME, "process-start-time": startTicks - 1 });
    write("run/crun/bad/status", "{");
    assert.deepEqual(find(runc), [`runc one ${ME}`]);
    assert.deepEqual(find(crun), [`crun one ${ME}`]);
  });

  void it("tell machined's containers, and no virtual machines", () => {
    write("run/systemd/machines/web", `NAME=web\nCLASS=container\nLEADER=${ME}\n`);
    write("run/systemd/machines/vm", `NAME=vm\nCLASS=vm\nLEADER=${ME}\n`);
    const scoped = { runtime: "nspawn", name: "db\\x2d1", pid: ME };
    assert.deepEqual(find(nspawn, scoped), [`nspawn web ${ME}`, `nspawn db-1 ${ME}`]);
  });
});
