import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, describe, it } from "node:test";
import { openServerLog, ServerLog } from "./server_log.ts";

describe("log of the server", () => {
  const dir = mkdtempSync(`${tmpdir()}/lxcfs-server-log-`);
  const server = openServerLog(dir);
  after(() => {
    closeSync(server);
    rmSync(dir, { recursive: true });
  });
  /** Something that writes as the server does, on a descriptor it was given once. */
  const say = (script: string) => {
    const { status } = spawnSync("sh", ["-c", script], { stdio: ["ignore", server, server] });
    assert.equal(status, 0);
  };
  const told = (log: (write: (text: Buffer) => void) => ServerLog) => {
    let all = "";
    const agent = log((part) => (all += part.toString()));
    agent.tell();
    agent.close();
    return all;
  };
  const agent = (write: (text: Buffer) => void) => new ServerLog(dir, write);

  it("is told once, by the agent that is there or by the next", () => {
    say("echo one; echo two >&2");
    assert.equal(told(agent), "one\ntwo\n");
    assert.equal(told(agent), "");
    say("echo three");
    assert.equal(told(agent), "three\n");
  });

  it("holds up no server while no agent is there, and does not grow for good", () => {
    say("head -c 2000000 /dev/zero | tr '\\0' x");
    assert.equal(told(agent).length, 256 * 1024);
    assert.equal(statSync(`${dir}/server.log`).size, 0);
    say("echo after");
    assert.equal(told(agent), "after\n");
  });
});
