#!/bin/sh
# Runs a command with another version of Node.js, from the npm package node-linux-ARCH:
#
#     tools/with-node.sh 26 npm test -- unit fuse
#
# Versions that were fetched once stay in ${XDG_CACHE_HOME:-~/.cache}/lxcfs-ts-node.
set -eu

if [ $# -lt 2 ]; then
	echo "usage: with-node.sh VERSION COMMAND..." >&2
	exit 2
fi
version=$1
shift
case $(uname -m) in
x86_64) arch=x64 ;;
aarch64) arch=arm64 ;;
*)
	echo "with-node: npm has no Node.js for $(uname -m)" >&2
	exit 1
	;;
esac

cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/lxcfs-ts-node/$version-$arch
if [ ! -x "$cache/bin/node" ]; then
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	(cd "$work" && npm pack --silent "node-linux-$arch@$version" >/dev/null)
	tar -xzf "$work"/node-linux-"$arch"-*.tgz -C "$work" package/bin/node
	mkdir -p "$cache/bin"
	mv "$work/package/bin/node" "$cache/bin/node"
	rm -rf "$work"
	trap - EXIT
fi
PATH=$cache/bin:$PATH
export PATH
exec "$@"
