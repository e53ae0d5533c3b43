/**
 * Reading our files gives nobody anything that the host's own permissions would not: file by file,
 * for an unprivileged user in a container, for all that is served.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { attachCommand } from "../support/project.ts";
import { run } from "../support/run.ts";

const NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
const WAYS = ["read", "write"] as const;
/** Says of each file of its input whether it can be opened that way. */
const OPENS = {
  read: 'while read -r f; do { { read -r _ || :; } <"$f"; } 2>/dev/null && echo "$f"; done; :',
  write: 'while read -r f; do { { true; } >>"$f"; } 2>/dev/null && echo "$f"; done; :',
} as const;

/** Files and directories below `root`, links left out: what they lead to is seen anyhow. */
function below(root: string, directory: string): string[] {
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return [path, ...below(root, path)];
    return entry.isFile() ? [path] : [];
  });
}

void describe("what is served", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  let container: Container;
  let paths: string[];
  before(async () => {
    lab = await Lab.open();
    container = await lab.container({ limits: { memoryBytes: 64 << 20 } });
    const { mountpoint } = lab.server;
    paths = [...below(mountpoint, "proc"), ...below(mountpoint, "sys")];
    assert.ok(paths.length > 50, `${paths.length} paths`);
  });
  after(async () => await lab?.close());

  const files = (): string[] =>
    paths.filter((path) => statSync(join(lab.server.mountpoint, path)).isFile());

  void test("has no permission that the host's file has not, and belongs to root", () => {
    for (const path of paths) {
      const host = statSync(`/${path}`, { throwIfNoEntry: false });
      const ours = statSync(join(lab.server.mountpoint, path));
      assert.equal(ours.uid, 0, path);
      assert.equal(ours.gid, 0, path);
      assert.equal(ours.mode & 0o7000, 0, path);
      if (host) assert.equal(ours.mode & 0o777 & ~host.mode, 0, path);
      else assert.equal(ours.mode & 0o222, 0, path);
    }
  });

  for (const way of WAYS) {
    void test(`nobody may ${way} more than on the host`, () => {
      const input = files().join("\n");
      const script = ["sh", "-c", `cd "$0" && ${OPENS[way]}`];
      const onHost = new Set(run([...NOBODY, ...script, "/"], { input }).split("\n"));
      const attempt = (where: string): string[] =>
        container
          .exec([...NOBODY, ...script, where], { input })
          .split("\n")
          .filter(Boolean);
      // As the runtime's hook binds them, and in the whole filesystem.
      for (const where of ["/", lab.server.mountpoint]) {
        const got = attempt(where).filter((path) => !onHost.has(path));
        assert.deepEqual(got, [], `below ${where}`);
      }
      if (way === "read") {
        assert.ok(onHost.has("proc/meminfo"));
        assert.ok(attempt("/").includes("proc/meminfo"));
        assert.ok(!attempt("/").includes("proc/slabinfo"));
      }
    });
  }

  void test("the container's own root reads of slabinfo the head and none of the host's rows", () => {
    assert.equal(container.read("/proc/slabinfo").trim().split("\n").length, 2);
    assert.ok(readFileSync("/proc/slabinfo", "latin1").split("\n").length > 10);
  });

  void test("files that are attached say no more than those that answer by who reads", async (context) => {
    const { mountpoint } = lab.server;
    const attached = await Container.start();
    context.after(() => attached.stop());
    run([...attachCommand, "--mountpoint", mountpoint, String(attached.initPid)]);
    const input = files().join("\n");
    for (const way of WAYS) {
      const script = ["sh", "-c", `cd / && ${OPENS[way]}`];
      const onHost = new Set(run([...NOBODY, ...script], { input }).split("\n"));
      const got = attached
        .exec([...NOBODY, ...script], { input })
        .split("\n")
        .filter(Boolean);
      assert.deepEqual(
        got.filter((path) => !onHost.has(path)),
        [],
        way,
      );
    }
    assert.match(attached.exec(["cat", "/proc/self/mountinfo"]), / \/proc\/meminfo .* fuse.lxcfs /);
  });

  void test("containers/ is root's alone, and a container's directory goes with its cgroup", async () => {
    const directory = join(lab.server.mountpoint, "containers");
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    const look = ["sh", "-c", 'ls "$0" || exit 0; exit 1', directory];
    run([...NOBODY, ...look]);
    container.exec([...NOBODY, ...look]);
    const shortLived = await lab.container();
    shortLived.read("/proc/meminfo");
    const names = new Set(readdirSync(directory));
    const name = [...names].find((each) => {
      const link = join(directory, each, "proc/meminfo");
      return statSync(link, { throwIfNoEntry: false }) !== undefined;
    });
    assert.ok(name !== undefined, "some container is listed");
    shortLived.stop();
    const gone = [...names].filter(
      (each) => statSync(join(directory, each), { throwIfNoEntry: false }) === undefined,
    );
    assert.ok(gone.length >= 1, "the stopped container's directory is still there");
    assert.deepEqual(
      readdirSync(directory).filter((each) => gone.includes(each)),
      [],
    );
  });
});
