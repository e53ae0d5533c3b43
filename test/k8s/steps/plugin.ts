/** `kubectl lxcfs`: pods that run already are looked at, repaired and debugged. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { it } from "node:test";
import { stringify } from "yaml";
import { APPS, MEMORY_KB, NAMESPACE, PLAIN, type World } from "../world.ts";
import { fromOutside } from "./attaching.ts";
import { needsNode } from "./installation.ts";

export function plugin(world: World): void {
  const { cluster } = world;

  it("repairs a running pod on demand, also one that shares its pids, and undoes it", async () => {
    const containers = [world.container("app"), world.container("side", { memory: "64Mi" })];
    await world.create(
      PLAIN,
      world.pod("shared", labels("pair"), { shareProcessNamespace: true, containers }),
      world.pod("other", labels("pair")),
    );
    await world.ready(PLAIN, "shared", "other");
    assert.ok((await world.total(PLAIN, "shared")) > MEMORY_KB);
    const before = await world.plugin("doctor", "-n", PLAIN, "shared");
    assert.equal(before.code, 1, before.stderr);
    assert.match(
      before.stdout,
      /^warning .*sees the node's files: neither its namespace nor itself is labelled .*\n +kubectl lxcfs attach POD$/m,
    );
    await world.pluginSays("attach", "-n", PLAIN, "shared");
    assert.equal(await world.total(PLAIN, "shared"), MEMORY_KB);
    assert.equal(await world.total(PLAIN, "shared", "side"), 64 * 1024);
    assert.match(await world.pluginSays("doctor", "-n", PLAIN, "shared"), /memory 64M/);
    await world.pluginSays("detach", "-n", PLAIN, "shared", "-c", "app");
    assert.ok((await world.total(PLAIN, "shared")) > MEMORY_KB);
    assert.equal(await world.total(PLAIN, "shared", "side"), 64 * 1024);
    assert.equal((await world.plugin("attach", "-n", PLAIN, "nobody")).code, 3);
  });

  it("takes pods by their labels", async () => {
    const said = await world.pluginSays("attach", "-n", PLAIN, "-l", "group=pair");
    assert.match(said, /\/shared:[^]*\/other:|\/other:[^]*\/shared:/);
    for (const name of ["shared", "other"])
      assert.equal(await world.total(PLAIN, name), MEMORY_KB, name);
    await world.pluginSays("detach", "-n", PLAIN, "-l", "group=pair");
    assert.ok((await world.total(PLAIN, "other")) > MEMORY_KB);
  });

  it("shows and explains what a pod sees", async () => {
    const show = await world.pluginSays("show", "meminfo", "shared", "-n", PLAIN, "-c", "side");
    assert.match(show, /^MemTotal: +65536 kB/);
    const explain = await world.pluginSays("explain", "meminfo", "shared", "-n", PLAIN);
    assert.match(explain, /MemTotal/);
    assert.match(explain, /memory\.(?:limit_in_bytes|max)/);
    const doctor = await world.pluginSays("doctor");
    assert.match(doctor, /^node [^]*ok +server: .*\/fs: \d/m);
    for (const [name, why] of [
      ["out", /: it opts out by a label/],
      ["host-pid", /: it is there to look at the node/],
    ] as const)
      assert.match((await world.plugin("doctor", "-n", APPS, name)).stdout, why);
    // Those whom nobody wants attached are not missed.
    assert.match(doctor, /ok +containers: all \d+ have their files/);
  });

  it("repairs an image with nothing in it", { skip: needsNode(world) }, async () => {
    const bare = world.container("app", { image: "bare:e2e" });
    await world.create(
      PLAIN,
      world.pod("bare", {}, { containers: [{ ...bare, command: ["/server"] }] }),
    );
    await world.ready(PLAIN, "bare");
    assert.ok((await fromOutside(world, PLAIN, "bare")) > MEMORY_KB);
    await world.pluginSays("attach", "-n", PLAIN, "bare");
    assert.equal(await fromOutside(world, PLAIN, "bare"), MEMORY_KB);
    await world.pluginSays("detach", "-n", PLAIN, "bare");
    assert.ok((await fromOutside(world, PLAIN, "bare")) > MEMORY_KB);
  });

  it("debugs with the target's view, in an ephemeral container", async (t) => {
    const args = ["debug", "shared", "-n", PLAIN, "-c", "side", "--image", world.podImage];
    const { code, stdout, stderr } = await world.plugin(...args, "--", "free", "-k");
    const without = noEphemeral(stderr);
    if (without !== undefined) return t.skip(without);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^Mem: +65536 /m, stderr);
    return undefined;
  });

  it("works with a token or an exec credential and a few rights, and not without", async () => {
    const dir = mkdtempSync(`${tmpdir()}/lxcfs-kubeconfig-`);
    try {
      await world.apply(...account("operator", ["create"]), ...account("onlooker", []));
      const operator = await token(world, "operator");
      const credential = `${dir}/credential`;
      writeFileSync(
        credential,
        `#!/bin/sh\necho '{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"token":"${operator}"}}'\n`,
        { mode: 0o755 },
      );
      const exec = { apiVersion: "client.authentication.k8s.io/v1beta1", command: credential };
      const users: [string, object, number][] = [
        ["token", { token: operator }, 0],
        ["exec", { exec }, 0],
        ["onlooker", { token: await token(world, "onlooker") }, 1],
      ];
      for (const [name, user, expected] of users) {
        writeFileSync(`${dir}/${name}`, kubeconfig(world, user));
        const { code, stdout, stderr } = await world.plugin(
          ...["attach", "-n", PLAIN, "other", "--agent-namespace", NAMESPACE],
          ...["--kubeconfig", `${dir}/${name}`],
        );
        assert.equal(code, expected, `${name}: ${stdout}${stderr}`);
        if (expected !== 0) assert.match(stderr, /forbidden/i);
      }
      assert.equal(await world.total(PLAIN, "other"), MEMORY_KB);
      await world.pluginSays("detach", "-n", PLAIN, "other");
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it("an ephemeral container of kubectl's own is given its files, too", async (t) => {
    const args = ["-n", APPS, "debug", "web", "--image", world.podImage, "--container", "eph"];
    const web = (await world.list(APPS, "pods", "-l", "app=web", "-o", "name"))[0] ?? "";
    args[3] = web.replace("pod/", "");
    const { code, stderr } = await cluster.run(cluster.kubectlPath, [
      ...[...args, "--quiet", "--attach=false", "--", "sh", "-c"],
      "exec sleep 1000000",
    ]);
    const without = code === 0 ? undefined : noEphemeral(stderr);
    if (without !== undefined) return t.skip(without);
    assert.equal(code, 0, stderr);
    // It has no limit of its own: the pod's counts, which is that of its one container.
    await world.sees(APPS, args[3], MEMORY_KB, "eph");
    return undefined;
  });
}

/** Why an ephemeral container cannot even be asked for, by what kubectl said. */
function noEphemeral(stderr: string): string | undefined {
  if (/ephemeral containers are disabled|could not find the requested resource/.test(stderr))
    return "this cluster has no ephemeral containers";
  if (/no kind "EphemeralContainers" is registered/.test(stderr))
    return "this kubectl is too new for the ephemeral containers of this cluster";
  return undefined;
}

