/**
 * The software bill of materials (CycloneDX) of a package or an image: npm's own, of the packages that
 * it installed, and what npm does not know of: Node.js, and the packages of Debian's in an image.
 *
 *     npm sbom --omit dev --sbom-format cyclonedx | node dist/tools/sbom.js --version VERSION --node VERSION
 *     node dist/tools/sbom.js --debian bookworm=FILE <BILL
 *
 * FILE is what `dpkg-query --show -f '${Package} ${Version} ${Architecture}\n'` prints.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

interface Component {
  "bom-ref": string;
  type: string;
  name: string;
  version: string;
  purl: string;
}

/** As much of one as is touched here. */
export interface Bill {
  metadata: { component: Component };
  components: Component[];
}

/** Says which version this is: npm takes a checkout's directory for its name. */
export function named(bill: Bill, version: string): Bill {
  const { component } = bill.metadata;
  const purl = `pkg:npm/lxcfs-ts@${version}`;
  const itself = { ...component, name: "lxcfs-ts", type: "application", version, purl };
  return { ...bill, metadata: { ...bill.metadata, component: itself } };
}

export function withNode(bill: Bill, version: string): Bill {
  return withComponents(bill, [
    component("platform", "node", version, `pkg:generic/node@${version}`),
  ]);
}

/** @param listed a line for each package: name, version, architecture */
export function withDebian(bill: Bill, suite: string, listed: string): Bill {
  const lines = listed.split("\n").filter((line) => line !== "");
  return withComponents(
    bill,
    lines.map((line) => {
      const [name = "", version = "", architecture = ""] = line.split(" ");
      const where = `arch=${architecture}&distro=${suite}`;
      const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${where}`;
      return component("library", name, version, purl);
    }),
  );
}

function component(type: string, name: string, version: string, purl: string): Component {
  return { "bom-ref": purl, type, name, version, purl };
}

function withComponents(bill: Bill, components: readonly Component[]): Bill {
  return { ...bill, components: [...bill.components, ...components] };
}

function main(): void {
  const { values } = parseArgs({
    options: {
      version: { type: "string" },
      node: { type: "string" },
      debian: { type: "string" },
    },
  });
  let bill = JSON.parse(readFileSync(0, "utf8")) as Bill;
  if (values.version !== undefined) bill = named(bill, values.version);
  if (values.node !== undefined) bill = withNode(bill, values.node);
  if (values.debian !== undefined) {
    const [suite = "", file = ""] = values.debian.split(/=(.*)/);
    bill = withDebian(bill, suite, readFileSync(file, "utf8"));
  }
  console.log(JSON.stringify(bill, undefined, 2));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
