/**
 * The whole on a real cluster: installed from the chart, used, updated, broken, uninstalled. The
 * steps build on each other, in this order.
 */
import { after, before, describe } from "node:test";
import { attaching } from "./steps/attaching.ts";
import {
  certificates,
  OTHER_NAMESPACES,
  otherCertificates,
  otherCertificatesServed,
} from "./steps/certificates.ts";
import { injection } from "./steps/injection.ts";
import { installation } from "./steps/installation.ts";
import { nri } from "./steps/nri.ts";
import { plugin } from "./steps/plugin.ts";
import { rights } from "./steps/rights.ts";
import { survival } from "./steps/survival.ts";
import { uninstallation } from "./steps/uninstallation.ts";
import { World } from "./world.ts";

/** In this order. K8S_STEPS names those to take, where not all are wanted: `installation,nri`. */
const STEPS = {
  installation,
  otherCertificates,
  injection,
  attaching,
  plugin,
  rights,
  otherCertificatesServed,
  survival,
  certificates,
  nri,
  uninstallation,
};

const wanted = process.env["K8S_STEPS"]?.split(",");
const world = World.start();
const skip = typeof world === "string" ? world : false;

describe("on a real cluster", { skip, concurrency: false }, () => {
  if (typeof world === "string") return;
  before(() => world.prepare());
  after(() => world.end(OTHER_NAMESPACES));
  for (const [name, steps] of Object.entries(STEPS))
    if (!wanted || wanted.includes(name)) steps(world);
});
