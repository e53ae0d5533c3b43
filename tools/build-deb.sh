#!/bin/sh
# Builds lxcfs-ts_VERSION_ARCH.deb from this checkout. It brings its own Node.js, so that the host's
# version does not matter: the official one, from the npm package node-linux-ARCH, or another one.
#
#     tools/build-deb.sh [--arch amd64|arm64] [--node FILE] [--version VERSION] [--output DIR]
#
#   --arch     architecture of the package (default: this machine's); another one needs no emulation
#   --node     a Node.js binary to take in place of the npm package's
#   --version  of the package (default: package.json's)
#   --output   where it is written (default: the current directory)
#
# Needs dpkg-deb, npm, and a build (npm run build).
set -eu
umask 022

project=$(cd "$(dirname "$0")/.." && pwd)
node_version=22.23.3
arch=$(dpkg --print-architecture)
node='' version='' output=$PWD

fail() { echo "build-deb: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
	[ $# -gt 1 ] || fail "$1 needs a value"
	case $1 in
	--arch) arch=$2 ;;
	--node) node=$2 ;;
	--version) version=$2 ;;
	--output) output=$2 ;;
	*) fail "unknown option $1" ;;
	esac
	shift 2
done
case $arch in
amd64) cpu=x64 ;;
arm64) cpu=arm64 ;;
*) fail "no package is made for $arch: amd64 and arm64 there are" ;;
esac
[ -f "$project/dist/bundle/cli/main.js" ] || fail "nothing is built: npm run build"
[ -z "$node" ] || [ -x "$node" ] || fail "$node is no program"
[ -d "$output" ] || fail "$output is no directory"
version=${version:-$(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$project/package.json")}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 130' INT TERM HUP
chmod 755 "$root"
app=$root/usr/lib/lxcfs-ts

# The program, as npm would install it, with what it needs on that machine.
mkdir -p "$app" "$root/work"
(cd "$project" && npm pack --silent --ignore-scripts --pack-destination "$root/work") >/dev/null
tar -xzf "$root"/work/*.tgz -C "$app" --strip-components 1
cp "$project/package-lock.json" "$app/"
(cd "$app" && npm ci --silent --ignore-scripts --no-audit --no-fund --omit dev --os linux --cpu "$cpu" --libc glibc) >&2
# npm would miss what was left out.
cp "$app/package.json" "$root/work/"
(cd "$app" && npm pkg delete devDependencies && npm sbom --sbom-format cyclonedx) >"$root/work/sbom"
mv "$root/work/package.json" "$app/"
rm -f "$app/package-lock.json" "$app/node_modules/.package-lock.json"
# The version that `lxcfs --version` tells is the package's.
sed -i "s/^  \"version\": \".*\",$/  \"version\": \"$version\",/" "$app/package.json"
[ -n "$(find "$app/node_modules/@koromix" -name "koffi.node" -path "*linux*$cpu*")" ] ||
	fail "koffi has no prebuilt part for linux-$cpu"

if [ -n "$node" ]; then
	cp -L "$node" "$app/bin/node"
	# Another architecture's does not run here.
	node_version=$("$node" --version 2>/dev/null | sed s/^v//) || true
else
	(cd "$root/work" && npm pack --silent "node-linux-$cpu@$node_version") >/dev/null
	tar -xzf "$root/work/node-linux-$cpu-$node_version.tgz" -C "$root/work" package/bin/node
	mv "$root/work/package/bin/node" "$app/bin/node"
fi
chmod 755 "$app/bin/node"
node "$project/dist/tools/sbom.js" --version "$version" --node "${node_version:-unknown}" \
	<"$root/work/sbom" >"$app/sbom.cdx.json"
rm -rf "$root/work"

# What the host finds.
install -d "$root/usr/bin"
cat >"$root/usr/bin/lxcfs" <<'END'
#!/bin/sh
exec /usr/lib/lxcfs-ts/bin/node /usr/lib/lxcfs-ts/bin/lxcfs "$@"
END
chmod 755 "$root/usr/bin/lxcfs"
share=$project/share
install -D -m 755 -t "$root/usr/share/lxcfs" "$share/lxc.mount.hook" "$share/lxc.reboot.hook" "$share/oci-hook" "$share/oci-runtime"
install -D -m 644 -t "$root/usr/share/lxcfs" "$share/systemd-nspawn.conf" "$share/lxcfs.service"
install -D -m 644 -t "$root/usr/share/lxc/config/common.conf.d" "$share/00-lxcfs.conf"
install -D -m 644 "$share/oci-hook.json" "$root/usr/share/containers/oci/hooks.d/lxcfs.json"
install -D -m 644 -t "$root/lib/systemd/system" "$share/lxcfs.service"
install -D -m 644 "$share/completions/lxcfs.bash" "$root/usr/share/bash-completion/completions/lxcfs"
install -D -m 644 -t "$root/usr/share/zsh/vendor-completions" "$share/completions/_lxcfs"
install -D -m 644 -t "$root/usr/share/fish/vendor_completions.d" "$share/completions/lxcfs.fish"
install -D -m 644 -t "$root/usr/share/man/man1" "$share/man/lxcfs.1"
gzip -9n "$root/usr/share/man/man1/lxcfs.1"
install -D -m 644 "$project/LICENSE" "$root/usr/share/doc/lxcfs-ts/copyright"
install -D -m 644 -t "$root/usr/share/doc/lxcfs-ts" "$project/CHANGELOG.md"
install -d "$root/var/lib/lxcfs" "$root/etc/default"
cat >"$root/etc/default/lxcfs" <<'END'
# Options of lxcfs, as lxcfs(1) lists them. They hold from the next start on, not from an upgrade.
LXCFS_OPTIONS=""
END

debian=$root/DEBIAN
install -d "$debian"
echo /etc/default/lxcfs >"$debian/conffiles"
cat >"$debian/control" <<END
Package: lxcfs-ts
Version: $version
Architecture: $arch
Maintainer: lxcfs-ts authors <lxcfs-ts@localhost>
Installed-Size: $(du -sk --exclude DEBIAN "$root" | cut -f1)
Depends: libc6 (>= 2.28), libstdc++6 (>= 8), util-linux, mount
Provides: lxcfs
Conflicts: lxcfs
Replaces: lxcfs
Section: admin
Priority: optional
Description: filesystem that shows containers their own /proc and /sys
 Processes in Linux containers read their own memory, CPUs, CPU time, load,
 uptime, disks, swap and pressure in place of the host's. It takes the place
 of LXCFS, brings its own Node.js, and is upgraded while no read fails.
END

cat >"$debian/postinst" <<'END'
#!/bin/sh
set -e
unit=lxcfs.service

[ "$1" = configure ] || exit 0
# A package that this one replaces may have taken the unit along: /lib and /usr/lib are the same
# directory under two names, which dpkg does not know.
if [ ! -e /lib/systemd/system/$unit ] && [ -d /lib/systemd/system ]; then
	cp /usr/share/lxcfs/$unit /lib/systemd/system/$unit
fi
[ ! -d /run/systemd/system ] || systemctl daemon-reload || true

# An upgrade of this package: the new version takes over from the one that serves, no read fails.
holder=$(cat /run/lxcfs.pid 2>/dev/null) || holder=
if [ -n "$2" ] && [ -n "$holder" ] && kill -0 "$holder" 2>/dev/null; then
	/usr/bin/lxcfs upgrade /var/lib/lxcfs || echo "lxcfs-ts: the old version goes on serving" >&2
	exit 0
fi
if [ -d /run/systemd/system ]; then
	if [ -z "$2" ]; then systemctl enable $unit || true; fi
	if systemctl is-enabled --quiet $unit; then
		# Debian's lxcfs goes on serving when its package is removed: the start of this one ends it,
		# and heals the containers that have its files.
		verb=start
		case $(readlink "/proc/$(systemctl show --value -p MainPID $unit)/exe") in
		*/lxcfs*) verb=restart ;;
		esac
		# policy-rc.d has a say in whether services are started.
		if [ -x /usr/bin/deb-systemd-invoke ]; then deb-systemd-invoke $verb $unit || true
		else systemctl $verb $unit || true; fi
	fi
fi
END
cat >"$debian/prerm" <<'END'
#!/bin/sh
set -e
# Of an upgrade the running server is to notice nothing.
[ "$1" = remove ] || exit 0
if [ -d /run/systemd/system ]; then
	systemctl stop lxcfs.service || true
	systemctl disable lxcfs.service || true
fi
# One that was not started by systemd; a pidfile that says another process is somebody else's.
holder=$(cat /run/lxcfs.pid 2>/dev/null) || holder=
if [ -n "$holder" ] && [ "$(cat "/proc/$holder/comm" 2>/dev/null)" = lxcfs ]; then
	kill -TERM "$holder" || true
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
		kill -0 "$holder" 2>/dev/null || break
		sleep 0.2
	done
fi
END
cat >"$debian/postrm" <<'END'
#!/bin/sh
set -e
case $1 in
remove | purge)
	# The copy that postinst may have made.
	rm -f /lib/systemd/system/lxcfs.service
	[ ! -d /run/systemd/system ] || systemctl daemon-reload || true
	;;
esac
[ "$1" != purge ] || rmdir /var/lib/lxcfs 2>/dev/null || true
END
chmod 755 "$debian/postinst" "$debian/prerm" "$debian/postrm"
(cd "$root" && find usr lib -type f -exec md5sum {} +) >"$debian/md5sums"

package=$output/lxcfs-ts_${version}_$arch.deb
dpkg-deb --root-owner-group -Zgzip -z6 --build "$root" "$package" >/dev/null
echo "$package"
