/**
 * The man page and the shell completions, made from the tables of options and subcommands. They are
 * kept in share/, so that no build is needed to read them; a test sees to it that they are up to date.
 *
 *     node dist/tools/cli_files.js
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FILE_PATHS } from "../src/explain/file_name.ts";
import type { CommandOption } from "../src/cli/command_options.ts";
import { OPTIONS } from "../src/cli/options.ts";
import { SUBCOMMANDS, type Subcommand } from "../src/cli/subcommands.ts";

const COMMANDS: readonly Subcommand[] = SUBCOMMANDS.filter(({ internal }) => internal !== true);
/** Values that an option takes, where they can be listed. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  "cpu-policy": ["cpuset", "quota", "none"],
  uptime: ["container", "host"],
  "log-level": ["debug", "info", "warn", "error"],
};
/** Short names of the files, for show and explain. */
const FILES: readonly string[] = FILE_PATHS.map((path) =>
  path.replace(/^proc\//, "").replace(/^sys\/devices\/system\//, ""),
);

/** Files to write, by path below the project. */
export function cliFiles(): Map<string, string> {
  return new Map([
    ["share/man/lxcfs.1", manPage()],
    ["share/completions/lxcfs.bash", bash()],
    ["share/completions/_lxcfs", zsh()],
    ["share/completions/lxcfs.fish", fish()],
  ]);
}

/** A subcommand's options; of one that answers --help itself those of its usage line. */
function optionsOf({ usage, options }: Subcommand): readonly CommandOption[] {
  const named = [...usage.matchAll(/--([a-z][a-z-]*)/g)];
  return options ?? named.map(([, name = ""]) => ({ name, help: "" }));
}

function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1");
}

function manPage(): string {
  const option = ({ short, name, value, help }: (typeof OPTIONS)[number]): string => {
    const names = `${short ? `\\fB\\-${short}\\fR, ` : ""}\\fB\\-\\-${roff(name)}\\fR`;
    return `.TP\n${names}${value ? ` \\fI${roff(value)}\\fR` : ""}\n${roff(help)}\n`;
  };
  const commandOption = ({ name, value, help }: CommandOption): string => {
    const names = `\\fB\\-\\-${roff(name)}\\fR${value ? ` \\fI${roff(value)}\\fR` : ""}`;
    return `.TP\n${names}\n${roff(help)}\n`;
  };
  const command = (each: Subcommand): string => {
    const options = (each.options ?? []).map(commandOption).join("");
    const below = options === "" ? "" : `.RS\n${options}.RE\n`;
    return `.TP\n\\fBlxcfs ${roff(each.name)}\\fR ${roff(each.usage)}\n${roff(each.help)}\n${below}`;
  };
  return `.\\" Made by tools/cli_files.ts from the tables of options and commands.
.TH LXCFS 1 "2026-11-26" "lxcfs\\-ts" "User Commands"
.SH NAME
lxcfs \\- filesystem that shows containers their own /proc and /sys
.SH SYNOPSIS
.B lxcfs
[\\fIOPTIONS\\fR] \\fIMOUNTPOINT\\fR
.br
.B lxcfs
\\fICOMMAND\\fR [\\fIARGUMENT\\fR]...
.SH DESCRIPTION
Serves a filesystem from which the processes of Linux containers read their
own memory, CPUs, CPU time, load, uptime, disks, swap and pressure in place of
the host's. It stays in the foreground. The process that is started keeps the
mount; the server it starts may die or be upgraded while no read fails.
.SH OPTIONS
${OPTIONS.map(option).join("")}.SH COMMANDS
${COMMANDS.map(command).join("")}.SH SIGNALS
.TP
\\fBTERM\\fR, \\fBINT\\fR, \\fBHUP\\fR
Unmount and end.
.TP
\\fBUSR1\\fR
The installed version takes over from the running one.
.TP
\\fBUSR2\\fR
Show every container the host's values, and again its own.
.SH EXIT STATUS
.TP
0
Done.
.TP
1
It failed, and why is said in one line. Of \\fBdoctor\\fR: warnings.
.TP
2
Wrong usage. Of \\fBdoctor\\fR: errors.
.TP
3
There is no such process or container.
.TP
4
The name is that of several containers.
.TP
5
No rights: only root may.
.TP
6
No lxcfs is mounted, or its server is gone.
.TP
7
The runtime that was named is not installed.
.SH FILES
.TP
/var/lib/lxcfs
The usual mountpoint.
.TP
/etc/default/lxcfs
LXCFS_OPTIONS, options of the systemd unit.
.TP
/run/lxcfs.pid
Pid of the process that keeps the mount.
.SH SEE ALSO
.BR proc (5),
.BR cgroups (7)
`;
}

