/**
 * For tests: messages as annotated bytes. What follows `#` on a line is a comment, so that each line
 * can show one field of a kernel structure.
 */
export function hex(annotated: string): Buffer {
  const digits = annotated.replaceAll(/#.*$/gm, "").replaceAll(/\s+/g, "");
  if (!/^([0-9a-f]{2})*$/.test(digits)) throw new SyntaxError(`Cannot read bytes from ${digits}`);
  return Buffer.from(digits, "hex");
}
