/**
 * Admission policies as an API server evaluates them, by a library: match conditions, variables in
 * their order, parameters. What is done with the outcome is the tests' own.
 */
import { Environment } from "@marcbachmann/cel-js";
import { parseAllDocuments } from "yaml";
import type { Pod } from "../../src/k8s/api/objects.ts";
import { manifests, type Values } from "./chart.ts";

export interface Policy {
  kind: string;
  metadata: { name: string };
  spec: {
    matchConditions?: { name: string; expression: string }[];
    variables: { name: string; expression: string }[];
    mutations?: { patchType: string; applyConfiguration: { expression: string } }[];
    validations?: { expression: string; messageExpression?: string; message: string }[];
  };
}

/** The ConfigMap that a policy is bound to. */
export interface Params {
  data: Record<string, string>;
}

/** What the chart renders for a cluster that has admission policies, by kind and name. */
export function renderedPolicies(values: Values): (kind: string, name: string) => Policy {
  const text = manifests({ kubeVersion: "v1.36.0", values });
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Policy | null);
  return (kind, name) => {
    const found = objects.find((o) => o?.kind === kind && o.metadata.name === name);
    if (!found) throw new Error(`The chart renders no ${kind} "${name}"`);
    return found;
  };
}

/** What an API server hands to a policy. */
export interface Asked {
  object: Pod;
  oldObject?: Pod | null;
  request: { namespace: string; operation: "CREATE" | "UPDATE" };
}

export class PolicyEvaluator {
  readonly policy: Policy;
  readonly #params: Params | undefined;
  readonly #environment = new Environment({
    homogeneousAggregateLiterals: false,
    unlistedVariablesAreDyn: true,
  });
  readonly #programs = new Map<string, (context: object) => unknown>();

  constructor(policy: Policy, params?: Params) {
    this.policy = policy;
    this.#params = params;
  }

  /** @returns what evaluates an expression for this request; nothing if a match condition says no */
  on({ object, oldObject = null, request }: Asked): ((expression: string) => unknown) | undefined {
    const { matchConditions = [], variables } = this.policy.spec;
    const values: Record<string, unknown> = {};
    const context = { object, oldObject, request, variables: values, params: this.#params };
    const evaluate = (expression: string) => this.#program(expression)(context);
    for (const { expression } of matchConditions)
      if (evaluate(expression) !== true) return undefined;
    for (const { name, expression } of variables) values[name] = evaluate(expression);
    return evaluate;
  }

  #program(expression: string): (context: object) => unknown {
    const known = this.#programs.get(expression);
    if (known) return known;
    const made = this.#environment.parse(asMaps(expression));
    this.#programs.set(expression, made);
    return made;
  }
}

/**
 * `Object.a.b{key: ...}` as `{"key": ...}`: inside such braces every bare word before a colon is a key.
 * It is CEL's syntax for typed objects, which the library does not have; types say nothing about values.
 */
function asMaps(expression: string): string {
  let result = "";
  const open: boolean[] = [];
  const token = /Object(?:\.\w+)*\{|'[^']*'|"[^"]*"|(?<=[{,]\s*)(\w+):|[{}]|[\s\S]/g;
  for (const match of expression.matchAll(token)) {
    const [found, key] = match;
    if (found.startsWith("Object")) {
      open.push(true);
      result += "{";
    } else if (found === "{") {
      open.push(false);
      result += "{";
    } else if (found === "}") {
      open.pop();
      result += "}";
    } else if (key !== undefined && open.at(-1)) result += `"${key}":`;
    else result += found;
  }
  return result;
}
