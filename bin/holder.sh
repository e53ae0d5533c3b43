#!/bin/sh
# shellcheck disable=SC2317 # functions are called from traps
# The holder: keeps the FUSE connection, the shared state and the pidfile's lock open, keeps a server
# running, and does nothing else. While it lives, no read fails: requests wait in the kernel until a
# server takes them. It writes nothing and opens no file but /proc, so that neither a full disk nor a
# closed stderr can hurt it.
#
# holder.sh MOUNTPOINT MOUNTPOINT-AS-IN-MOUNTINFO PIDFILE PREDECESSOR NODE PROGRAM NODE-FLAGS...
#
# Signals:  TERM INT HUP  the server unmounts, then both end
#           USR1          start the installed version beside the running one and let it take over
#           USR2          host view on and off, passed on to the server
#           URG           from a server: "I serve now" (to a server: "you are relieved: finish and end")
#
# Never open the pidfile here: closing any descriptor of it would drop the lock.

# One start of the server. $1: first, restart, upgrade or takeover. Leaves its pid in $!.
launch() {
	# A replaced Node.js may be elsewhere.
	[ -x "$node" ] || node=node
	# shellcheck disable=SC2086 # flags hold no spaces of their own
	"$node" $flags "$program" serve "$1" "$mountpoint" &
}

begin() {
	launch "$1"
	server=$!
	serving=
}

upgrade() {
	[ -n "$serving" ] || { wish_upgrade=1; return; }
	if [ -n "$candidate" ] && kill -0 "$candidate" 2>/dev/null; then return; fi
	launch upgrade
	candidate=$!
}

toggle() {
	if [ -n "$serving" ]; then
		kill -USR2 "$server" 2>/dev/null
	elif [ -n "$wish_toggle" ]; then
		wish_toggle=
	else
		wish_toggle=1
	fi
}

# A server says that it serves: the newest one, since only that one ever says so.
ready() {
	if [ -n "$candidate" ]; then
		kill -URG "$server" 2>/dev/null
		server=$candidate
		candidate=
	elif [ "$predecessor" -gt 0 ]; then
		kill -URG "$predecessor" 2>/dev/null
		predecessor=0
	fi
	serving=1
	ever=1
	failures=0
	if [ -n "$wish_toggle" ]; then
		wish_toggle=
		kill -USR2 "$server" 2>/dev/null
	fi
	if [ -n "$wish_upgrade" ]; then
		wish_upgrade=
		upgrade
	fi
}

stop() {
	[ -z "$stopping" ] || return
	stopping=1
	[ -z "$candidate" ] || kill -KILL "$candidate" 2>/dev/null
	kill -TERM "$server" 2>/dev/null
	# A server that is stopped or stuck must not keep the host from shutting down.
	{ sleep 5; kill -KILL "$server"; } >/dev/null 2>&1 &
	grace=$!
}

# Sleeps so that signals are still heard.
pause() {
	sleep "$1" &
	wait $!
}

# Detaches the mount if it is still ours: the server was not able to.
detach() {
	while read -r _ _ _ _ at rest; do
		case "$at $rest" in
		"$mountpoint_escaped "*" - fuse.lxcfs "*) umount -l "$mountpoint" >/dev/null 2>&1 ;;
		*" - fuse.lxcfs cached:$mountpoint_escaped "*) umount -l "$at" >/dev/null 2>&1 ;;
		esac
	done </proc/self/mountinfo
}

# $1: exit code
finish() {
	[ -z "$grace" ] || kill "$grace" 2>/dev/null
	[ -z "$candidate" ] || kill -KILL "$candidate" 2>/dev/null
	[ "$status" -eq 0 ] || detach
	rm -f "$pidfile"
	exit "$1"
}

main() {
	mountpoint=$1 mountpoint_escaped=$2 pidfile=$3 predecessor=$4 node=$5 program=$6
	shift 6
	flags=$*
	server='' serving='' candidate='' grace='' stopping='' ever='' status=1
	wish_toggle='' wish_upgrade='' failures=0

	# What `ps` and `pidof` show.
	{ printf lxcfs >/proc/$$/comm; } 2>/dev/null
	trap '' PIPE
	trap stop TERM INT HUP
	trap upgrade USR1
	trap toggle USR2
	trap ready URG

	if [ "$predecessor" -gt 0 ]; then
		begin takeover
	else
		begin first
	fi
	while :; do
		wait "$server"
		status=$?
		# A signal ends a wait too; the server may also be another one now.
		if kill -0 "$server" 2>/dev/null; then continue; fi
		# Status 0: it has unmounted, or found itself unmounted.
		[ "$status" -ne 0 ] || finish 0
		[ -z "$stopping" ] || finish 0
		# Never served at all: a start that fails, which whoever started us wants to know.
		[ -n "$ever" ] || [ "$predecessor" -gt 0 ] || finish 1
		if [ -n "$candidate" ]; then
			kill -KILL "$candidate" 2>/dev/null
			wait "$candidate"
			candidate=
		fi
		# One that served is replaced at once; one that fails again and again is given time.
		[ -n "$serving" ] || failures=$((failures + 1))
		case $failures in
		0 | 1) ;;
		2) pause 0.1 ;;
		3) pause 0.5 ;;
		4) pause 1 ;;
		*) pause 5 ;;
		esac
		[ -z "$stopping" ] || finish 0
		begin restart
	done
}

main "$@"
exit
