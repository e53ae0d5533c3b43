/** What tests of different engines share: an image for them, and what a container sees of itself. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keyedNumbers } from "../support/parse.ts";
import { run } from "../support/run.ts";
import type { Machine } from "./machine.ts";

/** The limit of every container here: 256 MiB, as /proc/meminfo tells it. */
export const LIMIT_KB = 262_144;

/** Asserts that `meminfo` (whole, or its first line) is that of a container with the limit. */
export function assertLimited(meminfo: string): void {
  assert.equal(keyedNumbers(meminfo).get("MemTotal"), LIMIT_KB, meminfo);
}

/** Asserts that it is the machine's. */
export function assertUnlimited(meminfo: string): void {
  const total = keyedNumbers(readFileSync("/proc/meminfo", "utf8")).get("MemTotal");
  assert.equal(keyedNumbers(meminfo).get("MemTotal"), total, meminfo);
}

/** A root filesystem of busybox alone, as a tar archive. @returns its path in the machine */
export function busyboxArchive(machine: Machine): string {
  const root = `${machine.directory}/image`;
  machine.run(`mkdir -p ${root}/bin ${root}/proc ${root}/sys ${root}/dev ${root}/etc ${root}/tmp
cp "$(command -v busybox)" ${root}/bin/busybox
for applet in sh cat head sleep ls mount; do ln -s busybox ${root}/bin/$applet; done
tar -C ${root} -cf ${root}.tar .`);
  return `${root}.tar`;
}

/** The same as an OCI image archive with a name. `scratch` is a directory seen by test and machine. */
export function ociArchive(machine: Machine, scratch: string, name: string): string {
  const blobs = join(scratch, "oci/blobs/sha256");
  mkdirSync(blobs, { recursive: true });
  machine.run(`cp ${busyboxArchive(machine)} ${scratch}/layer.tar`);
  const add = (content: Buffer | string, mediaType: string): object => {
    const hex = createHash("sha256").update(content).digest("hex");
    writeFileSync(join(blobs, hex), content);
    const size = Buffer.byteLength(content);
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest: `sha256:${hex}`, size };
  };
  const layer = readFileSync(join(scratch, "layer.tar"));
  const diffId = `sha256:${createHash("sha256").update(layer).digest("hex")}`;
  const architecture = { x64: "amd64", arm64: "arm64" }[process.arch as string];
  const image = { architecture, os: "linux", rootfs: { type: "layers", diff_ids: [diffId] } };
  const manifest = {
    schemaVersion: 2,
    config: add(JSON.stringify({ ...image, config: { Cmd: ["sh"] } }), "config.v1+json"),
    layers: [add(layer, "layer.v1.tar")],
  };
  const annotations = {
    "io.containerd.image.name": name,
    "org.opencontainers.image.ref.name": name,
  };
  const entry = { ...add(JSON.stringify(manifest), "manifest.v1+json"), annotations };
  const index = { schemaVersion: 2, manifests: [entry] };
  writeFileSync(join(scratch, "oci/index.json"), JSON.stringify(index));
  writeFileSync(join(scratch, "oci/oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  run(["tar", "-C", join(scratch, "oci"), "-cf", join(scratch, "image.tar"), "."]);
  return join(scratch, "image.tar");
}

/** podman's settings: no systemd, no network of the real machine's, layers as plain directories. */
export const PODMAN_CONFIGURATION = `mkdir -p /etc/containers
cat >/etc/containers/containers.conf <<'END'
[containers]
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
END
cat >/etc/containers/storage.conf <<'END'
[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
END`;

/**
 * A bundle as `spec` writes it, of busyboxArchive's image, run as the container `web`.
 * @param more further members of its config.json, in place of those it has
 */
export function runBundle(
  machine: Machine,
  runtime: string,
  { more = {}, limited = true }: { readonly more?: object; readonly limited?: boolean } = {},
): void {
  const bundle = `${machine.directory}/bundle-${runtime}`;
  const edit = `const fs = require("fs"), path = "${bundle}/config.json";
    const config = JSON.parse(fs.readFileSync(path)); config.process.terminal = false;
    config.process.args = ["sleep", "1000"]; config.root.path = "${machine.directory}/image";
    config.linux.cgroupsPath = "/${runtime}-web";
    if (${limited}) config.linux.resources.memory = { limit: ${LIMIT_KB} * 1024 };
    fs.writeFileSync(path, JSON.stringify(Object.assign(config, ${JSON.stringify(more)})));`;
  machine.run(`rm -rf ${bundle}; mkdir ${bundle}; cd ${bundle}; ${runtime} spec
node -e '${edit}'
${runtime} run -d web </dev/null >log 2>&1 || { cat log >&2; exit 1; }`);
}