function bash(): string {
  const options = OPTIONS.flatMap(({ short, name }) => [
    ...(short ? [`-${short}`] : []),
    `--${name}`,
  ]);
  const cases = COMMANDS.map(
    (each) =>
      `\t\t${each.name}) words="${[...optionsOf(each).map(({ name }) => `--${name}`), "--help"].join(" ")}" ;;`,
  );
  const values = Object.entries(VALUES).map(
    ([name, list]) =>
      `\t--${name}) COMPREPLY=($(compgen -W "${list.join(" ")}" -- "$word")); return ;;`,
  );
  return `# bash completion of lxcfs. Made by tools/cli_files.ts.
_lxcfs() {
	local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} words
	COMPREPLY=()
	case $before in
${values.join("\n")}
	--pid) COMPREPLY=($(cd /proc && compgen -d -X '[!0-9]*' -- "$word")); return ;;
	--mountpoint | --runtime-dir | -p | --pidfile) compopt -o filenames; COMPREPLY=($(compgen -f -- "$word")); return ;;
	esac
	if [ "$COMP_CWORD" -gt 1 ]; then
		case \${COMP_WORDS[1]} in
		show | explain)
			if [ "$COMP_CWORD" -eq 2 ]; then COMPREPLY=($(compgen -W "${FILES.join(" ")}" -- "$word")); return; fi
			;;
		esac
		case \${COMP_WORDS[1]} in
${cases.join("\n")}
		*) words="${options.join(" ")}" ;;
		esac
	else
		words="${[...COMMANDS.map(({ name }) => name), ...options].join(" ")}"
	fi
	COMPREPLY=($(compgen -W "$words" -- "$word"))
	case $word in /* | .*) compopt -o filenames; COMPREPLY+=($(compgen -d -- "$word")) ;; esac
}
complete -F _lxcfs lxcfs
`;
}

/** Text within single quotes; brackets and colons mean something to _arguments. */
function zshText(text: string): string {
  return text.replaceAll("'", "'\\''").replaceAll(/[[\]:]/g, (c) => `\\${c}`);
}

/** How zsh completes values, by what they are called. */
const ZSH_VALUES: Readonly<Record<string, string>> = { DIR: "_directories", PID: "_pids" };

function zsh(): string {
  const options = OPTIONS.map(({ short, name, value, help }) => {
    const text = zshText(help);
    const list = VALUES[name];
    const argument = value
      ? `:${value.toLowerCase()}:${list ? `(${list.join(" ")})` : "_files"}`
      : "";
    const names = short ? `'(-${short} --${name})'{-${short},--${name}}` : `--${name}`;
    return `\t\t${names}'[${text}]${argument}'`;
  });
  const commands = COMMANDS.map(
    ({ name, help }) => `\t\t'${name}:${help.replaceAll("'", "'\\''")}'`,
  );
  const cases = COMMANDS.map((each) => {
    const list = optionsOf(each).map(({ name, value, help }) => {
      const argument = value ? `:${value.toLowerCase()}:${ZSH_VALUES[value] ?? " "}` : "";
      return `'--${name}${help === "" ? "" : `[${zshText(help)}]`}${argument}'`;
    });
    const file = each.usage.startsWith("FILE ") ? [`'1:file:(${FILES.join(" ")})'`] : [];
    return `\t\t${each.name}) _arguments ${[...list, ...file, "'*:argument:_default'"].join(" ")} ;;`;
  });
  return `#compdef lxcfs
# zsh completion of lxcfs. Made by tools/cli_files.ts.
_lxcfs() {
	local -a commands options
	commands=(
${commands.join("\n")}
	)
	options=(
${options.join("\n")}
	)
	if (( CURRENT > 2 )) && [[ -n \${commands[(r)\${words[2]}:*]} ]]; then
		local command=\${words[2]}
		shift words
		(( CURRENT-- ))
		case $command in
${cases.join("\n")}
		esac
		return
	fi
	if (( CURRENT == 2 )) && [[ \${words[2]} != [-/]* ]]; then
		_describe command commands
	fi
	_arguments $options '*:mountpoint:_directories'
}
_lxcfs "$@"
`;
}

function fishText(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

const PIDS = " -x -a '(__fish_complete_pids)'";

function fish(): string {
  const first = "__fish_use_subcommand";
  const lines = ["# fish completion of lxcfs. Made by tools/cli_files.ts."];
  for (const { name, help } of COMMANDS) {
    lines.push(`complete -c lxcfs -n ${first} -f -a ${name} -d ${fishText(help)}`);
  }
  for (const { short, name, value, help } of OPTIONS) {
    const list = VALUES[name];
    const argument = value ? (list ? ` -x -a ${fishText(list.join(" "))}` : " -r") : "";
    const shortOption = short ? ` -s ${short}` : "";
    lines.push(
      `complete -c lxcfs -n ${first}${shortOption} -l ${name}${argument} -d ${fishText(help)}`,
    );
  }
  for (const each of COMMANDS) {
    const seen = `'__fish_seen_subcommand_from ${each.name}'`;
    for (const { name, value, help } of optionsOf(each)) {
      const takes = value === undefined ? "" : value === "PID" ? PIDS : " -r";
      const text = help === "" ? "" : ` -d ${fishText(help)}`;
      lines.push(`complete -c lxcfs -n ${seen} -l ${name}${takes}${text}`);
    }
    if (each.usage.startsWith("FILE ")) {
      lines.push(`complete -c lxcfs -n ${seen} -f -a ${fishText(FILES.join(" "))}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // dist/tools/cli_files.js
  const project = join(dirname(fileURLToPath(import.meta.url)), "../..");
  for (const [path, text] of cliFiles()) {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    writeFileSync(join(project, path), text);
  }
}
