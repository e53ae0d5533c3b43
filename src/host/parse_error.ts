/** The one error that the parsers of kernel files throw. */

const MAX_FOUND = 80;

/** A kernel file whose text is not what the kernel writes: which file, what was expected, what was found. */
export class ParseError extends Error {
  readonly file: string;
  readonly expected: string;
  readonly found: string;

  constructor(file: string, expected: string, found: string) {
    const shown = found.length > MAX_FOUND ? `${found.slice(0, MAX_FOUND)}...` : found;
    super(`Cannot parse ${file}: expected ${expected}, found ${JSON.stringify(shown)}`);
    this.name = "ParseError";
    this.file = file;
    this.expected = expected;
    this.found = shown;
  }
}
