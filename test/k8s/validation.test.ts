/** The chart's ValidatingAdmissionPolicies, evaluated as an API server does. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Container, Pod, Volume } from "../../src/k8s/api/objects.ts";
import { SERVED_FILES } from "../../src/k8s/names.ts";
import { mutatePod } from "../../src/k8s/webhook/mutate.ts";
import { DEFAULT_SETTINGS } from "../../src/k8s/webhook/selection.ts";
import { type Policy, PolicyEvaluator, renderedPolicies } from "./cel.ts";
import type { Values } from "./chart.ts";
import { anyPod, applied, recorded, reviewNames } from "./reviews.ts";

type Operation = "CREATE" | "UPDATE";

/** What a policy says against a pod: the messages. */
function judge(policy: Policy): (pod: Pod, operation?: Operation) => string[] {
  const evaluator = new PolicyEvaluator(policy);
  return (pod, operation = "CREATE") => {
    const evaluate = evaluator.on({ object: pod, request: { namespace: "default", operation } });
    if (!evaluate) return [];
    return (policy.spec.validations ?? [])
      .filter(({ expression }) => evaluate(expression) !== true)
      .map(({ message, messageExpression }) =>
        messageExpression === undefined ? message : String(evaluate(messageExpression)),
      );
  };
}

function rendered(kind: "directories" | "annotations", values: Values = {}) {
  const policies = renderedPolicies({
    injection: { mode: "policy" },
    validation: { enabled: true },
    ...values,
  });
  return judge(policies("ValidatingAdmissionPolicy", `lxcfs-${kind}`));
}

function podWith(path: string, mount: object, kind: keyof NonNullable<Pod["spec"]> = "containers") {
  const app: Container = { name: "app" };
  const other: Container = {
    name: "other",
    volumeMounts: [{ name: "v", mountPath: "/m", ...mount }],
  };
  const volumes: Volume[] = [{ name: "v", hostPath: { path } }];
  return { spec: { containers: [app], volumes, [kind]: [other] } } as Pod;
}

const READ = { readOnly: true };

describe("the policy for the agent's directories", () => {
  const refuse = rendered("directories");

  it("lets pass what the webhook has done to any recorded pod", () => {
    for (const name of reviewNames()) {
      const { pod } = recorded(name);
      const injected = applied(pod, mutatePod(pod, "default", DEFAULT_SETTINGS).patch);
      assert.deepEqual(refuse(injected), [], name);
    }
  });

  it("refuses other paths of the agent's than the served files, however they are written", () => {
    for (const path of [
      "/run/lxcfs-ts",
      "/run/lxcfs-ts/",
      "/run/lxcfs-ts/run",
      "/run/lxcfs-ts/fs",
      "/run/lxcfs-ts/fs/containers/web/proc/meminfo",
      "/var/run/lxcfs-ts/run",
      "//run/./lxcfs-ts//run",
      "/var//run/lxcfs-ts",
      "/var/lib/lxcfs-ts/0123456789abcdef/usr",
    ])
      assert.deepEqual(
        refuse(podWith(path, READ)),
        ["volumes v: of /run/lxcfs-ts only what is below fs/proc and fs/sys can be mounted"],
        path,
      );
    for (const path of ["/run/lxcfs-ts-other", "/run/lxcfs", "/run", "/data/run/lxcfs-ts", "/"])
      assert.deepEqual(refuse(podWith(path, {})), [], path);
  });

  it("refuses the served files where they could be written to, in containers of every kind", () => {
    const served = "/run/lxcfs-ts/fs/proc/meminfo";
    const said = [
      "containers other: what is below /run/lxcfs-ts can be mounted with readOnly alone",
    ];
    for (const kind of ["containers", "initContainers"] as const) {
      assert.deepEqual(refuse(podWith(served, READ, kind)), []);
      assert.deepEqual(refuse(podWith(served, {}, kind)), said);
      assert.deepEqual(refuse(podWith(served, { readOnly: false }, kind)), said);
      const both = { readOnly: true, mountPropagation: "Bidirectional" };
      assert.deepEqual(refuse(podWith(served, both, kind)), said);
    }
    // What a pod was made with before the policy was there does not keep anybody from debugging it.
    assert.deepEqual(refuse(podWith(served, {}), "UPDATE"), []);
    const ephemeral = podWith(served, {}, "ephemeralContainers");
    assert.deepEqual(refuse(ephemeral, "UPDATE"), said);
    assert.deepEqual(refuse(podWith(served, READ, "ephemeralContainers"), "UPDATE"), []);
  });

  it("goes by where the chart says the directories are", () => {
    const agent = { runDir: "/var/run/views", installDir: "/opt/views" };
    const elsewhere = rendered("directories", { agent });
    for (const path of ["/run/views", "/var/run/views/run", "/opt/views/x"])
      assert.equal(elsewhere(podWith(path, READ)).length, 1, path);
    for (const path of ["/run/views/fs/proc/stat", "/run/lxcfs-ts", "/opt/other"])
      assert.deepEqual(elsewhere(podWith(path, READ)), [], path);
  });

  it("comes to an answer for any pod: an error would refuse it", () => {
    fc.assert(
      fc.property(
        anyPod,
        fc.constantFrom<Operation>("CREATE", "UPDATE"),
        (generated, operation) => {
          const pod = { ...generated, spec: { containers: [], ...withoutNull(generated.spec) } };
          for (const message of refuse(pod, operation))
            assert.match(message, /^(?:volumes|containers) /);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("the policy for annotations", () => {
  const warn = rendered("annotations");
  const files = fc.constantFrom("meminfo", " cpu", "", "pressure", "nonsense", "uptime,odd");
  const annotations = fc.record(
    {
      "lxcfs.io/files": files,
      "lxcfs.io/cpu-policy": fc.constantFrom("quota", "cpus=3", "cpus=0", "cpus=", "Quota", ""),
      "lxcfs.io/boundary": fc.constantFrom("pod", "container", "node", ""),
      other: fc.constant("x"),
    },
    { requiredKeys: [] },
  );

  it("warns of as many things as the webhook does", () => {
    fc.assert(
      fc.property(annotations, (chosen) => {
        const pod: Pod = { metadata: { annotations: chosen }, spec: { containers: [] } };
        const { warnings } = mutatePod(pod, "default", DEFAULT_SETTINGS);
        // Of several files that do not exist the webhook says each.
        const kinds = new Set(warnings.map((text) => /lxcfs\.io\/\S+|pressure/.exec(text)?.[0]));
        const said = warn(pod);
        assert.equal(said.length, kinds.size, `${said.join()}: ${warnings.join()}`);
      }),
    );
  });

  it("names what is wrong, and what would be right", () => {
    const pod = (files: string): Pod => ({
      metadata: { annotations: { "lxcfs.io/files": files } },
      spec: { containers: [] },
    });
    const known = [...SERVED_FILES.keys()].join(", ");
    assert.deepEqual(warn(pod("meminfo, memory")), [
      `annotation lxcfs.io/files names memory: expected some of ${known}`,
    ]);
    // Where the agent attaches, it attaches those, too.
    const attaching = rendered("annotations", { injection: { mode: "attach" } });
    assert.deepEqual(attaching(pod("meminfo,pressure")), []);
    assert.deepEqual(warn({ metadata: {}, spec: { containers: [] } }), []);
  });
});

function withoutNull(spec: Pod["spec"]): object {
  return JSON.parse(
    JSON.stringify(spec ?? {}, (_key, value: unknown) => (value === null ? undefined : value)),
  ) as object;
}
