import { cgroupCases } from "./cgroup.cases.ts";

cgroupCases("debian12-6.1.0-50-amd64-v2");

cgroupCases("debian12-6.1.0-50-amd64-v1", {
  "pressure is the own cgroup's, verbatim": "without cgroup v2 there is no pressure by cgroup",
});

cgroupCases("debian12-6.1.0-50-amd64-hybrid");

cgroupCases("debian12-6.18.44-fc-v669-hybrid");
