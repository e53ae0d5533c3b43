/** The folder of the repository, found from where this module was built to (dist/test/vm). */
import { resolve } from "node:path";

export const repository = resolve(import.meta.dirname, "../../..");
