/**
 * A directory tree as one text file: what a captured kernel's /proc and /sys are kept as.
 *
 *     file 444 2 /proc/swaps              mode, lines that follow, path
 *     Filename				Type		Size		Used		Priority
 *     /dev/vdb                                partition	1048572		0		-2
 *     same 444 /sys/fs/cgroup/a/cpu.max /sys/fs/cgroup/cpu.max      the content of a file above
 *     tail 444 1 /proc/1/comm             as file, without a newline at the end of the last line
 *     data 400 /proc/self/auxv BgAAAAAA...      base64, for what is no printable text
 *     link /proc/1/ns/pid pid:[4026531836]
 *     dir 755 /sys/fs/cgroup/a
 *
 * Entries are sorted by path; a path may hold spaces, so where a second name follows both are
 * percent-encoded as in URLs. Taking apart and putting together are inverse to each other.
 */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

/** What is at a path. Modes are permission bits. */
export type TreeEntry =
  | { readonly kind: "dir"; readonly mode: number }
  | { readonly kind: "file"; readonly mode: number; readonly content: Buffer }
  | { readonly kind: "link"; readonly target: string };

/** Absolute paths below the tree's top. */
export type Tree = Map<string, TreeEntry>;

/** Shorter contents are as short as the reference to them. */
const MIN_SHARED = 24;

export function formatTree(tree: Tree): string {
  const seen = new Map<string, string>();
  let text = "";
  for (const path of [...tree.keys()].sort()) {
    const entry = tree.get(path);
    if (!entry) continue;
    if (entry.kind === "dir") text += `dir ${octal(entry.mode)} ${encode(path)}\n`;
    else if (entry.kind === "link") text += `link ${encode(path)} ${encode(entry.target)}\n`;
    else text += formatFile(path, entry.mode, entry.content, seen);
  }
  return text;
}

function formatFile(
  path: string,
  mode: number,
  content: Buffer,
  seen: Map<string, string>,
): string {
  const text = content.toString("latin1");
  const name = encode(path);
  const same = seen.get(text);
  if (same !== undefined) return `same ${octal(mode)} ${name} ${same}\n`;
  if (text.length >= MIN_SHARED) seen.set(text, name);
  if (!/^[\t\n\x20-\x7e]*$/.test(text)) {
    return `data ${octal(mode)} ${name} ${content.toString("base64")}\n`;
  }
  const ended = text === "" || text.endsWith("\n");
  const lines = text.split("\n").length - (ended ? 1 : 0);
  return `${ended ? "file" : "tail"} ${octal(mode)} ${lines} ${name}\n${text}${ended ? "" : "\n"}`;
}

/** @throws SyntaxError naming the line that cannot be understood */
export function parseTree(text: string): Tree {
  const lines = text.split("\n");
  const tree: Tree = new Map();
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? "";
    if (line === "" && i === lines.length - 1) break;
    const words = line.split(" ");
    const [kind, first = "", second = "", third = ""] = words;
    switch (kind) {
      case "dir":
        tree.set(decodeURIComponent(second), { kind, mode: Number.parseInt(first, 8) });
        break;
      case "link":
        tree.set(decodeURIComponent(first), { kind, target: decodeURIComponent(second) });
        break;
      case "data": {
        const content = Buffer.from(third, "base64");
        tree.set(decodeURIComponent(second), fileEntry(first, content));
        break;
      }
      case "same": {
        const original = tree.get(decodeURIComponent(third));
        if (original?.kind !== "file") throw malformed(i, line);
        tree.set(decodeURIComponent(second), fileEntry(first, original.content));
        break;
      }
      case "file":
      case "tail": {
        const count = Number(second);
        const body = lines.slice(i + 1, i + 1 + count).join("\n");
        const whole = kind === "file" && count > 0 ? `${body}\n` : body;
        tree.set(decodeURIComponent(third), fileEntry(first, Buffer.from(whole, "latin1")));
        i += count;
        break;
      }
      default:
        throw malformed(i, line);
    }
  }
  return tree;
}

function fileEntry(mode: string, content: Buffer): TreeEntry {
  return { kind: "file", mode: Number.parseInt(mode, 8), content };
}

function malformed(index: number, line: string): SyntaxError {
  return new SyntaxError(`Cannot read tree archive: line ${index + 1} is ${JSON.stringify(line)}`);
}

/** Writes a tree below an existing directory. Directories stay writable for their owner, so that it can be removed again. */
export function writeTree(tree: Tree, top: string): void {
  for (const [path, entry] of tree) {
    const target = top + path;
    mkdirSync(entry.kind === "dir" ? target : dirname(target), { recursive: true });
    if (entry.kind === "link") symlinkSync(entry.target, target);
    if (entry.kind === "file") writeFileSync(target, entry.content);
    if (entry.kind !== "link") chmodSync(target, entry.mode);
  }
}

/** The tree below a directory: files and links, and directories that have nothing in them. */
export function readTree(top: string): Tree {
  const tree: Tree = new Map();
  const visit = (path: string): void => {
    const stat = lstatSync(top + path);
    const mode = stat.mode & 0o7777;
    if (stat.isSymbolicLink()) tree.set(path, { kind: "link", target: readlinkSync(top + path) });
    else if (stat.isDirectory()) {
      const names = readdirSync(top + path);
      if (names.length === 0) tree.set(path, { kind: "dir", mode });
      for (const name of names) visit(`${path}/${name}`);
    } else tree.set(path, { kind: "file", mode, content: readFileSync(top + path) });
  };
  for (const name of readdirSync(top)) visit(`/${name}`);
  return tree;
}

function octal(mode: number): string {
  return mode.toString(8);
}

/** Spaces, percent signs and what is not printable; the rest stays readable. */
function encode(name: string): string {
  return name.replace(/[^\x21-\x24\x26-\x7e]/gu, encodeURIComponent);
}
