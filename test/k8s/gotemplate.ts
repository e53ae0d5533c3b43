/**
 * The part of Go's text/template that the chart uses, so that its templates render where there is
 * no helm. Stricter than Go: what Go prints as `<no value>` is an error here. `gotemplate/main.go`
 * renders the same with Go's own implementation; the golden files were made to agree with it.
 */
import { createHash } from "node:crypto";
import { stringify } from "yaml";

type Value = unknown;
type Func = (...args: Value[]) => Value;

/** What was wrong where. */
export class TemplateError extends Error {
  constructor(file: string, what: string, cause?: unknown) {
    super(`Cannot render ${file}: ${what}`, { cause });
    this.name = "TemplateError";
  }
}

type Node =
  | { kind: "text"; text: string }
  | { kind: "print"; pipe: Pipe }
  | { kind: "set"; name: string; pipe: Pipe }
  | { kind: "if" | "with"; pipe: Pipe; body: Node[]; otherwise: Node[] }
  | { kind: "range"; names: string[]; pipe: Pipe; body: Node[]; otherwise: Node[] };

/** Commands of a pipeline; each one's result is the next one's last argument. */
type Pipe = Operand[][];

type Operand =
  | { kind: "value"; value: Value }
  | { kind: "func"; name: string }
  | { kind: "path"; start: "." | string; fields: string[] }
  | { kind: "pipe"; pipe: Pipe; fields: string[] };

interface Scope {
  dot: Value;
  names: Map<string, Value>;
}

/** A set of files that may `include` what any of them defines. */
export class TemplateSet {
  readonly #defined = new Map<string, { file: string; body: Node[] }>();
  readonly #files = new Map<string, Node[]>();

  /** Parses a file. @throws TemplateError */
  add(file: string, text: string): void {
    const parser = new Parser(file, text, (name, body) => this.#defined.set(name, { file, body }));
    this.#files.set(file, parser.parse());
  }

  /** Renders one of the files. @throws TemplateError */
  render(file: string, dot: Value): string {
    const body = this.#files.get(file);
    if (!body) throw new TemplateError(file, "no such template");
    return this.#run(file, body, dot);
  }

  #run(file: string, body: Node[], dot: Value): string {
    const evaluator = new Evaluator(file, (name, argument) => {
      const found = this.#defined.get(String(name));
      if (!found) throw new TemplateError(file, `nothing defines "${String(name)}"`);
      return this.#run(found.file, found.body, argument);
    });
    return evaluator.nodes(body, { dot, names: new Map([["$", dot]]) });
  }
}

class Parser {
  readonly #file: string;
  readonly #define: (name: string, body: Node[]) => void;
  readonly #parts: { text?: string; action?: string }[] = [];
  #at = 0;

  constructor(file: string, text: string, define: (name: string, body: Node[]) => void) {
    this.#file = file;
    this.#define = define;
    this.#split(text);
  }

