/** The result as an SVG: throughput at 4 readers and p50 at one reader, per file and subject. */
import { type BenchResult, type Figure, figure, find } from "./result.ts";
import { SUBJECT_TITLES, type SubjectName } from "./subjects.ts";

const SUBJECTS: readonly SubjectName[] = ["ours", "attached", "peer", "null", "floor", "kernel"];
const COLOURS: Readonly<Record<SubjectName, string>> = {
  ours: "#2563eb",
  attached: "#0d9488",
  peer: "#d97706",
  null: "#94a3b8",
  floor: "#475569",
  kernel: "#475569",
};

const WIDTH = 960;
const LEFT = 210;
const RIGHT = 90;
const BAR = 12;
const GAP = 14;

interface Panel {
  readonly title: string;
  readonly figure: Figure;
  readonly readers: number;
  readonly unit: string;
}

const PANELS: readonly Panel[] = [
  {
    title: "Reads per second, 4 readers (more is better)",
    figure: "opsPerSecond",
    readers: 4,
    unit: "/s",
  },
  { title: "Median latency, 1 reader (less is better)", figure: "p50Us", readers: 1, unit: " us" },
  {
    title: "99th percentile, 16 readers (less is better)",
    figure: "p99Us",
    readers: 16,
    unit: " us",
  },
  {
    title: "Server CPU time per read, 4 readers (less is better)",
    figure: "serverCpuUs",
    readers: 4,
    unit: " us",
  },
];

/** Renders the reads of a result; bars are logarithmic, whiskers span all rounds. */
export function plot(result: BenchResult): string {
  const parts: string[] = [];
  let y = 34;
  parts.push(
    text(16, 22, "lxcfs-ts benchmark: open + read to the end + close, in a container", 15, "bold"),
  );
  y = legend(parts, result, y);
  for (const panel of PANELS) y = drawPanel(parts, result, panel, y);
  const { machine } = result;
  parts.push(
    text(
      16,
      y + 14,
      `${machine.cpus} x ${machine.cpu} (${machine.virtual}), Linux ${machine.kernel}, cgroup ${machine.cgroup}, ` +
        `Node ${machine.node}, lxcfs ${machine.peer}, ${machine.date.slice(0, 10)}; logarithmic bars, whiskers: all rounds`,
      10,
    ),
  );
  const height = y + 26;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" ` +
    `font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>\n${parts.join("\n")}\n</svg>\n`
  );
}

function legend(parts: string[], result: BenchResult, y: number): number {
  let x = 16;
  for (const subject of SUBJECTS) {
    if (!find(result, { scenario: "read", subject })) continue;
    parts.push(`<rect x="${x}" y="${y}" width="11" height="11" fill="${COLOURS[subject]}"/>`);
    parts.push(text(x + 16, y + 10, SUBJECT_TITLES[subject], 12));
    x += 40 + SUBJECT_TITLES[subject].length * 7;
  }
  return y + 24;
}

function drawPanel(parts: string[], result: BenchResult, panel: Panel, top: number): number {
  const { readers } = panel;
  const rows = result.measurements.filter(
    (one) => one.scenario === "read" && one.mode === "open" && one.readers === readers,
  );
  const measured = rows.map((one) => ({ one, value: figure(one, panel.figure) }));
  const bars = measured.filter(({ value }) => value.median > 0);
  if (bars.length === 0) return top;
  const low = Math.min(...bars.map(({ value }) => value.least)) / 2;
  const high = Math.max(...bars.map(({ value }) => value.most));
  const at = (value: number): number =>
    (Math.log(value / low) / Math.log(high / low)) * (WIDTH - LEFT - RIGHT);
  parts.push(text(16, top + 14, panel.title, 13, "bold"));
  let y = top + 24;
  for (const file of new Set(bars.map(({ one }) => one.file))) {
    const start = y;
    for (const subject of SUBJECTS) {
      const bar = bars.find(({ one }) => one.file === file && one.subject === subject);
      if (bar === undefined) continue;
      const { median, least, most } = bar.value;
      const middle = y + BAR / 2;
      parts.push(
        `<rect x="${LEFT}" y="${y}" width="${at(median).toFixed(1)}" height="${BAR - 2}" fill="${COLOURS[subject]}"/>`,
        `<path d="M${(LEFT + at(least)).toFixed(1)} ${middle}H${(LEFT + at(most)).toFixed(1)}" stroke="black" stroke-width="1"/>`,
        text(LEFT + at(most) + 5, y + BAR - 3, short(median) + panel.unit, 10),
      );
      y += BAR;
    }
    parts.push(text(LEFT - 8, (start + y) / 2 + 3, file, 11, "normal", "end"));
    y += GAP;
  }
  return y + 8;
}

function text(
  x: number,
  y: number,
  content: string,
  size: number,
  weight = "normal",
  anchor = "start",
): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y}" font-size="${size}" font-weight="${weight}" text-anchor="${anchor}">${escaped}</text>`;
}

/** Three significant digits, thousands apart. */
function short(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en-US");
}
