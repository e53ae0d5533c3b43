#!/bin/sh
# The image's root filesystem, from this machine's own programs: Node.js, a shell, the few commands
# the holder calls, and this project with its run-time dependencies. Everything lies below /usr,
# since that is what the node agent copies to the node.
#   test/k8s/make_rootfs.sh DIR
set -eu
root=$1
project=$(cd "$(dirname "$0")/../.." && pwd)

mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/etc" "$root/tmp" "$root/run" "$root/var" \
	"$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64"
chmod 1777 "$root/tmp"
for dir in bin sbin lib lib64; do [ -e "$root/$dir" ] || ln -s "usr/$dir" "$root/$dir"; done
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"

# copy FILE: to its place below /usr, links followed
copy() {
	case $1 in /usr/*) to=$root$1 ;; *) to=$root/usr$1 ;; esac
	[ -e "$to" ] && return
	mkdir -p "${to%/*}"
	cp -L "$1" "$to"
}

for program in node env dash sleep umount rm cat ls mkdir nsenter free top uptime nproc grep sed head; do
	path=$(command -v "$program") || { echo "no $program here" >&2; exit 1; }
	copy "$path"
	# ldd fails on what is not dynamic, which needs nothing
	{ ldd "$path" 2>/dev/null || true; } | grep -o '/[^ ]*' | while read -r library; do copy "$library"; done
done
ln -sf dash "$root/usr/bin/sh"

app=$root/usr/lib/lxcfs-ts
mkdir -p "$app/node_modules"
cp -r "$project/bin" "$project/package.json" "$app/"
mkdir -p "$app/dist"
cp -r "$project/dist/bundle" "$app/dist/"
# Run-time dependencies only, and of those with prebuilt parts the one for this machine.
(cd "$project" && npm ls --omit=dev --all --parseable 2>/dev/null) | sed 1d | while read -r module; do
	mkdir -p "$app/node_modules/${module#"$project/node_modules/"}"
	cp -r "$module/." "$app/node_modules/${module#"$project/node_modules/"}/"
done
ln -sf ../lib/lxcfs-ts/bin/lxcfs "$root/usr/bin/lxcfs"
