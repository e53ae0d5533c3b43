/**
 * The kernel's page size, from the auxiliary vector that it gives every program, getauxval(3):
 * `/proc/self/auxv`, pairs of machine words, of which the type AT_PAGESZ (6) is looked for.
 * 4096 on x86; arm64 and powerpc kernels are built with up to 65536.
 */
import { closeSync, openSync } from "node:fs";
import { opening } from "../sys/exhaustion.ts";
import { readFdBytes } from "../sys/read.ts";
import { ParseError } from "./parse_error.ts";

const AT_PAGESZ = 6n;

/** In bytes. @throws on a missing file, ParseError on a malformed one */
export function readPageBytes(procRoot: string): number {
  const fd = opening(() => openSync(`${procRoot}/self/auxv`, "r"));
  try {
    return parsePageBytes(readFdBytes(fd));
  } finally {
    closeSync(fd);
  }
}

/** @param auxv the vector of a 64-bit little-endian process, as Node on x64 and arm64 is. @throws ParseError */
export function parsePageBytes(auxv: Buffer): number {
  for (let at = 0; at + 16 <= auxv.length; at += 16) {
    if (auxv.readBigUInt64LE(at) !== AT_PAGESZ) continue;
    const bytes = Number(auxv.readBigUInt64LE(at + 8));
    if (bytes >= 1024 && bytes <= 2 ** 21) return bytes;
  }
  throw new ParseError("auxv", "a page size", `${auxv.length} bytes`);
}
