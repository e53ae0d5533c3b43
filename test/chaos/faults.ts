/** Every fault, in an order in which each leaves to the next what it needs. */
import type { Fault } from "./fault.ts";
import { PROCESS_FAULTS } from "./process_faults.ts";
import { SURROUNDING_FAULTS } from "./surrounding_faults.ts";

export const FAULTS: readonly Fault[] = [...PROCESS_FAULTS, ...SURROUNDING_FAULTS];
