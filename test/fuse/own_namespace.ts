/**
 * Import this first: moves the test into a mount namespace of its own. What it mounts is seen by its
 * children only and goes when the last of them is gone; and no other process that makes a mount
 * namespace meanwhile takes a copy along, which would keep a filesystem alive after its unmount.
 */
import { CLONE, mount, MS, unshare } from "../../src/sys/native.ts";

unshare(CLONE.NEWNS);
mount("none", "/", null, MS.REC | MS.PRIVATE, null);
