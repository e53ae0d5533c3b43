/** Names of kernel files are held as Latin-1: one character a byte. */
export function bytesOf(name: string): Buffer {
  return Buffer.from(name, "latin1");
}
