/**
 * Types for identifiers that must not be mixed up. They are plain numbers at run time; the brand
 * exists for the compiler only.
 */

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A process id as the host's own pid namespace numbers it. */
export type HostPid = Branded<number, "HostPid">;

/** The inode number of a pid namespace (`stat /proc/<pid>/ns/pid`). Reused by the kernel. */
export type PidNamespaceId = Branded<number, "PidNamespaceId">;
