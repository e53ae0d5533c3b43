# fish completion of lxcfs. Made by tools/cli_files.ts.
complete -c lxcfs -n __fish_use_subcommand -f -a status -d 'what a running lxcfs serves, and how it fares'
complete -c lxcfs -n __fish_use_subcommand -f -a upgrade -d 'let the installed version take over from the running one'
complete -c lxcfs -n __fish_use_subcommand -f -a attach -d 'show running containers their own files, without their help'
complete -c lxcfs -n __fish_use_subcommand -f -a detach -d 'give them the kernel\'s own files back'
complete -c lxcfs -n __fish_use_subcommand -f -a heal -d 'replace dead lxcfs mounts in all containers'
complete -c lxcfs -n __fish_use_subcommand -f -a cpu-policy -d 'what bounds the CPUs that a container is shown'
complete -c lxcfs -n __fish_use_subcommand -f -a ps -d 'containers, their limits, and how they have their files'
complete -c lxcfs -n __fish_use_subcommand -f -a top -d 'the same, live, with what they use'
complete -c lxcfs -n __fish_use_subcommand -f -a show -d 'what a process reads in a file, from outside'
complete -c lxcfs -n __fish_use_subcommand -f -a explain -d 'each field of a file, and where it comes from'
complete -c lxcfs -n __fish_use_subcommand -f -a doctor -d 'what is wrong on this host, and how to mend it'
complete -c lxcfs -n __fish_use_subcommand -f -a oci-hook -d 'attach to the container whose OCI state is on stdin'
complete -c lxcfs -n __fish_use_subcommand -f -a webhook -d 'the Kubernetes admission webhook'
complete -c lxcfs -n __fish_use_subcommand -f -a node-agent -d 'serve on a Kubernetes node, attach to its containers'
complete -c lxcfs -n __fish_use_subcommand -f -a nri -d 'attach to containers as the runtime tells of them'
complete -c lxcfs -n __fish_use_subcommand -s d -l debug -d 'log every request; stays in the foreground'
complete -c lxcfs -n __fish_use_subcommand -s f -l foreground -d 'stay in the foreground (always so)'
complete -c lxcfs -n __fish_use_subcommand -s h -l help -d 'print this help'
complete -c lxcfs -n __fish_use_subcommand -s l -l enable-loadavg -d 'containers see their own load average (always so)'
complete -c lxcfs -n __fish_use_subcommand -s o -l options -r -d 'mount options, separated by commas'
complete -c lxcfs -n __fish_use_subcommand -s p -l pidfile -r -d 'pidfile (default RUNTIME-DIR/lxcfs.pid)'
complete -c lxcfs -n __fish_use_subcommand -s s -l single-threaded -d 'accepted for compatibility'
complete -c lxcfs -n __fish_use_subcommand -s u -l disable-swap -d 'containers see no swap'
complete -c lxcfs -n __fish_use_subcommand -s v -l version -d 'print the version'
complete -c lxcfs -n __fish_use_subcommand -l disable-zswap -d 'containers see no zswap'
complete -c lxcfs -n __fish_use_subcommand -l enable-cfs -d 'show as many CPUs as the CPU quota pays for (--cpu-policy quota)'
complete -c lxcfs -n __fish_use_subcommand -l enable-pidfd -d 'accepted for compatibility (always so)'
complete -c lxcfs -n __fish_use_subcommand -l enable-cgroup -d 'serve the container\'s own cgroup tree in MOUNTPOINT/cgroup'
complete -c lxcfs -n __fish_use_subcommand -l enable-psi-poll -d 'let containers arm triggers on their pressure files'
complete -c lxcfs -n __fish_use_subcommand -l runtime-dir -r -d 'directory of pidfile and sockets (default /run)'
complete -c lxcfs -n __fish_use_subcommand -l cpu-policy -x -a 'cpuset quota none' -d 'CPUs shown: cpuset (default), quota or none'
complete -c lxcfs -n __fish_use_subcommand -l freshness -r -d 'how old an answer may be, milliseconds (default 10; 0: never)'
complete -c lxcfs -n __fish_use_subcommand -l metrics -r -d 'serve metrics on HOST:PORT or on a socket /PATH'
complete -c lxcfs -n __fish_use_subcommand -l workers -r -d 'serving threads (default: by cores, 2 to 3)'
complete -c lxcfs -n __fish_use_subcommand -l deadline -r -d 'answer a stuck read after so long (default 2000)'
complete -c lxcfs -n __fish_use_subcommand -l log-level -x -a 'debug info warn error' -d 'debug, info (default), warn or error'
complete -c lxcfs -n '__fish_seen_subcommand_from status' -l json
complete -c lxcfs -n '__fish_seen_subcommand_from attach' -l all
complete -c lxcfs -n '__fish_seen_subcommand_from attach' -l dry-run
complete -c lxcfs -n '__fish_seen_subcommand_from detach' -l all
complete -c lxcfs -n '__fish_seen_subcommand_from detach' -l dry-run
complete -c lxcfs -n '__fish_seen_subcommand_from heal' -l watch
complete -c lxcfs -n '__fish_seen_subcommand_from heal' -l remove
complete -c lxcfs -n '__fish_seen_subcommand_from heal' -l dry-run
complete -c lxcfs -n '__fish_seen_subcommand_from ps' -l json
complete -c lxcfs -n '__fish_seen_subcommand_from top' -l interval
complete -c lxcfs -n '__fish_seen_subcommand_from top' -l no-color
complete -c lxcfs -n '__fish_seen_subcommand_from show' -l pid
complete -c lxcfs -n '__fish_seen_subcommand_from show' -l container
complete -c lxcfs -n '__fish_seen_subcommand_from show' -f -a 'meminfo stat uptime loadavg swaps slabinfo cpuinfo diskstats partitions vmstat pressure/cpu pressure/memory pressure/io cpu/online cpu/possible cpu/present cpu/offline node/online node/possible node/has_cpu node/has_memory node/has_normal_memory'
complete -c lxcfs -n '__fish_seen_subcommand_from explain' -l pid
complete -c lxcfs -n '__fish_seen_subcommand_from explain' -l container
complete -c lxcfs -n '__fish_seen_subcommand_from explain' -l json
complete -c lxcfs -n '__fish_seen_subcommand_from explain' -f -a 'meminfo stat uptime loadavg swaps slabinfo cpuinfo diskstats partitions vmstat pressure/cpu pressure/memory pressure/io cpu/online cpu/possible cpu/present cpu/offline node/online node/possible node/has_cpu node/has_memory node/has_normal_memory'
complete -c lxcfs -n '__fish_seen_subcommand_from doctor' -l json
complete -c lxcfs -n '__fish_seen_subcommand_from oci-hook' -l mountpoint
complete -c lxcfs -n '__fish_seen_subcommand_from webhook' -l help
complete -c lxcfs -n '__fish_seen_subcommand_from node-agent' -l help
complete -c lxcfs -n '__fish_seen_subcommand_from nri' -l socket
complete -c lxcfs -n '__fish_seen_subcommand_from nri' -l mountpoint
