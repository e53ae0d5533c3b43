#!/bin/sh
# Unpacks Debian 13's containerd (1.7) aside and prints the folder of its programs. They run on
# Debian 12; nothing is installed. Kept in $XDG_CACHE_HOME or /var/cache, below lxcfs-ts-containerd.
# Exit status: 0 with the folder on stdout; 77 where it cannot be had, the reason on stderr.
set -eu
suite=trixie
cache=${XDG_CACHE_HOME:-/var/cache}/lxcfs-ts-containerd/$suite
programs=$cache/usr/bin
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

cannot() { echo "fetch_containerd: $*" >&2; exit 77; }

if [ ! -e "$cache/.done" ]; then
	command -v apt-get >/dev/null || cannot "no apt-get here"
	[ -e "$keyring" ] || cannot "no Debian keyring here"
	mirror=$(sed -n 's/^URIs: *//p;s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
		/etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -1)
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
	echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} $suite main" >"$work/sources.list"
	# A view of the archive of its own: the machine's sources and lists stay as they are.
	cat >"$work/apt.conf" <<CONF
Dir::State "$work"; Dir::State::lists "$work/lists"; Dir::State::status "/dev/null";
Dir::Cache "$work/cache"; Dir::Etc::sourcelist "$work/sources.list"; Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "/dev/null"; APT::Sandbox::User "root";
Acquire::Languages "none"; Acquire::Retries "1"; Acquire::http::Timeout "20";
CONF
	export APT_CONFIG="$work/apt.conf"
	{ apt-get update -qq && cd "$work" && apt-get download -qq containerd; } >&2 ||
		cannot "the package cannot be fetched"
	rm -rf "$cache"
	mkdir -p "$cache"
	dpkg-deb -x "$work"/containerd_*.deb "$cache"
	"$programs/containerd" --version >&2 || cannot "it does not run here"
	: >"$cache/.done"
fi
echo "$programs"
