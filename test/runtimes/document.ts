/**
 * The commands and files of a page of the documentation, section by section. A test takes them from
 * here, so that what it runs is what is written there; at its end `notRun` tells what it has left out.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../support/project.ts";

interface Block {
  readonly language: string;
  readonly text: string;
}

export class Section {
  readonly title: string;
  /** One for each command of its shell blocks, and one for each other block as a whole. */
  readonly #pieces: readonly Block[];
  readonly #taken = new Set<Block>();

  constructor(title: string, blocks: readonly Block[]) {
    this.title = title;
    this.#pieces = blocks.flatMap((block) =>
      block.language === "sh"
        ? commandsOf(block.text).map((text) => ({ language: "sh", text }))
        : [block],
    );
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** The one command that has `part` in it. @throws Error if there is none, or several */
  command(part: string): string {
    return this.#take((piece) => piece.language === "sh" && piece.text.includes(part), part);
  }

  /** The one command that is `text`. */
  exactly(text: string): string {
    return this.#take((piece) => piece.text === text, text);
  }

  /** The commands whose first word is `program`, in order, as one script. */
  commands(program: string): string {
    const found = this.#pieces.filter(({ language, text }) => {
      return language === "sh" && text.split(" ")[0] === program;
    });
    if (found.length === 0) throw new Error(`No command ${program} in "${this.title}"`);
    for (const piece of found) this.#taken.add(piece);
    return found.map(({ text }) => text).join("\n");
  }

  /** The one block in `language`. @throws Error if there is none, or several */
  file(language: string): string {
    return this.#take((piece) => piece.language === language, language);
  }

  /** What no test has taken. */
  notRun(): string[] {
    return this.#pieces.filter((piece) => !this.#taken.has(piece)).map(({ text }) => text);
  }

  #take(wanted: (piece: Block) => boolean, what: string): string {
    const [piece, ...others] = this.#pieces.filter(wanted);
    if (!piece || others.length > 0) {
      throw new Error(`${piece ? "Several" : "No"} of "${what}" in "${this.title}"`);
    }
    this.#taken.add(piece);
    return piece.text;
  }
}

const RUNTIMES = "docs/runtimes.md";

/** The sections of a page, in order. */
export function sections(page = RUNTIMES): Section[] {
  const text = readFileSync(join(projectRoot, page), "utf8");
  return text.split(/^#+ (?=[^\n]*$)/m).flatMap((part) => {
    const title = part.split("\n", 1)[0] ?? "";
    return title === "" ? [] : [new Section(title, blocksOf(part))];
  });
}

/** @throws Error if the page has no such section */
export function section(title: string, page = RUNTIMES): Section {
  const found = sections(page).find((each) => each.title === title);
  if (!found) throw new Error(`${page} has no section "${title}"`);
  return found;
}

/** Starts the filesystem: the page's first command. */
export function serveCommand(): string {
  return section("At home with every runtime").command("lxcfs /var/lib/lxcfs");
}

function blocksOf(text: string): Block[] {
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = "", body = ""]) => {
    return { language, text: body };
  });
}

/** Lines without their comments, those that go on with a backslash joined. */
function commandsOf(script: string): string[] {
  return script
    .replaceAll(/ *\\\n */g, " ")
    .split("\n")
    .map((line) => line.replace(/(^| +)# .*$/, "").trim())
    .filter((line) => line !== "");
}
