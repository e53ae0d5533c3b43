/**
 * The process that lives in the captured container: pid 1 of a pid namespace, with a difficult
 * name, memory and page cache of known size and a bit of CPU time. Says on stdout, in one line of
 * JSON, how the files look from inside of its cgroup namespace, and stays until stdin ends.
 */
import { execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { LOAD_ANON_BYTES, LOAD_COMM, LOAD_DIRECT_BYTES, LOAD_FILE_BYTES } from "./plan.ts";

/** Files whose text depends on the reader's cgroup namespace. */
const SEEN_INSIDE = ["/proc/1/cgroup", "/proc/self/cgroup", "/proc/self/mountinfo"];

const BUSY_MS = 300;

export function runLoad(scratchFile: string): void {
  const memory = Buffer.alloc(LOAD_ANON_BYTES, 1);
  const fd = openSync(scratchFile, "w");
  writeSync(fd, Buffer.alloc(LOAD_FILE_BYTES, 2));
  fsyncSync(fd);
  closeSync(fd);
  readFileSync(scratchFile);
  writeDirect(`${scratchFile}.direct`);
  const endMs = performance.now() + BUSY_MS;
  while (performance.now() < endMs);
  const child = spawn("sleep", ["600"], { stdio: "ignore" });
  writeFileSync("/proc/self/comm", LOAD_COMM);
  const inside = Object.fromEntries(
    SEEN_INSIDE.map((path) => [path, readFileSync(path, "latin1")]),
  );
  console.log(JSON.stringify(inside));
  process.stdin.resume().on("end", () => {
    child.kill();
    for (const path of [scratchFile, `${scratchFile}.direct`]) rmSync(path, { force: true });
    process.exit(memory.length > 0 ? 0 : 1);
  });
}

/** Node has no aligned buffers, which O_DIRECT needs. */
function writeDirect(path: string): void {
  const count = LOAD_DIRECT_BYTES >> 20;
  execFileSync("dd", ["if=/dev/zero", `of=${path}`, "bs=1M", `count=${count}`, "oflag=direct"], {
    stdio: "ignore",
  });
}
