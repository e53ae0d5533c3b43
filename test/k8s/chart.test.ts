import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Ajv } from "ajv";
import { parseAllDocuments } from "yaml";
import { DEFAULT_FILES, NODE_RUN_DIR, SERVED_FILES } from "../../src/k8s/names.ts";
import { DEFAULT_SETTINGS } from "../../src/k8s/webhook/selection.ts";
import { parseSettings } from "../../src/k8s/webhook/settings.ts";
import type { RenderOptions, Values } from "./chart.ts";
import { GOLDEN, PLAIN } from "./renderings.ts";
import { context, defaultValues, manifests, renderChart, ROOT } from "./chart.ts";
import { TemplateSet } from "./gotemplate.ts";

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
}

function documents(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    assert.deepEqual(document.errors, []);
    const object = document.toJS() as Manifest | null;
    return object === null ? [] : [object];
  });
}

describe("chart", () => {
  for (const [name, options] of Object.entries(GOLDEN)) {
    it(`renders as recorded: ${name}`, () => {
      const file = new URL(`fixtures/k8s/golden/${name}.yaml`, ROOT);
      const text = manifests(options);
      if (process.env["UPDATE_GOLDEN"]) writeFileSync(file, text);
      assert.equal(text, readFileSync(file, "utf8"));
    });

    it(`makes sound manifests: ${name}`, () => {
      const objects = documents(manifests(options));
      const ids = objects.map(
        (o) => `${o.apiVersion}/${o.kind}/${o.metadata.namespace}/${o.metadata.name}`,
      );
      assert.deepEqual(ids, [...new Set(ids)]);
      for (const object of objects) {
        const labels = object.metadata.labels ?? {};
        for (const key of ["name", "instance", "version", "managed-by"])
          assert.ok(labels[`app.kubernetes.io/${key}`], `${object.kind} has ${key}`);
      }
      assert.ok(!manifests(options).includes(":latest"));
      assert.ok(!manifests(options).includes("<no value>"));
    });
  }

  it("has plain manifests that are what it renders", () => {
    for (const [name, options] of Object.entries(PLAIN)) {
      const file = new URL(`chart/manifests/${name}.yaml`, ROOT);
      if (process.env["UPDATE_GOLDEN"]) writeFileSync(file, plain(options));
      assert.equal(readFileSync(file, "utf8"), plain(options));
    }
  });

  it("renders byte for byte what Go's own templates render", (t) => {
    const go = spawnSync("go", ["version"], { encoding: "utf8" });
    if (go.status !== 0)
      return t.skip(
        "no Go here (Debian: golang-go golang-github-masterminds-sprig-dev golang-k8s-sigs-yaml-dev)",
      );
    const templates: Record<string, string> = {};
    for (const file of readdirSync(new URL("chart/templates/", ROOT)))
      templates[file] = readFileSync(new URL(`chart/templates/${file}`, ROOT), "utf8");
    const names = Object.keys(GOLDEN);
    const cases = names.map((name) => {
      const dot = context(GOLDEN[name] ?? {}) as {
        Capabilities: { APIVersions: { Has(n: string): boolean } };
      };
      const known = [
        "policy/v1/PodDisruptionBudget",
        "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy",
      ];
      const served = known.filter((n) => dot.Capabilities.APIVersions.Has(n));
      return { ...dot, Capabilities: { ...dot.Capabilities, APIVersions: served } };
    });
    const program = new URL("test/k8s/gotemplate/main.go", ROOT).pathname;
    const run = spawnSync("go", ["run", program], {
      encoding: "utf8",
      input: JSON.stringify({ templates, cases }),
      env: { ...process.env, GO111MODULE: "off", GOPATH: "/usr/share/gocode", GOFLAGS: "" },
    });
    if (/cannot find package/.test(run.stderr))
      return t.skip(`Go lacks a package: ${run.stderr.split("\n")[0]}`);
    assert.equal(run.stderr, "");
    const outputs = JSON.parse(run.stdout) as Record<string, string>[];
    for (const [index, name] of names.entries()) {
      for (const [file, text] of renderChart(GOLDEN[name] ?? {}))
        assert.equal(text, outputs[index]?.[file], `${name}: ${file}`);
    }
    return undefined;
  });
});

function plain(options: RenderOptions): string {
  const namespace = [
    "apiVersion: v1",
    "kind: Namespace",
    "metadata:",
    "  name: lxcfs",
    "  labels:",
    "    # The agent is privileged; nothing else needs to be.",
    "    pod-security.kubernetes.io/enforce: privileged",
  ].join("\n");
  return `# Rendered from the chart. Change values there, not here.\n${namespace}\n${manifests(options)}`;
}