  parse(): Node[] {
    const { nodes, end } = this.#nodes();
    if (end !== undefined) throw new TemplateError(this.#file, `"${end}" without a beginning`);
    return nodes;
  }

  /** Cuts text and actions apart, and the white space that `{{-` and `-}}` ask to be taken away. */
  #split(text: string): void {
    const action =
      /\{\{(- )?\s*((?:\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\])*"|`[^`]*`|(?!\}\}| -\}\})[\s\S])*?)\s*( -)?\}\}/g;
    let last = 0;
    let trimNext = false;
    for (const match of text.matchAll(action)) {
      let before = text.slice(last, match.index);
      if (trimNext) before = before.trimStart();
      if (match[1]) before = before.trimEnd();
      this.#parts.push({ text: before });
      if (!match[2]?.startsWith("/*")) this.#parts.push({ action: match[2] ?? "" });
      trimNext = match[3] !== undefined;
      last = match.index + match[0].length;
    }
    const rest = text.slice(last);
    this.#parts.push({ text: trimNext ? rest.trimStart() : rest });
  }

  #nodes(): { nodes: Node[]; end?: string } {
    const nodes: Node[] = [];
    while (this.#at < this.#parts.length) {
      const part = this.#parts[this.#at++];
      if (part?.text !== undefined) {
        if (part.text !== "") nodes.push({ kind: "text", text: part.text });
        continue;
      }
      const action = part?.action ?? "";
      const [word = "", rest = ""] = /^(\w+)\s*([\s\S]*)$/.exec(action)?.slice(1) ?? [];
      if (word === "end" || word === "else") return { nodes, end: action };
      if (word === "define") {
        const { nodes: body } = this.#nodes();
        this.#define(JSON.parse(rest) as string, body);
      } else if (word === "if" || word === "with" || word === "range") {
        nodes.push(this.#block(word, rest));
      } else {
        const set = /^(\$\w+)\s*:=\s*([\s\S]*)$/.exec(action);
        if (set) nodes.push({ kind: "set", name: set[1] ?? "", pipe: this.#pipe(set[2] ?? "") });
        else nodes.push({ kind: "print", pipe: this.#pipe(action) });
      }
    }
    return { nodes };
  }

  #block(kind: "if" | "with" | "range", head: string): Node {
    const loop = /^((?:\$\w+\s*,\s*)?\$\w+)\s*:=\s*([\s\S]*)$/.exec(head);
    const pipe = this.#pipe(kind === "range" && loop ? (loop[2] ?? "") : head);
    const { nodes: body, end } = this.#nodes();
    let otherwise: Node[] = [];
    if (end?.startsWith("else")) {
      const chained = /^else\s+if\s+([\s\S]*)$/.exec(end);
      if (chained) otherwise = [this.#block("if", chained[1] ?? "")];
      else ({ nodes: otherwise } = this.#nodes());
    } else if (end === undefined)
      throw new TemplateError(this.#file, `"${kind} ${head}" has no end`);
    if (kind !== "range") return { kind, pipe, body, otherwise };
    const names = loop ? (loop[1] ?? "").split(",").map((name) => name.trim()) : [];
    return { kind, names, pipe, body, otherwise };
  }

  #pipe(text: string): Pipe {
    const tokens = text.match(/"(?:\\.|[^"\\])*"|`[^`]*`|\(|\)(?:\.\w+)*|\||[^\s()|"`]+/g) ?? [];
    let at = 0;
    const pipe = (closing: boolean): { pipe: Pipe; fields: string[] } => {
      const commands: Pipe = [[]];
      for (;;) {
        const token = tokens[at++];
        if (token === undefined || token.startsWith(")")) {
          if ((token !== undefined) !== closing)
            throw new TemplateError(this.#file, `unbalanced parentheses in "${text}"`);
          return { pipe: commands, fields: token?.split(".").slice(1) ?? [] };
        }
        if (token === "|") commands.push([]);
        else if (token === "(") commands.at(-1)?.push({ kind: "pipe", ...pipe(true) });
        else commands.at(-1)?.push(this.#operand(token));
      }
    };
    return pipe(false).pipe;
  }

  #operand(token: string): Operand {
    if (token.startsWith('"')) return { kind: "value", value: JSON.parse(token) as string };
    if (token.startsWith("`")) return { kind: "value", value: token.slice(1, -1) };
    if (/^-?\d+$/.test(token)) return { kind: "value", value: Number(token) };
    if (token === "true" || token === "false") return { kind: "value", value: token === "true" };
    if (token === ".") return { kind: "path", start: ".", fields: [] };
    if (token.startsWith("."))
      return { kind: "path", start: ".", fields: token.slice(1).split(".") };
    if (token.startsWith("$")) {
      const [start = "$", ...fields] = token.split(".");
      return { kind: "path", start, fields };
    }
    if (/^\w+$/.test(token)) return { kind: "func", name: token };
    throw new TemplateError(this.#file, `cannot read "${token}"`);
  }
}

class Evaluator {
  readonly #file: string;
  readonly #include: (name: Value, dot: Value) => string;

  constructor(file: string, include: (name: Value, dot: Value) => string) {
    this.#file = file;
    this.#include = include;
  }

  nodes(nodes: Node[], scope: Scope): string {
    const inner: Scope = { dot: scope.dot, names: new Map(scope.names) };
    return nodes.map((node) => this.#node(node, inner)).join("");
  }

  #node(node: Node, scope: Scope): string {
    switch (node.kind) {
      case "text":
        return node.text;
      case "print":
        return this.#print(this.#pipe(node.pipe, scope), node.pipe);
      case "set":
        scope.names.set(node.name, this.#pipe(node.pipe, scope));
        return "";
      case "if":
        return this.nodes(truth(this.#pipe(node.pipe, scope)) ? node.body : node.otherwise, scope);
      case "with": {
        const dot = this.#pipe(node.pipe, scope);
        return truth(dot)
          ? this.nodes(node.body, { ...scope, dot })
          : this.nodes(node.otherwise, scope);
      }
      case "range":
        return this.#range(node, scope);
    }
  }

  #range(node: Node & { kind: "range" }, scope: Scope): string {
    const over = this.#pipe(node.pipe, scope);
    if (!truth(over)) return this.nodes(node.otherwise, scope);
    // Go walks maps in the order of their keys.
    const entries: [Value, Value][] = Array.isArray(over)
      ? [...over.entries()]
      : Object.entries(over as object).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const [first, second] = node.names;
    return entries
      .map(([key, dot]) => {
        const names = new Map(scope.names);
        if (second !== undefined && first !== undefined) names.set(first, key).set(second, dot);
        else if (first !== undefined) names.set(first, dot);
        return this.nodes(node.body, { dot, names });
      })
      .join("");
  }

  #print(value: Value, pipe: Pipe): string {
    if (value === undefined || value === null)
      throw new TemplateError(this.#file, `no value of ${JSON.stringify(pipe)}`);
    if (typeof value === "string") return value;
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    throw new TemplateError(this.#file, `prints a value of type ${typeof value}`);
  }

  #pipe(pipe: Pipe, scope: Scope): Value {
    let piped: Value[] = [];
    for (const command of pipe) piped = [this.#command(command, piped, scope)];
    return piped[0];
  }

  #command(command: Operand[], piped: Value[], scope: Scope): Value {
    const [head, ...rest] = command;
    if (!head) throw new TemplateError(this.#file, "empty command");
    if (head.kind === "func" && (head.name === "and" || head.name === "or")) {
      // These two stop at the first argument that settles it.
      let value: Value;
      for (const operand of rest) {
        value = this.#operand(operand, scope);
        if (truth(value) === (head.name === "or")) break;
      }
      return value;
    }
    const args = [...rest.map((operand) => this.#operand(operand, scope)), ...piped];
    if (head.kind === "func") return this.#call(head.name, args);
    const value = this.#operand(head, scope);
    if (typeof value === "function") return (value as Func)(...args);
    if (args.length > 0) throw new TemplateError(this.#file, "calls what is no function");
    return value;
  }

  #operand(operand: Operand, scope: Scope): Value {
    switch (operand.kind) {
      case "value":
        return operand.value;
      case "func":
        return this.#call(operand.name, []);
      case "pipe":
        return this.#fields(this.#pipe(operand.pipe, scope), operand.fields);
      case "path": {
        if (operand.start === ".") return this.#fields(scope.dot, operand.fields);
        if (!scope.names.has(operand.start))
          throw new TemplateError(this.#file, `${operand.start} is not set`);
        return this.#fields(scope.names.get(operand.start), operand.fields);
      }
    }
  }

  #fields(start: Value, fields: readonly string[]): Value {
    let value = start;
    for (const field of fields) {
      if (typeof value !== "object" || value === null)
        throw new TemplateError(
          this.#file,
          `.${field} of ${String(value)}, in .${fields.join(".")}`,
        );
      const owner: object = value;
      value = (value as Record<string, Value>)[field];
      if (typeof value === "function") value = value.bind(owner) as Func;
    }
    return value;
  }

  #call(name: string, args: Value[]): Value {
    if (name === "include") return this.#include(args[0], args[1]);
    const func = FUNCTIONS[name];
    if (!func) throw new TemplateError(this.#file, `there is no function ${name}`);
    return func(...args);
  }
}

/** Go's idea of truth: empty is false. */
function truth(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** Go's and sprig's functions, as far as the chart calls them. The value piped in comes last. */
const FUNCTIONS: Record<string, Func> = {
  not: (value) => !truth(value),
  eq: (value, ...others) => others.some((other) => other === value),
  ne: (a, b) => a !== b,
  default: (fallback, value) => (truth(value) ? value : fallback),
  quote: (value) => JSON.stringify(String(value)),
  printf: (format, ...args) => String(format).replace(/%[sdv]/g, () => String(args.shift())),
  trunc: (length, text) => String(text).slice(0, Number(length)),
  trim: (text) => String(text).trim(),
  trimSuffix: (suffix, text) =>
    String(text).endsWith(String(suffix))
      ? String(text).slice(0, -String(suffix).length)
      : String(text),
  indent: (count, text) => indent(count, text),
  nindent: (count, text) => `\n${indent(count, text)}`,
  toJson: (value) => JSON.stringify(sorted(value)),
  toYaml: (value) =>
    stringify(value, {
      sortMapEntries: true,
      lineWidth: 0,
      indentSeq: false,
      version: "1.1",
    }).trimEnd(),
  join: (separator, values) => (values as Value[]).join(String(separator)),
  list: (...values) => values,
  dict: (...pairs) => {
    const made: Record<string, Value> = {};
    for (let at = 0; at < pairs.length; at += 2) made[String(pairs[at])] = pairs[at + 1];
    return made;
  },
  append: (values, value) => [...(values as Value[]), value],
  mul: (...factors) => factors.reduce((product: number, factor) => product * Number(factor), 1),
  sha256sum: (text) => createHash("sha256").update(String(text)).digest("hex"),
  semverCompare: (constraint, version) => semverAtLeast(String(constraint), String(version)),
};

function indent(count: Value, text: Value): string {
  const pad = " ".repeat(Number(count));
  return pad + String(text).replaceAll("\n", `\n${pad}`);
}

function sorted(value: Value): Value {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, sorted(item)] as const);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function semverAtLeast(constraint: string, version: string): boolean {
  const wanted = /^>=(\d+)\.(\d+)-0$/.exec(constraint);
  const found = /^v?(\d+)\.(\d+)/.exec(version);
  if (!wanted || !found) throw new RangeError(`Cannot compare ${version} with ${constraint}`);
  const [major, minor] = [Number(found[1]), Number(found[2])];
  return major > Number(wanted[1]) || (major === Number(wanted[1]) && minor >= Number(wanted[2]));
}
