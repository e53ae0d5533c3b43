# bash completion of lxcfs. Made by tools/cli_files.ts.
_lxcfs() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words
	COMPREPLY=()
	case $before in
	--cpu-policy) COMPREPLY=($(compgen -W "cpuset quota none" -- "$word")); return ;;
	--uptime) COMPREPLY=($(compgen -W "container host" -- "$word")); return ;;
	--log-level) COMPREPLY=($(compgen -W "debug info warn error" -- "$word")); return ;;
	--pid) COMPREPLY=($(cd /proc && compgen -d -X '[!0-9]*' -- "$word")); return ;;
	--mountpoint | --runtime-dir | -p | --pidfile) compopt -o filenames; COMPREPLY=($(compgen -f -- "$word")); return ;;
	esac
	if [ "$COMP_CWORD" -gt 1 ]; then
		case ${COMP_WORDS[1]} in
		show | explain)
			if [ "$COMP_CWORD" -eq 2 ]; then COMPREPLY=($(compgen -W "meminfo stat uptime loadavg swaps slabinfo cpuinfo diskstats partitions vmstat pressure/cpu pressure/memory pressure/io cpu/online cpu/possible cpu/present cpu/offline node/online node/possible node/has_cpu node/has_memory node/has_normal_memory" -- "$word")); return; fi
			;;
		esac
		case ${COMP_WORDS[1]} in
		status) words="--json --runtime-dir --help" ;;
		upgrade) words="--runtime-dir --help" ;;
		attach) words="--all --dry-run --json --mountpoint --timeout --help" ;;
		detach) words="--all --dry-run --json --mountpoint --timeout --help" ;;
		heal) words="--watch --every --remove --dry-run --json --mountpoint --timeout --help" ;;
		cpu-policy) words="--help" ;;
		ps) words="--json --mountpoint --runtime-dir --help" ;;
		top) words="--interval --no-color --mountpoint --runtime-dir --help" ;;
		show) words="--pid --container --json --mountpoint --runtime-dir --help" ;;
		explain) words="--pid --container --json --mountpoint --runtime-dir --help" ;;
		doctor) words="--json --mountpoint --runtime-dir --help" ;;
		oci-hook) words="--mountpoint --help" ;;
		webhook) words="--help --help" ;;
		node-agent) words="--help --help" ;;
		nri) words="--socket --mountpoint --help" ;;
		*) words="-d --debug -f --foreground -h --help -l --enable-loadavg -o --options -p --pidfile -s --single-threaded -u --disable-swap -v --version --disable-zswap --enable-cfs --enable-pidfd --enable-cgroup --enable-psi-poll --runtime-dir --cpu-policy --uptime --freshness --metrics --workers --deadline --log-level" ;;
		esac
	else
		words="status upgrade attach detach heal cpu-policy ps top show explain doctor oci-hook webhook node-agent nri -d --debug -f --foreground -h --help -l --enable-loadavg -o --options -p --pidfile -s --single-threaded -u --disable-swap -v --version --disable-zswap --enable-cfs --enable-pidfd --enable-cgroup --enable-psi-poll --runtime-dir --cpu-policy --uptime --freshness --metrics --workers --deadline --log-level"
	fi
	COMPREPLY=($(compgen -W "$words" -- "$word"))
	case $word in /* | .*) compopt -o filenames; COMPREPLY+=($(compgen -d -- "$word")) ;; esac
}
complete -F _lxcfs lxcfs
