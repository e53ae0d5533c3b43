#!/bin/sh
# Packs the chart as `helm package` does: NAME-VERSION.tgz, for `helm install` or a registry.
#   tools/build-chart.sh [DIR]     DIR: default dist/chart
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$here/dist/chart}
field() { sed -n "s/^$1: *\"\{0,1\}\([^\"]*\)\"\{0,1\}$/\1/p" "$here/chart/Chart.yaml"; }
name=$(field name)
mkdir -p "$out"
# The same bytes from the same files, whoever makes it and when. The plain manifests are for those without helm.
tar -C "$here" --exclude=chart/manifests --transform "s,^chart,$name," \
	--sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf - chart |
	gzip -9n >"$out/$name-$(field version).tgz"
echo "$out/$name-$(field version).tgz"
