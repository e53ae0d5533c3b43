/**
 * Least rights, shown with the real authorizer: what agent and webhook ask of the API server works
 * with exactly the rules that the chart gives them, and each of these, taken away, breaks something.
 */
import assert from "node:assert/strict";
import { it } from "node:test";
import { parseAllDocuments } from "yaml";
import { removeStartupTaint } from "../../../src/k8s/agent/taint.ts";
import { isUninstalled } from "../../../src/k8s/agent/uninstall.ts";
import { PodDirectory } from "../../../src/k8s/agent/pods.ts";
import { ApiClient } from "../../../src/k8s/api/client.ts";
import { firstState, DEFAULT_TIMES } from "../../../src/k8s/webhook/rotation.ts";
import { BundlePublisher, SecretStore } from "../../../src/k8s/webhook/secret.ts";
import { eventually } from "../cluster.ts";
import { APPS, type World } from "../world.ts";
import { token } from "./plugin.ts";

/** An installation whose rights are played with: no pods, and a configuration that selects nobody. */
const RELEASE = "rights";
const SPACE = "lxcfs-e2e-rights";
const TAINT = "lxcfs.io/rights=probe:PreferNoSchedule";

interface Rule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
  rules?: Rule[];
}

const KINDS = new Set([
  ...["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"],
  ...["Secret", "MutatingWebhookConfiguration"],
]);

export function rights(world: World): void {
  const { cluster } = world;
  let objects: Manifest[] = [];
  let works: Map<string, () => Promise<void>>;

  /** What fails of everything that agent and webhook do. */
  const failing = async () => {
    const failed: string[] = [];
    for (const [name, work] of works)
      await work().catch((error: unknown) => failed.push(`${name}: ${String(error)}`));
    return failed;
  };

  it("agent and webhook do all they do with the chart's rules", async () => {
    await world.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: SPACE } });
    const text = await world.render(
      {
        agent: { startupTaint: TAINT, nodeSelector: { nowhere: "yes" } },
        webhook: { replicas: 0 },
        injection: {
          namespaceLabels: [{ name: "no", key: "nobody", value: "ever" }],
          podOptIn: false,
        },
      },
      RELEASE,
      SPACE,
    );
    const all = parseAllDocuments(text).map((document) => document.toJS() as Manifest);
    objects = all.filter(({ kind }) => KINDS.has(kind));
    await world.apply(...all);
    works = await everyWork(world);
    await eventually(async () => assert.deepEqual(await failing(), []), 15);
  });

  it("each rule that is taken away breaks something", async (t) => {
    const roles = objects.filter(({ rules }) => rules);
    let tried = 0;
    for (const role of roles) {
      for (const [right, rules] of withoutEach(role.rules ?? [])) {
        await world.apply({ ...role, rules });
        await eventually(
          async () => assert.notDeepEqual(await failing(), [], `${role.kind} without ${right}`),
          10,
        );
        tried++;
      }
      await world.apply(role);
      await eventually(async () => assert.deepEqual(await failing(), []), 10);
    }
    t.diagnostic(`${tried} rights`);
    assert.ok(tried >= 8);
  });

  it("and they may do nothing besides", async () => {
    const asked: [string, string[]][] = [
      ["agent", ["create", "pods"]],
      ["agent", ["delete", "pods"]],
      ["agent", ["get", "secrets"]],
      ["agent", ["create", "pods/exec"]],
      ["agent", ["update", "daemonsets.apps"]],
      ["agent", ["list", "nodes"]],
      ["webhook", ["list", "secrets"]],
      ["webhook", ["get", "secrets/another"]],
      ["webhook", ["create", "secrets"]],
      ["webhook", ["get", "pods"]],
      ["webhook", ["patch", "mutatingwebhookconfigurations/another"]],
      ["webhook", ["delete", "mutatingwebhookconfigurations"]],
    ];
    for (const [who, what] of asked) {
      const as = `--as=system:serviceaccount:${SPACE}:${RELEASE}-${who}`;
      const args = ["auth", "can-i", ...what, as, "-n", SPACE];
      const { stdout } = await cluster.run(cluster.kubectlPath, args);
      assert.equal(stdout.trim(), "no", `${who}: ${what.join(" ")}`);
    }
    const cleared = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    await cluster.kubectl([
      "-n",
      SPACE,
      "delete",
      "--wait=false",
      ...cleared,
      "daemonset/rights-agent",
    ]);
    await cluster.kubectl(["delete", "namespace", SPACE, "--wait=false"]);
  });
}

/** Everything that is asked of the API server, by the code that asks it and with its account. */
async function everyWork(world: World): Promise<Map<string, () => Promise<void>>> {
  const { cluster } = world;
  const as = async (name: string) => {
    const bearer = await token(world, `${RELEASE}-${name}`, SPACE);
    const headers = () => ({ authorization: `Bearer ${bearer}` });
    return new ApiClient({ ...cluster.server, headers });
  };
  const [agent, webhook] = [await as("agent"), await as("webhook")];
  const node = (await world.list(APPS, "nodes", "-o", "name"))[0]?.replace("node/", "") ?? "";
  const store = new SecretStore(webhook, SPACE, `${RELEASE}-webhook-tls`);
  const publisher = new BundlePublisher(webhook, `${RELEASE}-webhook`);
  const state = firstState(["rights"], Date.now(), DEFAULT_TIMES);
  let generation = 0;
  return new Map([
    [
      "pods of the node",
      async () => {
        const pods = await new PodDirectory(agent, node).refresh();
        assert.ok(pods.size > 0);
      },
    ],
    [
      "labels of a namespace",
      async () => {
        const labels = await new PodDirectory(agent, node).namespaceLabels(APPS);
        assert.equal(labels["lxcfs.io/inject"], "enabled");
      },
    ],
    [
      "whether it is installed",
      async () => {
        assert.equal(await isUninstalled(agent, `${SPACE}/${RELEASE}-agent`), false);
      },
    ],
    [
      "the startup taint",
      async () => {
        await cluster.kubectl(["taint", "node", node, TAINT, "--overwrite"]);
        await removeStartupTaint(agent, node, TAINT);
        const taints = await world.field(APPS, `node/${node}`, ".spec.taints");
        assert.doesNotMatch(taints, /lxcfs.io\/rights/);
      },
    ],
    [
      "its Secret",
      async () => {
        assert.equal(
          await store.write(await store.read(), { ...state, steppedMs: generation++ }),
          true,
        );
      },
    ],
    [
      "its configuration",
      async () => {
        assert.equal(await publisher.publish(`bundle ${generation++}`), "put");
      },
    ],
  ]);
}

/** The rules without each single verb on each single resource, and what it is that they lack. */
function* withoutEach(rules: readonly Rule[]): Generator<[string, Rule[]]> {
  for (const [index, rule] of rules.entries())
    for (const resource of rule.resources)
      for (const verb of rule.verbs) {
        const others = rule.resources.filter((name) => name !== resource);
        const verbs = rule.verbs.filter((name) => name !== verb);
        const left = [
          ...(others.length > 0 ? [{ ...rule, resources: others }] : []),
          ...(verbs.length > 0 ? [{ ...rule, resources: [resource], verbs }] : []),
        ];
        yield [
          `${verb} ${resource}`,
          [...rules.slice(0, index), ...left, ...rules.slice(index + 1)],
        ];
      }
}
