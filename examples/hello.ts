/** A filesystem with one file. Run as root: `node hello.js /mnt/hello`, then `cat /mnt/hello/hello`. */
import { errno, FUSE_ROOT_ID, mountFilesystem } from "lxcfs-ts/fuse";

const text = Buffer.from("Hello from user space!\n");
const root = { ino: FUSE_ROOT_ID, mode: 0o40555, nlink: 2 };
const file = { ino: 2, mode: 0o100444, size: text.length };

const hello = mountFilesystem(process.argv[2] ?? "/mnt/hello", {
  lookup: ({ name }, reply) => (name === "hello" ? reply.entry(2, file) : -errno.ENOENT),
  getattr: ({ nodeId }, reply) => reply.attributes(nodeId === FUSE_ROOT_ID ? root : file),
  read: ({ offset, size }, reply) => reply.slice(text, offset, size),
  readdir({ offset }, reply) {
    if (offset < 1) reply.dirent(2, "hello", file.mode, 1);
    return reply.length;
  },
});
hello.serve();
