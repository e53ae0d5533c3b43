import assert from "node:assert/strict";
import { test } from "node:test";
import { containerPathOf, isAtOrBelow, type ProcessPlace } from "./container_path.ts";

function place(path: string, ...mountRoots: string[]): ProcessPlace {
  return { path, mountRoots };
}

const POD = "/kubepods/burstable/pod01234567-89ab-cdef-0123-456789abcdef";
const ID = "4a53e1f0c2b14a53e1f0c2b14a53e1f0c2b14a53e1f0c2b14a53e1f0c2b14a53";

test("a path is below itself and its ancestors, not below a namesake's prefix", () => {
  assert.equal(isAtOrBelow("/a/b", "/a"), true);
  assert.equal(isAtOrBelow("/a", "/a"), true);
  assert.equal(isAtOrBelow("/ab", "/a"), false);
  assert.equal(isAtOrBelow("/ab", "/"), true);
});

const cases: [string, ProcessPlace, ProcessPlace | undefined, string | undefined][] = [
  [
    "a host process is in no container",
    place("/user.slice/session-1.scope", "/"),
    undefined,
    undefined,
  ],
  ["a plain pid namespace is led by its init", place("/a/b"), place("/a", "/"), "/a"],
  [
    "init elsewhere, caller in a named scope",
    place("/lxc.payload.c/x"),
    place("/a/init.scope"),
    "/lxc.payload.c",
  ],
  [
    "systemd in LXC: all its services",
    place("/lxc.payload.c/system.slice"),
    place("/lxc.payload.c/init.scope"),
    "/lxc.payload.c",
  ],
  ["systemd without a scope name", place("/a/system.slice"), place("/a/init.scope"), "/a"],
  [
    "shared pid namespace: the container, not pause",
    place(`${POD}/${ID}`),
    place(`${POD}/aaaa`),
    `${POD}/${ID}`,
  ],
  ["hostPID pod: its scope", place(`${POD}/${ID}`), undefined, `${POD}/${ID}`],
  ["hostPID pod with a mounted root", place(`/x/${ID}/sub`, `/x/${ID}`), undefined, `/x/${ID}`],
  [
    "docker in docker: init moved aside",
    place(`/docker/${ID}/app`),
    place(`/docker/${ID}/init`),
    `/docker/${ID}`,
  ],
  [
    "nested container: the inner one",
    place(`/docker/${ID}/docker/${ID}`),
    place(`/docker/${ID}/docker/${ID}`),
    `/docker/${ID}/docker/${ID}`,
  ],
  [
    "nested, outer mounts only",
    place(`/lxc/web/docker/${ID}`, "/lxc/web"),
    place(`/lxc/web/docker/${ID}`, "/lxc/web"),
    `/lxc/web/docker/${ID}`,
  ],
  ["entered from outside, own cgroup kept", place("/user.slice"), place("/a"), "/a"],
  ["entered with the cgroup namespace", place("/user.slice", "/a"), place("/a/b", "/a"), "/a"],
  ["an init in the root leads nothing", place("/"), place("/"), undefined],
  ["init placed elsewhere, caller's own namespace root", place("/b/c", "/b"), place("/a"), "/b"],
  [
    "podman",
    place(`/machine.slice/libpod-${ID}.scope/container`),
    place(`/machine.slice/libpod-${ID}.scope/container`),
    `/machine.slice/libpod-${ID}.scope`,
  ],
];

for (const [name, caller, init, expected] of cases) {
  test(name, () => {
    assert.equal(containerPathOf(caller, init), expected);
  });
}