function labels(group: string): object {
  return { labels: { group } };
}

/** An account that may look at pods, and do `verbs` with exec into the agent's. */
function account(name: string, verbs: readonly string[]): object[] {
  const rbac = "rbac.authorization.k8s.io";
  const subjects = [{ kind: "ServiceAccount", name, namespace: PLAIN }];
  const role = (namespace: string, rules: object[]) => [
    { apiVersion: `${rbac}/v1`, kind: "Role", metadata: { name, namespace }, rules },
    {
      apiVersion: `${rbac}/v1`,
      kind: "RoleBinding",
      metadata: { name, namespace },
      roleRef: { apiGroup: rbac, kind: "Role", name },
      subjects,
    },
  ];
  const look = { apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] };
  const exec = { apiGroups: [""], resources: ["pods/exec"], verbs };
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace: PLAIN } },
    ...role(PLAIN, [look]),
    ...role(NAMESPACE, verbs.length > 0 ? [look, exec] : [look]),
  ];
}

/** A token of an account, good for an hour: what `kubectl create token` asks for. */
export async function token(world: World, name: string, namespace = PLAIN): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
  const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
  const answer = await world.cluster.kubectl(
    ["create", "--raw", path, "-f", "-"],
    JSON.stringify(request),
  );
  return (JSON.parse(answer) as { status: { token: string } }).status.token;
}

function kubeconfig(world: World, user: object): string {
  const { server, ca } = world.cluster.server;
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    clusters: [
      {
        name: "c",
        cluster: { server, "certificate-authority-data": Buffer.from(ca()).toString("base64") },
      },
    ],
    users: [{ name: "u", user }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
  });
}
