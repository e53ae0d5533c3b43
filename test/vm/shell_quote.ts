/** A word as a POSIX shell reads it back unchanged. */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