describe("values", () => {
  const schema = JSON.parse(
    readFileSync(new URL("chart/values.schema.json", ROOT), "utf8"),
  ) as object;
  const validate = new Ajv({ strict: false }).compile(schema);

  it("of the chart and of every golden file are valid", () => {
    assert.ok(validate(defaultValues()), JSON.stringify(validate.errors));
    for (const [name, { values }] of Object.entries(GOLDEN))
      assert.ok(validate(values ?? {}), `${name}: ${JSON.stringify(validate.errors)}`);
  });

  it("that make no sense are refused", () => {
    const bad: Values[] = [
      { injection: { mode: "magic" } },
      { injection: { files: ["pressure"] } },
      { image: { repository: "lxcfs-ts", tag: "latest" } },
      { agent: { runDir: "relative" } },
      { agent: { startupTaint: "no-effect" } },
      { agent: { securityContext: { privileged: false } } },
      { agent: { seLinuxMountContext: "container_file_t" } },
      { validation: { actions: ["Deny", "Warn"] } },
      { webhook: { timeoutSeconds: 60 } },
      { webhook: { certificates: { mode: "provided" } } },
      { unknown: true },
    ];
    for (const values of bad) assert.equal(validate(values), false, JSON.stringify(values));
  });

  it("each knob is in the schema, and each of the schema's is there", () => {
    const schemaKeys = (node: unknown, path = ""): string[] => {
      const { properties } = node as { properties?: Record<string, unknown> };
      if (!properties) return [path];
      return Object.entries(properties).flatMap(([key, value]) =>
        schemaKeys(value, `${path}.${key}`),
      );
    };
    const valueAt = (path: string) =>
      path
        .split(".")
        .slice(1)
        .reduce<unknown>((value, key) => (value as Values)?.[key], defaultValues());
    const missing = schemaKeys(schema).filter(
      (path) => valueAt(path) === undefined && path !== ".global",
    );
    assert.deepEqual(missing, []);
  });

  it("say the same as the program's own defaults", () => {
    const text =
      /settings\.json: \|\n([\s\S]*)$/.exec(renderChart({}).get("configmap.yaml") ?? "")?.[1] ?? "";
    const settings = parseSettings(text);
    const skip = [...DEFAULT_SETTINGS.skipNamespaces, "lxcfs"];
    assert.deepEqual(settings, { ...DEFAULT_SETTINGS, skipNamespaces: skip });
    const { agent, injection } = defaultValues() as { agent: Values; injection: Values };
    assert.equal(agent["runDir"], NODE_RUN_DIR);
    assert.deepEqual(injection["files"], DEFAULT_FILES);
    const files = JSON.stringify([...SERVED_FILES.keys()]);
    const named = JSON.stringify(
      (
        schema as {
          properties: { injection: { properties: { files: { items: { enum: string[] } } } } };
        }
      ).properties.injection.properties.files.items.enum,
    );
    assert.equal(named, files);
  });
});

describe("template renderer", () => {
  const render = (text: string, dot: unknown = {}) => {
    const set = new TemplateSet();
    set.add("t", text);
    return set.render("t", dot);
  };
  it("does what Go's documentation says", () => {
    assert.equal(render("{{23 -}} < {{- 45}}"), "23<45");
    assert.equal(render("{{/* gone */}}a{{- /* b */ -}} c"), "ac");
    assert.equal(render('{{printf "%s-%d" "a" 3 | quote}}'), '"a-3"');
    assert.equal(render("{{if .a}}A{{else if .b}}B{{else}}C{{end}}", { a: 0, b: [1] }), "B");
    assert.equal(
      render("{{range $k, $v := .m}}{{$k}}={{$v}};{{end}}", { m: { b: 2, a: 1 } }),
      "a=1;b=2;",
    );
    assert.equal(render("{{range .l}}{{.}}{{else}}none{{end}}", { l: [] }), "none");
    assert.equal(render("{{with .a}}{{.b}}{{$.c}}{{end}}", { a: { b: 1 }, c: 2 }), "12");
    assert.equal(render('{{define "x"}}<{{.}}>{{end}}{{include "x" "y" | indent 2}}'), "  <y>");
  });
  it("refuses what Go would print as no value, and what it does not know", () => {
    assert.throws(() => render("{{.missing}}"), /no value/);
    assert.throws(() => render("{{.a.b}}"), /\.a of undefined|\.b of undefined/);
    assert.throws(() => render("{{nosuch 1}}"), /no function nosuch/);
    assert.throws(() => render("{{if .a}}"), /has no end/);
    assert.throws(() => render("{{end}}"), /without a beginning/);
  });
});
