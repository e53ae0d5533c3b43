/** The container image, built from Debian's packages, as a runtime would unpack and run it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { section } from "../runtimes/document.ts";
import { Machine, whyNoMachine } from "../runtimes/machine.ts";
import { PODMAN_CONFIGURATION } from "../runtimes/support.ts";
import { whyNoMounts } from "../support/lab.ts";
import { projectRoot } from "../support/project.ts";
import { installed, run, tryRun } from "../support/run.ts";

const document = section("Container image", "docs/install.md");
const MIRROR = "http://deb.debian.org/debian";

/** The one thing that is not on this machine. */
function reached(): boolean {
  const url = `${MIRROR}/dists/bookworm/Release`;
  return (
    installed("wget") &&
    tryRun(["wget", "-q", "-T", "10", "-t", "1", "-O", "/dev/null", url]).status === 0
  );
}

const skip =
  whyNoMounts() ||
  (installed("debootstrap") ? false : "needs debootstrap") ||
  (reached() ? false : `needs ${MIRROR}`);

void describe("the container image", { skip }, () => {
  let directory: string;
  const blob = (digest: string): Buffer => {
    const bytes = readFileSync(join(directory, "blobs/sha256", digest.replace("sha256:", "")));
    assert.equal(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, digest);
    return bytes;
  };
  const parse = (text: Buffer): unknown => JSON.parse(text.toString());

  before(() => {
    directory = mkdtempSync(join(tmpdir(), "lxcfs-image-"));
    // This machine's Node.js: an image is tested, not a download.
    const build = `${document.command("build-image.sh")} --node ${process.execPath}`;
    run(["sh", "-c", `cd '${directory}' && ${projectRoot}/${build}`], { timeoutMs: 800_000 });
    run(["tar", "-xf", join(directory, "lxcfs-ts-image.tar"), "-C", directory]);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  void test("is an OCI image whose digests are right", () => {
    const { manifests } = parse(readFileSync(join(directory, "index.json"))) as {
      manifests: [{ digest: string }];
    };
    const [{ digest }] = manifests;
    const { config, layers } = parse(blob(digest)) as {
      config: { digest: string };
      layers: [{ digest: string; size: number }];
    };
    const settings = parse(blob(config.digest)) as {
      config: { Entrypoint: string[] };
      rootfs: { diff_ids: [string] };
    };
    const layer = blob(layers[0].digest);
    assert.equal(layer.length, layers[0].size);
    const plain = createHash("sha256").update(gunzipSync(layer)).digest("hex");
    assert.equal(`sha256:${plain}`, settings.rootfs.diff_ids[0]);

    const root = join(directory, "root");
    mkdirSync(root);
    run(["tar", "-xzf", "-", "-C", root], { input: layer });
    const [program = "", ...rest] = settings.config.Entrypoint;
    const said = run(["chroot", root, program, ...rest, "--version"]);
    assert.match(said, /^"\d+\.\d+\.\d+"\n$/);
    const status = tryRun(["chroot", root, "/usr/bin/lxcfs", "status"]);
    assert.notEqual(status.status, 0);
  });

  void test("has a bill of materials, of its Debian packages too", () => {
    const bill = readFileSync(join(directory, "lxcfs-ts-image.cdx.json"), "utf8");
    const { components } = JSON.parse(bill) as { components: { purl: string }[] };
    const found = components.map(({ purl }) => purl);
    const node = `pkg:generic/node@${process.versions.node}`;
    for (const start of ["pkg:npm/koffi@", node, "pkg:deb/debian/libc6@"])
      assert.ok(
        found.some((purl) => purl.startsWith(start)),
        start,
      );
  });

  void test("is loaded and run by podman", { skip: whyNoMachine("podman", "crun") }, async () => {
    const machine = await Machine.start({ hideCgroup2: true });
    try {
      machine.run(PODMAN_CONFIGURATION);
      machine.run(`cd '${directory}' && ${document.command("podman load")}`);
      assert.match(machine.run("podman run --rm lxcfs-ts:latest --version"), /^"\d+\.\d+\.\d+"\n$/);
      assert.deepEqual(document.notRun(), []);
    } finally {
      machine.stop();
    }
  });
});
