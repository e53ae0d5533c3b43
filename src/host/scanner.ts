/**
 * A cursor over kernel text: lines, words and unsigned numbers, without regular expressions and
 * without making strings that nobody keeps. It cannot run past the end of the text.
 */
import { ParseError } from "./parse_error.ts";

const SPACE = 32;
const TAB = 9;
const NEWLINE = 10;
const DIGIT_0 = 48;
const DIGIT_9 = 57;

/**
 * Counters that went below zero are printed by the kernel as numbers just under 2^64, and huge
 * "no limit" values stay below 2^63: what is above is a negative number and read as 0.
 */
const SIGN_BIT = 2 ** 63;

/** One pass over one text. Positions are in characters; all methods stay within the current line unless they say so. */
export class Scanner {
  readonly file: string;
  readonly text: string;
  pos = 0;

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
  }

  /** Whether the whole text has been passed. */
  atEnd(): boolean {
    return this.pos >= this.text.length;
  }

  /** Whether nothing but blanks is left in this line. */
  atLineEnd(): boolean {
    this.skipBlanks();
    return this.atEnd() || this.text.charCodeAt(this.pos) === NEWLINE;
  }

  skipBlanks(): void {
    const { text } = this;
    let { pos } = this;
    for (;;) {
      const code = text.charCodeAt(pos);
      if (code !== SPACE && code !== TAB) break;
      pos++;
    }
    this.pos = pos;
  }

  /** Skips blanks, then reads an unsigned decimal number; NaN, and nothing passed, where there is none. */
  number(): number {
    this.skipBlanks();
    const { text } = this;
    let { pos } = this;
    const start = pos;
    let value = 0;
    for (;;) {
      const code = text.charCodeAt(pos);
      if (!(code >= DIGIT_0 && code <= DIGIT_9)) break;
      value = value * 10 + (code - DIGIT_0);
      pos++;
    }
    if (pos === start) return Number.NaN;
    this.pos = pos;
    if (value >= SIGN_BIT) return 0;
    return value;
  }

  /** A number that must be there. @throws ParseError naming `what` */
  needNumber(what: string): number {
    const value = this.number();
    if (Number.isNaN(value)) throw this.error(what);
    return value;
  }

  /** All numbers up to the end of the line or the first thing that is none. */
  numbers(): number[] {
    const values: number[] = [];
    for (;;) {
      const value = this.number();
      if (Number.isNaN(value)) return values;
      values.push(value);
    }
  }

  /** Skips blanks, then reads up to the next blank or the line's end; empty where nothing is left. */
  word(): string {
    this.skipBlanks();
    const { text } = this;
    const start = this.pos;
    let pos = start;
    while (pos < text.length) {
      const code = text.charCodeAt(pos);
      if (code === SPACE || code === TAB || code === NEWLINE) break;
      pos++;
    }
    this.pos = pos;
    return text.slice(start, pos);
  }

  /** Passes `literal` if the text goes on with it. */
  take(literal: string): boolean {
    if (!this.text.startsWith(literal, this.pos)) return false;
    this.pos += literal.length;
    return true;
  }

  /** Passes `literal`. @throws ParseError if the text goes on with something else */
  need(literal: string): void {
    if (!this.take(literal)) throw this.error(JSON.stringify(literal));
  }

  /** What is left of the line, without its newline. */
  restOfLine(): string {
    const end = this.#lineEnd();
    const rest = this.text.slice(this.pos, end);
    this.pos = end;
    return rest;
  }

  /** Goes behind the next newline. */
  nextLine(): void {
    this.pos = this.#lineEnd() + 1;
  }

  /** The error for what stands at the current position. */
  error(expected: string): ParseError {
    return new ParseError(this.file, expected, this.text.slice(this.pos, this.#lineEnd()));
  }

  #lineEnd(): number {
    const end = this.text.indexOf("\n", this.pos);
    return end < 0 ? this.text.length : end;
  }
}
