/** The filesystem that mount tests serve: one file for each habit of readers and kernel. */
import { errno, FATTR, FOPEN, FUSE_ROOT_ID } from "../../src/fuse/index.ts";
import type { Attributes, Operations } from "../../src/fuse/index.ts";

/** Words of the memory that test server, its workers and notifications share. */
export const Word = {
  /** READs of `cached`, which is also its content. */
  CACHED_READS: 0,
  /** LOOKUPs of `hello`. */
  LOOKUPS: 1,
  /** The handle by which POLL named its waiter, and the events that hold. */
  POLL_KH: 2,
  POLL_EVENTS: 3,
  /** Requests answered, and of them sent again by the kernel. */
  REQUESTS: 4,
  RESENT: 5,
  /** INTERRUPTs seen. */
  INTERRUPTS: 6,
  /** How long READs of `slow` take, in milliseconds. */
  SLOW_MS: 7,
  /** READs of `slow` begun. */
  SLOW_READS: 8,
  /** uid of the last LOOKUP. */
  UID: 9,
  /** Failures reported. */
  ERRORS: 10,
  COUNT: 16,
} as const;

const NAMES = ["hello", "big", "slow", "boom", "cached", "poll", "sink", "link", "many"] as const;
const nodeOf = new Map<string, number>(NAMES.map((name, index) => [name, index + 2]));
const HELLO = Buffer.from("Hello from user space!\n");
/** More than one request's worth, no two 4-byte words alike. */
const BIG = Buffer.alloc(300_000);
for (let at = 0; at + 4 <= BIG.length; at += 4) BIG.writeUInt32LE(at, at);
export const MANY = 700;

const FOREVER = 1e6;

export function sampleFilesystem(shared: Int32Array): Operations {
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  let sink = Buffer.alloc(0);
  const count = (word: number): number => Atomics.add(shared, word, 1) + 1;

  function attributes(nodeId: number): Attributes {
    const name = NAMES[nodeId - 2];
    if (nodeId === FUSE_ROOT_ID || name === "many") return { ino: nodeId, mode: 0o40755, nlink: 2 };
    if (name === "link") return { ino: nodeId, mode: 0o120777, size: 5 };
    if (name === "sink") return { ino: nodeId, mode: 0o100666, size: sink.length };
    if (name === "hello") return { ino: nodeId, mode: 0o100444, size: HELLO.length };
    if (name === "cached") return { ino: nodeId, mode: 0o100444, size: 4 };
    return { ino: nodeId, mode: 0o100444 };
  }

  return {
    lookup({ nodeId, name, uid }, reply) {
      shared[Word.UID] = uid;
      if (name === "hello") count(Word.LOOKUPS);
      const child = nodeId === FUSE_ROOT_ID ? nodeOf.get(name) : undefined;
      return child === undefined ? -errno.ENOENT : reply.entry(child, attributes(child), FOREVER);
    },
    getattr: ({ nodeId }, reply) => reply.attributes(attributes(nodeId), FOREVER),
    setattr({ nodeId, valid, size }, reply) {
      if (NAMES[nodeId - 2] !== "sink") return -errno.EACCES;
      if (valid & FATTR.SIZE) sink = Buffer.from(sink.subarray(0, size));
      return reply.attributes(attributes(nodeId), 0);
    },
    readlink: (_request, reply) => reply.text("hello"),
    open({ nodeId }, reply) {
      const cached = NAMES[nodeId - 2] === "cached";
      return reply.opened(nodeId, cached ? FOPEN.KEEP_CACHE : FOPEN.DIRECT_IO);
    },
    read({ nodeId, offset, size }, reply) {
      switch (NAMES[nodeId - 2]) {
        case "hello":
          return reply.slice(HELLO, offset, size);
        case "big":
          return reply.slice(BIG, offset, size);
        case "slow":
          count(Word.SLOW_READS);
          Atomics.wait(sleeper, 0, 0, shared[Word.SLOW_MS]);
          return offset === 0 ? reply.text("slow\n") : 0;
        case "boom":
          throw new TypeError("boom");
        case "cached":
          return reply.text(String(count(Word.CACHED_READS)).padStart(4, "0"));
        case "sink":
          return reply.slice(sink, offset, size);
        default:
          return 0;
      }
    },
    write(request, reply) {
      const data = request.data();
      const grown = Buffer.alloc(Math.max(sink.length, request.offset + data.length));
      sink.copy(grown);
      data.copy(grown, request.offset);
      sink = grown;
      return reply.written(data.length);
    },
    readdir({ nodeId, offset }, reply) {
      const many = NAMES[nodeId - 2] === "many";
      const length = many ? MANY : NAMES.length;
      for (let index = offset; index < length; index++) {
        const name = many ? `entry-${index}` : (NAMES[index] ?? "");
        if (!reply.dirent(index + 2, name, 0, index + 1)) break;
      }
      return reply.length;
    },
    poll({ kh, flags }, reply) {
      if (flags & 1) Atomics.store(shared, Word.POLL_KH, kh);
      return reply.polled(Atomics.load(shared, Word.POLL_EVENTS));
    },
    interrupt: () => void count(Word.INTERRUPTS),
  };
}
