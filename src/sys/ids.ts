/**
 * Types for identifiers that must not be mixed up. They are plain numbers at run time; the brand
 * exists for the compiler only.
 */

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A process id as the host's own pid namespace numbers it. */
export type HostPid = Branded<number, "HostPid">;

/** A process id as a container's pid namespace numbers it. */
export type ContainerPid = Branded<number, "ContainerPid">;

/** A FUSE node id: a fixed function of what the node is, never a counter. */
export type NodeId = Branded<number, "NodeId">;

/** A FUSE file handle. */
export type FileHandle = Branded<number, "FileHandle">;

/** The inode number of a pid namespace (`stat /proc/<pid>/ns/pid`). Reused by the kernel. */
export type PidNamespaceId = Branded<number, "PidNamespaceId">;
