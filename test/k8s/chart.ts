/**
 * Renders the chart as `helm template` does: values over the chart's own, a release, a cluster's
 * abilities in; the manifests out. With `--golden` or as a library for tests and for `install`.
 *   node dist/test/k8s/chart.js [--set-file VALUES.yaml] [--namespace NS] [--name NAME] [--kube 1.30]
 */
import { readdirSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import { TemplateSet } from "./gotemplate.ts";

/** The repository's root, from dist/test/k8s. */
export const ROOT: URL = new URL("../../../", import.meta.url);
const CHART = new URL("chart/", ROOT);

export type Values = Record<string, unknown>;

export interface RenderOptions {
  values?: Values;
  name?: string;
  namespace?: string;
  /** As `v1.30.2`. */
  kubeVersion?: string;
  /** As `policy/v1/PodDisruptionBudget`; what a cluster of `kubeVersion` serves when not given. */
  apiVersions?: readonly string[];
}

/** File name -> rendered text, without templates that render to nothing. */
export function renderChart(options: RenderOptions = {}): Map<string, string> {
  const templates = new TemplateSet();
  const files = readdirSync(new URL("templates/", CHART)).toSorted();
  for (const file of files)
    templates.add(file, readFileSync(new URL(`templates/${file}`, CHART), "utf8"));
  const dot = context(options);
  const rendered = new Map<string, string>();
  for (const file of files) {
    if (file.startsWith("_")) continue;
    const text = templates.render(file, dot);
    if (text.trim() !== "") rendered.set(file, text);
  }
  return rendered;
}

/** All manifests in one text, in the order of their files; NOTES.txt is none of them. */
export function manifests(options: RenderOptions = {}): string {
  let text = "";
  for (const [file, rendered] of renderChart(options)) {
    if (file === "NOTES.txt") continue;
    text += `---\n# Source: ${file}\n${rendered.replace(/^\n+/, "").replace(/\n*$/, "\n")}`;
  }
  return text;
}

/** What templates see as `.`. */
export function context(options: RenderOptions): object {
  const chart = parse(readFileSync(new URL("Chart.yaml", CHART), "utf8")) as Record<string, string>;
  const version = options.kubeVersion ?? "v1.30.0";
  const served = new Set(options.apiVersions ?? defaultApiVersions(version));
  return {
    Values: merge(defaultValues(), options.values ?? {}),
    Release: {
      Name: options.name ?? "lxcfs",
      Namespace: options.namespace ?? "lxcfs",
      Service: "Helm",
    },
    Chart: { Name: chart["name"], Version: chart["version"], AppVersion: chart["appVersion"] },
    Capabilities: {
      KubeVersion: { Version: version },
      APIVersions: { Has: (name: string) => served.has(name) },
    },
  };
}

/** The chart's own values. */
export function defaultValues(): Values {
  return parse(readFileSync(new URL("values.yaml", CHART), "utf8")) as Values;
}

function defaultApiVersions(version: string): string[] {
  const minor = Number(/^v1\.(\d+)/.exec(version)?.[1]);
  const found = minor >= 21 ? ["policy/v1/PodDisruptionBudget"] : [];
  if (minor >= 36) found.push("admissionregistration.k8s.io/v1/MutatingAdmissionPolicy");
  return found;
}

/** Maps are merged, everything else is replaced: as helm does with values. */
export function merge(base: Values, over: Values): Values {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    merged[key] = isMap(old) && isMap(value) ? merge(old, value) : value;
  }
  return merged;
}

function isMap(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
